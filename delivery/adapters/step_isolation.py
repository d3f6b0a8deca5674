"""What keeps a command apart: namespaces of the kernel, and of what is hidden only what the command was given.

Standard library only, and quick: it runs between Shipline and every step (see `step_supervisor`). The supervisor
asks for new process numbers (`enter`), for which anybody but root needs a user namespace, too; in that one nobody
exists but ourselves. What it forks then has the number 1 there: it lays tmpfs over what is hidden and binds what stays
visible back in its place (`begin`), and is the parent of the command and of all that the command leaves behind
(`outlive`). When it ends, the kernel kills these before anybody hears of it.

The command sees the mounts and cannot undo them: it has no capability when it is executed, and in a user namespace
of its own the mounts that it inherits are locked (mount_namespaces(7)).
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

_NEWNS, _NEWIPC, _NEWUSER, _NEWPID = 0x0002_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT = 1, 2, 4, 8, 32
_BIND, _REC, _PRIVATE, _RELATIME = 0x1000, 0x4000, 0x4_0000, 0x20_0000
_LOCKED = _NOSUID | _NODEV | _NOEXEC | 1024 | 2048
"""Of a mount's flags (the last two: noatime, nodiratime), those that only its owner may take away."""
_ST_RELATIME = 4096
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 24, 38
_UNDOING = (2, 16, 17, 19, 21, 22, 27, 32, 33, 38, 39, 40)
"""Capabilities of root that would undo it: DAC_READ_SEARCH, SYS_MODULE, SYS_RAWIO, SYS_PTRACE, SYS_ADMIN, SYS_BOOT,
MKNOD, MAC_OVERRIDE, MAC_ADMIN, PERFMON, BPF, CHECKPOINT_RESTORE (linux/capability.h)."""
_SHARED_MEMORY = "/dev/shm"  # noqa: S108  # it gets an empty one of its own
_LIBC = ctypes.CDLL(None, use_errno=True)


class IsolationError(Exception):
    """What this machine did not let us do, and why not."""


def enter() -> None:
    """Have what is forked from here on counted anew; IsolationError, and then fork nothing more from here."""
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        with _doing("making a process namespace"):
            _checked(_LIBC.unshare(_NEWPID))
        return
    with _doing("making a user namespace"):
        _checked(_LIBC.unshare(_NEWUSER | _NEWPID))
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with _doing(f"writing {name} of a user namespace"):
            _write(f"/proc/self/{name}", text)


def begin(asked: dict[str, Any], told: int) -> None:
    """As the first process of a namespace: hide. IsolationError when the machine does not let us.

    `asked` has `hidden` (folders) and `visible` (pairs of folder and whether it can be written to). To `told` whoever
    forked us listens as long as it lives.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _end_with_whoever_listens(told)
    _hide(asked["hidden"], asked["visible"])
    _lose_rights()


def outlive(command: int, result: int) -> NoReturn:
    """Collect what the command leaves behind until it ends itself; the kernel ends what is left then.

    `result` gets the command's wait status, four bytes in this machine's order.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    while True:
        process, status = os.wait()
        if process == command:
            os.write(result, status.to_bytes(4, sys.byteorder))
            os._exit(0)


def _end_with_whoever_listens(told: int) -> None:
    """The kernel kills us with our parent; a pipe that nobody reads any more says that it has died already."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    poll = select.poll()
    poll.register(told, 0)
    if poll.poll(0):
        os._exit(1)


def _hide(hidden: list[str], visible: list[tuple[str, bool]]) -> None:
    with _doing("making a mount namespace"):
        _checked(_LIBC.unshare(_NEWNS | _NEWIPC))
        _mount("none", "/", None, _REC | _PRIVATE)
    opened = [(*one, place) for one in visible if (place := _open(one[0])) is not None]
    inside = [one for one in opened if any(one[0].startswith(f"{folder}/") for folder in hidden)]
    for one in opened:
        if one not in inside:
            _show(*one)
    covered = [folder for folder in hidden if os.path.isdir(folder)]  # noqa: PTH112  # pathlib takes too long to import
    for folder in covered:
        with _doing(f"hiding {folder}"):
            _mount("tmpfs", folder, "tmpfs", _NOSUID | _NODEV, "mode=0700,size=1m")
    for one in inside:
        _show(*one)
    for folder in covered:
        with _doing(f"hiding {folder}"):
            _mount("none", folder, None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)
    _renew_own()


def _renew_own() -> None:
    """Shared memory and the list of processes: what is there now is other people's."""
    os.chdir("/")
    if os.path.isdir(_SHARED_MEMORY):  # noqa: PTH112
        with _doing(f"mounting {_SHARED_MEMORY}"):
            _mount("tmpfs", _SHARED_MEMORY, "tmpfs", _NOSUID | _NODEV, "mode=1777")
    with _doing("mounting /proc"):
        _mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)


def _open(folder: str) -> int | None:
    """The folder as it is now, whatever is mounted over it later; None when there is no such one."""
    with _doing(f"opening {folder}"):
        try:
            return os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None


def _show(folder: str, writable: bool, place: int) -> None:  # noqa: FBT001  # as it comes from JSON
    """Bind what was opened to where it was."""
    with _doing(f"showing {folder}"):
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
        os.fchdir(place)
        os.close(place)
        _mount(".", folder, None, _BIND | _REC)
        if not writable:
            found = os.statvfs(folder).f_flag
            kept = found & _LOCKED | (_RELATIME if found & _ST_RELATIME else 0)
            _mount("none", folder, None, _REMOUNT | _BIND | _RDONLY | kept)


def _lose_rights() -> None:
    """What would undo it: of root by name, of anybody else all that a program could bring with its file."""
    if os.geteuid() == 0:
        for capability in _UNDOING:
            _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # an older kernel does not know the newest
    else:
        _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


@contextlib.contextmanager
def _doing(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise IsolationError(f"{what}: {(error.strerror or str(error)).lower()}") from error


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    names = (source.encode(), os.fsencode(target), kind.encode() if kind else None)
    _checked(_LIBC.mount(*names, ctypes.c_ulong(flags), options.encode()))


def _write(path: str, text: str) -> None:
    place = os.open(path, os.O_WRONLY)
    try:
        os.write(place, text.encode())
    finally:
        os.close(place)


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
