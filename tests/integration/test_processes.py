"""Real processes: started, known again, stopped with everything they started."""

import dataclasses
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from delivery.adapters import processes
from delivery.adapters.processes import Launch, ProcessIdentity
from delivery.errors import PermanentError

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def python(tmp_path: Path, program: str, **environment: str) -> Launch:
    return Launch((sys.executable, "-c", program), tmp_path, tmp_path / "logs" / "log", environment)


def started(launch: Launch) -> ProcessIdentity:
    identity = processes.spawn(launch)
    assert processes.wait_until(lambda: launch.log.read_text() != "", 5)
    return identity


def test_a_process_gets_only_the_environment_it_is_given(tmp_path: Path) -> None:
    launch = python(tmp_path, "import os; print(sorted(os.environ))", ONLY="this", LC_CTYPE="C.UTF-8")
    identity = processes.spawn(launch)
    assert processes.wait_until(lambda: not processes.alive(identity), 5)
    assert launch.log.read_text() == "['LC_CTYPE', 'ONLY']\n"
    assert processes.exit_code(identity) == 0


def test_stopping_reaches_grandchildren_also_in_sessions_of_their_own(tmp_path: Path) -> None:
    program = (
        "import subprocess, time\n"
        "print(subprocess.Popen(['sleep', '60']).pid)\n"
        "print(subprocess.Popen(['sleep', '60'], start_new_session=True).pid, flush=True)\n"
        "time.sleep(60)"
    )
    launch = python(tmp_path, program)
    identity = started(launch)
    grandchildren = [int(pid) for pid in launch.log.read_text().split()]
    assert all(map(psutil.pid_exists, grandchildren))
    processes.stop(identity, 5)
    assert processes.wait_until(lambda: not any(map(running, grandchildren)), 2)
    assert processes.gone(identity)


def test_what_a_dead_leader_left_behind_is_stopped_too(tmp_path: Path) -> None:
    launch = python(tmp_path, "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True)")
    identity = started(launch)
    assert processes.wait_until(lambda: not processes.alive(identity), 5)
    assert not processes.gone(identity)
    processes.stop(identity, 5)
    assert not running(int(launch.log.read_text()))


def test_a_process_that_ignores_the_question_is_killed_after_the_grace(tmp_path: Path) -> None:
    identity = started(python(tmp_path, STUBBORN))
    processes.stop(identity, 0.1)
    assert processes.exit_code(identity) == -signal.SIGKILL


def test_another_process_with_the_same_number_is_never_touched(tmp_path: Path) -> None:
    identity = started(python(tmp_path, STUBBORN))
    earlier = dataclasses.replace(identity, started_at=identity.started_at - 60)
    assert not processes.alive(earlier)
    processes.stop(earlier, 0)
    assert processes.alive(identity)
    processes.kill(identity)
    assert processes.wait_until(lambda: processes.gone(identity), 5)


def test_a_process_of_another_boot_is_never_touched_and_a_record_without_boot_still_counts(tmp_path: Path) -> None:
    identity = started(python(tmp_path, STUBBORN))
    rebooted = dataclasses.replace(identity, boot="another")
    assert not processes.alive(rebooted)
    processes.stop(rebooted, 0)
    assert processes.alive(dataclasses.replace(identity, boot=""))
    assert ProcessIdentity.read(dataclasses.asdict(identity)) == identity
    processes.kill(identity)


def test_a_zombie_does_not_run() -> None:
    child = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 3"], {})
    assert processes.wait_until(lambda: psutil.Process(child).status() == psutil.STATUS_ZOMBIE, 5)
    identity = processes.identify(child)
    assert identity is not None
    assert not processes.alive(identity)
    os.waitpid(child, 0)


def test_a_command_that_does_not_exist_is_said_by_name(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="starting nonesuch: No such file or directory"):
        processes.spawn(Launch(("nonesuch",), tmp_path, tmp_path / "log"))


def test_a_log_is_rotated_behind_the_writers_back(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("ab", buffering=0) as writer:
        for round_ in range(4):
            writer.write(b"%d" % round_ * 20)
            assert processes.rotate(log, maximum_bytes=10, keep=2)
        writer.write(b"after")
    assert not processes.rotate(log, maximum_bytes=10, keep=2)
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == ["after", "3" * 20, "2" * 20]


def test_the_last_lines_of_a_log_are_bounded(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"\xff" * 100_000 + b"\n" + b"\n".join(b"line %d" % n for n in range(5)) + b"\n")
    assert processes.last_lines(log, 2) == "line 3\nline 4"
    assert processes.last_lines(tmp_path / "nothing") == ""


def running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
