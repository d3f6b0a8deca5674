"""Every Runner: the same ends for the same commands; and what only real processes can do wrong."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import psutil
import pytest

from delivery.adapters.process_runner import ProcessRunner
from delivery.isolation import Isolation, IsolationMode, Visible
from delivery.ports import Runner
from delivery.runner import SYSTEM_PATH, Ending, Exit, ProcessSpec, command_arguments
from tests.fakes.runner import Act, ScriptedRunner

PRINTS, FAILS, SLEEPS, CRASHES, FLOODS = "printf hi", "exit 3", "sleep 60", "kill -SEGV $$", "head -c 1000 /dev/zero"


class Run(Protocol):
    def __call__(self, command: str | list[str], **limits: float) -> tuple[Exit, bytes]: ...


class IsolatingRunner:
    """Runs every command where it sees nothing of what lies beside its folder."""

    def run(self, spec: ProcessSpec, output: Callable[[bytes], None], cancelled: threading.Event) -> Exit:
        isolation = Isolation(spec.folder.parent, (Visible(spec.folder, writable=True),))
        ended = ProcessRunner(IsolationMode.REQUIRED).run(replace(spec, isolation=isolation), output, cancelled)
        assert ended.isolated
        return ended


@pytest.fixture(params=["open", "isolated"])
def processes(request: pytest.FixtureRequest) -> Runner:
    """The real one, both ways."""
    return ProcessRunner() if request.param == "open" else IsolatingRunner()


@pytest.fixture(params=["open", "isolated", "fake"])
def runner(request: pytest.FixtureRequest) -> Runner:
    if request.param != "fake":
        return ProcessRunner() if request.param == "open" else IsolatingRunner()
    acts = {
        PRINTS: Act(b"hi"),
        FAILS: Act(code=3),
        SLEEPS: Act(seconds=60),
        CRASHES: Act(signal=signal.SIGSEGV),
        FLOODS: Act(b"\0" * 1000),
    }
    return ScriptedRunner({command_arguments(command): [act] for command, act in acts.items()})


def run(
    runner: Runner, folder: Path, command: str | list[str], cancelled: threading.Event | None = None, **limits: float
) -> tuple[Exit, bytes]:
    said: list[bytes] = []
    spec = ProcessSpec(command_arguments(command), folder, {"PATH": SYSTEM_PATH}, **limits)  # type: ignore[arg-type]
    ended = runner.run(spec, said.append, cancelled or threading.Event())
    return ended, b"".join(said)


def test_a_command_that_exits_gives_its_code_and_its_output(runner: Runner, tmp_path: Path) -> None:
    ended, said = run(runner, tmp_path, PRINTS)
    assert (ended.ending, ended.code, said, ended.output_bytes, ended.truncated) == (Ending.EXITED, 0, b"hi", 2, False)
    assert ended.succeeded


def test_a_command_that_fails_gives_its_code(runner: Runner, tmp_path: Path) -> None:
    ended, _ = run(runner, tmp_path, FAILS)
    assert (ended.ending, ended.code, ended.signal, ended.succeeded) == (Ending.EXITED, 3, None, False)


def test_a_command_that_crashes_gives_its_signal(runner: Runner, tmp_path: Path) -> None:
    ended, _ = run(runner, tmp_path, CRASHES)
    assert (ended.ending, ended.code, ended.signal) == (Ending.KILLED, None, signal.SIGSEGV)


def test_a_command_that_is_not_there_is_named(runner: Runner, tmp_path: Path) -> None:
    ended, _ = run(runner, tmp_path, ["no-such-program", "--now"])
    assert (ended.ending, ended.code) == (Ending.NOT_FOUND, None)
    assert "command not found: 'no-such-program'" in ended.message


def test_a_command_out_of_time_is_ended(runner: Runner, tmp_path: Path) -> None:
    ended, _ = run(runner, tmp_path, SLEEPS, timeout_seconds=0.2)
    assert (ended.ending, ended.code, ended.signal) == (Ending.TIMED_OUT, None, None)


def test_a_cancelled_command_is_ended(runner: Runner, tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    ended, _ = run(runner, tmp_path, SLEEPS, cancelled)
    assert ended.ending is Ending.CANCELLED


def test_output_beyond_the_limit_is_counted_and_dropped_with_one_line_saying_so(runner: Runner, tmp_path: Path) -> None:
    ended, said = run(runner, tmp_path, FLOODS, maximum_output_bytes=10)
    assert said == b"\0" * 10 + b"\nshipline: output after 10 bytes is dropped\n"
    assert (ended.output_bytes, ended.truncated, ended.code) == (1000, True, 0)


@pytest.fixture
def real(processes: Runner, tmp_path: Path) -> Run:
    def call(command: str | list[str], **limits: float) -> tuple[Exit, bytes]:
        return run(processes, tmp_path, command, None, **limits)

    return call


@pytest.fixture
def marked(tmp_path: Path) -> Iterator[Callable[[], list[int]]]:
    """Processes whose command line names this test's folder: what a step left behind."""

    def left() -> list[int]:
        found = psutil.process_iter(["cmdline", "status"])
        return [
            process.pid
            for process in found
            if process.info["status"] != psutil.STATUS_ZOMBIE
            and str(tmp_path) in " ".join(process.info["cmdline"] or [])
        ]

    yield left
    for process in left():
        os.kill(process, signal.SIGKILL)


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not so in time"
        time.sleep(0.02)


def test_a_failing_part_of_a_pipe_and_an_unset_variable_fail_a_shell_string(real: Run) -> None:
    assert real("false | true")[0].code == 1
    assert real('echo "$UNSET"')[0].code == 1


def test_a_list_is_never_seen_by_a_shell(real: Run) -> None:
    assert real(["printf", "%s", "$HOME; rm -rf *"])[1] == b"$HOME; rm -rf *"


def test_only_the_given_environment_is_seen(real: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:hunter2")
    names = {line.split(b"=")[0] for line in real(["env"])[1].splitlines()}
    assert names == {b"PATH", b"SHIPLINE_STEP_ID"}


def test_a_file_that_cannot_be_executed_is_said_so(real: Run, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("hello")
    ended, _ = real(["./plain"])
    assert (ended.ending, ended.message) == (Ending.NOT_FOUND, "cannot start './plain': permission denied")


def test_a_missing_folder_is_said_so(processes: Runner, tmp_path: Path) -> None:
    ended, _ = run(processes, tmp_path / "gone", ["true"])
    assert ended.ending is Ending.NOT_FOUND
    assert ended.message == f"cannot start 'true' in {tmp_path / 'gone'}: no such file or directory"


def test_standard_input_is_at_its_end(real: Run) -> None:
    assert real("cat; echo done")[1] == b"done\n"


def test_bytes_that_are_not_text_come_through_unchanged(real: Run) -> None:
    assert real("printf '\\377\\376\\0x'")[1] == b"\xff\xfe\0x"


def test_a_gigabyte_of_output_is_drained_in_bounded_memory(real: Run) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended, said = real("head -c 1G /dev/zero", maximum_output_bytes=1024 * 1024)
    grown_kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (ended.code, ended.output_bytes, ended.truncated) == (0, 1024**3, True)
    assert len(said) < 1024 * 1024 + 100
    assert grown_kilobytes < 32 * 1024


def test_background_children_end_with_the_command(real: Run, tmp_path: Path, marked: Callable[[], list[int]]) -> None:
    ended, said = real(f"tail -f /dev/null {tmp_path}/x & echo started")
    assert (ended.code, ended.seconds < 30) == (0, True)
    assert b"started" in said
    assert marked() == []


def test_a_grandchild_in_a_session_of_its_own_ends_with_the_command(
    real: Run, tmp_path: Path, marked: Callable[[], list[int]]
) -> None:
    """It left the process group, its parent is gone, and it cleared its environment."""
    ended, _ = real(f"(env -i setsid /usr/bin/tail -f /dev/null {tmp_path}/x &) ; sleep 0.2; echo started")
    assert (ended.code, marked()) == (0, [])


def test_a_hundred_strays_end_with_the_command(real: Run, tmp_path: Path, marked: Callable[[], list[int]]) -> None:
    ended, _ = real(f"for n in $(seq 100); do setsid tail -f /dev/null {tmp_path}/$n & done; exit 5")
    assert (ended.code, marked()) == (5, [])


def test_a_timeout_ends_grandchildren_that_ignore_it(
    real: Run, tmp_path: Path, marked: Callable[[], list[int]]
) -> None:
    command = f"trap '' TERM; setsid tail -f /dev/null {tmp_path}/a & tail -f /dev/null {tmp_path}/b"
    ended, _ = real(command, timeout_seconds=0.4, stop_grace_seconds=0.3)
    assert ended.ending is Ending.TIMED_OUT
    assert 0.4 < ended.seconds < 30
    assert marked() == []


def test_a_command_may_clean_up_when_it_is_stopped(real: Run) -> None:
    ended, said = real("trap 'echo cleaned; exit 1' TERM; sleep 60 & wait", timeout_seconds=1.5)
    assert (ended.ending, said) == (Ending.TIMED_OUT, b"cleaned\n")


def test_a_command_that_closes_its_output_is_waited_for(real: Run) -> None:
    ended, _ = real("exec >&- 2>&-; sleep 0.3; exit 4")
    assert (ended.code, ended.seconds >= 0.3) == (4, True)


def test_a_killed_command_is_told_apart_from_a_failed_one(real: Run) -> None:
    ended, _ = real("kill -9 $$")
    assert (ended.ending, ended.signal, ended.message) == (Ending.KILLED, 9, "")


def test_killing_the_supervisor_loses_the_step_and_leaves_nothing(
    tmp_path: Path, marked: Callable[[], list[int]]
) -> None:
    ended, _ = run(ProcessRunner(), tmp_path, f"setsid tail -f /dev/null {tmp_path}/x & kill -9 $PPID; sleep 60")
    assert (ended.ending, ended.message) == (Ending.KILLED, "the process that supervises the step was killed")
    assert marked() == []


def test_an_isolated_command_cannot_kill_what_is_above_it(tmp_path: Path) -> None:
    ended, said = run(IsolatingRunner(), tmp_path, "kill -9 $PPID; kill -9 -1 2>/dev/null || true; echo $PPID; exit 7")
    assert (ended.ending, ended.code, said) == (Ending.EXITED, 7, b"1\n")


@pytest.mark.parametrize(
    ("generation", "message"), [(1, ""), (2, "the process that supervises the step was killed")], ids=["first", "above"]
)
def test_an_isolated_command_does_not_outlive_what_is_above_it(
    tmp_path: Path, marked: Callable[[], list[int]], generation: int, message: str
) -> None:
    """The kernel ends everything in the namespace with its first process, and that one with the supervisor."""
    ended: list[Exit] = []
    command = f"trap '' TERM; setsid tail -f /dev/null {tmp_path}/a & exec tail -f /dev/null {tmp_path}/b"
    step = threading.Thread(target=lambda: ended.append(run(IsolatingRunner(), tmp_path, command)[0]))
    step.start()
    wait_until(lambda: len(marked()) == 2)
    psutil.Process(min(marked())).parents()[generation - 1].kill()
    step.join(30)
    assert [(one.ending, one.signal, one.message) for one in ended] == [(Ending.KILLED, signal.SIGKILL, message)]
    assert marked() == []


def test_losing_what_forks_supervisors_costs_no_step(real: Run) -> None:
    assert real("echo one")[1] == b"one\n"
    forking = [one for one in psutil.Process().children() if any("step_supervisor" in word for word in one.cmdline())]
    for one in forking:
        one.kill()
    psutil.wait_procs(forking, 10)
    assert forking
    assert real("echo two")[1] == b"two\n"


def test_a_step_that_runs_goes_on_when_what_forked_its_supervisor_is_lost(real: Run, tmp_path: Path) -> None:
    real("true")
    (forking,) = (one for one in psutil.Process().children() if any("step_supervisor" in w for w in one.cmdline()))
    running = threading.Thread(target=lambda: real(f"sleep 1; echo done > {tmp_path}/mark"))
    running.start()
    time.sleep(0.3)
    forking.kill()
    running.join(20)
    assert (tmp_path / "mark").read_text() == "done\n"


def test_output_that_cannot_be_kept_ends_the_step(
    processes: Runner, tmp_path: Path, marked: Callable[[], list[int]]
) -> None:
    def full(_chunk: bytes) -> None:
        raise OSError(28, "No space left on device")

    spec = ProcessSpec(("bash", "-c", f"echo x; exec tail -f /dev/null {tmp_path}/x"), tmp_path, {"PATH": SYSTEM_PATH})
    with pytest.raises(OSError, match="No space left"):
        processes.run(spec, full, threading.Event())
    assert marked() == []


def test_no_descriptor_and_no_zombie_is_left(real: Run) -> None:
    real("true")
    before = psutil.Process().num_fds()
    for _ in range(3):
        real("echo x & exit 1")
    assert psutil.Process().num_fds() == before
    assert [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE] == []


SHIPLINE = """
import threading, time
from pathlib import Path
from delivery.adapters.process_runner import ProcessRunner
from delivery.isolation import Isolation, Visible
from delivery.runner import ProcessSpec
spec = ProcessSpec(
    ("bash", "-c", "setsid tail -f /dev/null {folder}/a & exec tail -f /dev/null {folder}/b"),
    Path("/"), {{"PATH": "/usr/bin:/bin"}}, stop_grace_seconds=0.2, isolation={isolation},
)
threading.Thread(target=ProcessRunner().run, args=(spec, print, threading.Event())).start()
time.sleep(60)
"""
"""Starts a step from a worker thread that ends; and is killed with no chance to clean up."""


@pytest.mark.parametrize("isolation", ["None", "Isolation(Path('{folder}'))"], ids=["open", "isolated"])
def test_a_step_does_not_outlive_a_killed_shipline(
    tmp_path: Path, marked: Callable[[], list[int]], isolation: str
) -> None:
    program = SHIPLINE.format(folder=tmp_path, isolation=isolation.format(folder=tmp_path))
    shipline = subprocess.Popen([sys.executable, "-c", program])
    try:
        wait_until(lambda: len(marked()) >= 3)  # two tails, and this program itself, whose text names the folder
        shipline.kill()
        shipline.wait()
        wait_until(lambda: marked() == [])
    finally:
        shipline.kill()
        shipline.wait()


def test_an_isolated_step_does_not_outlive_shipline_and_its_supervisor_killed_at_once(
    tmp_path: Path, marked: Callable[[], list[int]]
) -> None:
    program = SHIPLINE.format(folder=tmp_path, isolation=f"Isolation(Path('{tmp_path}'))")
    with subprocess.Popen([sys.executable, "-c", program]) as shipline:
        wait_until(lambda: len(marked()) >= 3)
        all_of_it = psutil.Process(shipline.pid).children(recursive=True)
        above = [one for one in all_of_it if any("step_supervisor" in word for word in one.cmdline())]
        for one in (psutil.Process(shipline.pid), *above[:2]):  # what forks supervisors, and the supervisor
            one.kill()
    wait_until(lambda: marked() == [])
