"""Running a program that refuses root, when we are root, without adding a user to the machine.

The program runs as the account `nobody`, through `setpriv` (part of every Debian and Ubuntu). Where
that account cannot get through the folders above the program or its data (`/root` is 0700), no folder
of anybody's is opened: the program gets the one capability that lets it pass, reading only where the
machine has that.
"""

import os
import pwd
import shutil
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from delivery.errors import PermanentError

_CAPABILITIES = {"dac_override": 1, "dac_read_search": 2}
"""Bits in `CapPrm` of /proc/self/status (linux/capability.h)."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who a program runs as; None means as ourselves."""

    user_id: int | None = None
    group_id: int | None = None

    def give(self, path: Path) -> None:
        """Make a file or folder of ours the account's."""
        if self.user_id is not None and self.group_id is not None:
            os.chown(path, self.user_id, self.group_id)

    def command(self, arguments: Sequence[str], needs: Iterable[Path]) -> tuple[str, ...]:
        """The arguments that run a program as the account; `needs` are the folders that it must reach.

        Whoever starts them does nothing else: the process keeps its id. PermanentError when this
        machine has no way.
        """
        if self.user_id is None:
            return tuple(arguments)
        capability = _capability(self.user_id, Path(arguments[0]), [path.resolve() for path in needs])
        sets = f"-all,+{capability}" if capability else "-all"
        # Without this access(2) ignores the capabilities of anybody but root, and initdb asks it for its programs.
        fixed = ("--securebits=+no_setuid_fixup",) if capability else ()
        return (
            _setpriv(),
            f"--reuid={self.user_id}",
            f"--regid={self.group_id}",
            "--clear-groups",
            "--no-new-privs",
            *fixed,
            f"--inh-caps={sets}",
            f"--ambient-caps={sets}",
            *arguments,
        )


def account() -> Account:
    """Ourselves, or `nobody` when we are root."""
    if os.geteuid() != 0:
        return Account()
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as error:
        raise PermanentError(
            "starting a server as root: this machine has no account 'nobody' to run it as",
            hint="run Shipline as an ordinary user, or set SHIPLINE_DATABASE_URL",
        ) from error
    return Account(nobody.pw_uid, nobody.pw_gid)


def _setpriv() -> str:
    found = shutil.which("setpriv", path="/usr/bin:/bin:/usr/sbin:/sbin")
    if found is None:
        raise PermanentError(
            "starting a server as root: the program 'setpriv' is missing",
            hint="install util-linux, run Shipline as an ordinary user, or set SHIPLINE_DATABASE_URL",
        )
    return found


def _capability(user_id: int, program: Path, needs: Sequence[Path]) -> str | None:
    """The smallest capability with which the account gets to everything, if it needs one."""
    executable = _may(program.resolve(), user_id, stat.S_IXUSR, stat.S_IXOTH)
    if executable and all(_reachable(path, user_id) for path in needs):
        return None
    wanted = ("dac_read_search", "dac_override") if executable else ("dac_override",)
    permitted = _permitted()
    for name in wanted:
        if permitted >> _CAPABILITIES[name] & 1:
            return name
    raise PermanentError(
        f"starting {program.name} as root: the account 'nobody' cannot enter {needs[0]}",
        hint="set SHIPLINE_HOME to a folder below ones that everybody may enter, or run as an ordinary user",
    )


def _reachable(path: Path, user_id: int) -> bool:
    return all(_may(one, user_id, stat.S_IXUSR, stat.S_IXOTH) for one in (path, *path.parents))


def _may(path: Path, user_id: int, own: int, other: int) -> bool:
    status = path.stat()
    return bool(status.st_mode & (own if status.st_uid == user_id else other))


def _permitted() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapPrm:")), 0)
