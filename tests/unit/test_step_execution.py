"""What becomes of a step for every way its command can end; processes are played by the fake runner."""

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from delivery.adapters.reports import read_reports
from delivery.adapters.step_log import StepLog
from delivery.artifact import digest_of
from delivery.config import Fixture, PostgresqlFixture, Reports, Retry, Step
from delivery.errors import ConfigurationError, NotFoundError
from delivery.plan import Action, PlannedStep
from delivery.runner import ProcessSpec, ToolVersion
from delivery.step import ReportSummary, StepResult, StepState, TestCase
from delivery.step_execution import StepOrder, StepPorts, execute_step, reuse_step
from tests.fakes.fixtures import NamedFixtures
from tests.fakes.runner import Act, ScriptedRunner
from tests.fakes.store import InMemoryStepCache, InMemoryStore

COMMAND = ("make", "test")
PLANNED = PlannedStep("unit", "api", Action.RUN, (), (), digest_of(b"key"))
SECRETS = {"secret:TOKEN": "hunter2hunter2"}
FIXTURES = {"db": Fixture(postgresql=PostgresqlFixture())}
FAILED_JUNIT = '<testsuite><testcase name="t"><failure message="got hunter2hunter2">x</failure></testcase></testsuite>'


class Bench:
    """One step on fakes."""

    def __init__(self, folder: Path, store: InMemoryStore) -> None:
        self.folder = folder
        self.store = store
        self.cache = InMemoryStepCache(store)
        self.fixtures = NamedFixtures()
        self.cancelled = threading.Event()
        self.runner = ScriptedRunner({})
        self.log = folder / "logs" / "unit@api.log"

    def ports(self) -> StepPorts:
        return StepPorts(self.runner, self.fixtures, self.store, self.cache, _tool, read_reports, StepLog)

    def execute(self, *acts: Act, needs: tuple[StepResult, ...] = (), **step: Any) -> StepResult:  # noqa: ANN401  # any key of a step
        self.runner = ScriptedRunner({COMMAND: list(acts)} if acts else {})
        (self.folder / "checkout").mkdir(exist_ok=True)
        order = StepOrder(
            PLANNED,
            Step(command=list(COMMAND), **step),
            FIXTURES,
            self.folder / "checkout",
            _empty,
            self.folder / "private",
            self.log,
            {"SHIPLINE_REVISION": "c0ffee"},
            needs,
        )
        return execute_step(order, self.ports(), _secret, self.cancelled)

    def reuse(self) -> StepResult | None:
        return reuse_step(PLANNED, self.store, self.cache, self.folder / "other" / "run.log")

    @property
    def environment(self) -> Mapping[str, str]:
        return self.runner.specs[-1].environment


def _tool(name: str) -> ToolVersion:
    if name == "absent":
        raise ConfigurationError("looking for the tool 'absent': it is not on the PATH of the control plane")
    return ToolVersion(name, Path("/opt/my tools") / name, "1.0")


def _secret(reference: str) -> str:
    if reference not in SECRETS:
        raise NotFoundError(f"resolving {reference}: it is not set")
    return SECRETS[reference]


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def writing(name: str, content: str) -> Callable[[ProcessSpec], None]:
    def write(spec: ProcessSpec) -> None:
        (spec.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (spec.folder / name).write_text(content)

    return write


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    store = InMemoryStore()
    yield Bench(tmp_path, store)
    store.close()


def test_a_success_is_completed_and_says_nothing(bench: Bench) -> None:
    result = bench.execute(Act(b"3 passed\n"))
    assert result == StepResult(
        "unit",
        "api",
        StepState.COMPLETED,
        exit_code=0,
        attempts=1,
        seconds=result.seconds,
        key=PLANNED.key,
        log="unit@api.log",
    )
    assert bench.log.read_bytes() == b"3 passed\n"


@pytest.mark.parametrize(
    ("act", "state", "reason"),
    [
        (Act(code=2), StepState.FAILED, "exited with 2"),
        (Act(signal=11), StepState.FAILED, "killed by SIGSEGV"),
        (Act(signal=9), StepState.ERRORED, "killed by SIGKILL"),
        (Act(code=127), StepState.ERRORED, "exited with 127: command not found"),
        (Act(seconds=99), StepState.ERRORED, "timed out after 5 s"),
    ],
)
def test_a_bad_end_is_failed_when_it_answered_and_errored_when_it_did_not(
    bench: Bench, act: Act, state: StepState, reason: str
) -> None:
    result = bench.execute(act, timeout_seconds=5)
    assert (result.state, result.reason, result.attempts) == (state, reason, 1)
    assert bench.reuse() is None
    assert bench.log.read_text() == f"shipline: {reason}\n"


def test_a_command_that_is_not_there_is_errored(bench: Bench) -> None:
    result = bench.execute()
    assert (result.state, result.reason) == (StepState.ERRORED, "command not found: 'make'")


def test_a_lost_process_is_tried_again_and_may_succeed(bench: Bench) -> None:
    result = bench.execute(Act(b"one\n", signal=9), Act(b"two\n"), retry=Retry(attempts=3))
    assert (result.state, result.attempts) == (StepState.COMPLETED, 2)
    assert bench.log.read_text() == "one\nshipline: attempt 2 of 3, because the last was killed by SIGKILL\ntwo\n"


def test_a_note_that_ends_as_a_secret_begins_is_written_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SECRETS, "secret:WORD", "s and p")
    slow = Act(b"one\n", seconds=9)
    again = Retry(attempts=2, on=["timeout"])
    bench.execute(slow, Act(b"two\n", code=1), timeout_seconds=5, retry=again, secrets={"WORD": "secret:WORD"})
    assert bench.log.read_text() == (
        "one\nshipline: attempt 2 of 2, because the last was timed out after 5 s\ntwo\nshipline: exited with 1\n"
    )


def test_a_further_attempt_sees_nothing_of_the_last_one_but_the_outputs_of_needs(bench: Bench) -> None:
    need = bench.execute(Act(effect=writing("dist/app", "v1")), outputs=["dist"])
    seen: list[list[str]] = []

    def look(spec: ProcessSpec) -> None:
        seen.append(sorted(path.relative_to(spec.folder).as_posix() for path in spec.folder.rglob("*")))
        writing("dist/app", "broken")(spec)
        writing("new", "half")(spec)

    _empty(bench.folder / "checkout")
    bench.execute(Act(signal=9, effect=look), Act(effect=look), needs=(need,), retry=Retry(attempts=2))
    assert seen == [["dist", "dist/app"]] * 2


def test_a_report_or_output_of_a_killed_attempt_does_not_count_for_the_next(bench: Bench) -> None:
    junit = '<testsuite><testcase name="t"/></testsuite>'
    killed = Act(signal=9, effect=writing("junit.xml", junit))
    reports = Reports(junit=["junit.xml"])
    result = bench.execute(killed, Act(), reports=reports, outputs=["junit.xml"], retry=Retry(attempts=2))
    assert (result.state, result.attempts, result.reason) == (
        StepState.FAILED,
        2,
        "the report 'junit.xml' was not written; the output 'junit.xml' was not written",
    )
    assert bench.reuse() is None


def test_a_failing_test_is_never_tried_again(bench: Bench) -> None:
    result = bench.execute(Act(code=1), Act(), retry=Retry(attempts=5, on=["lost", "timeout"]))
    assert (result.state, result.attempts) == (StepState.FAILED, 1)


def test_a_timeout_is_tried_again_only_where_the_policy_says_so(bench: Bench) -> None:
    slow = Act(seconds=9)
    assert bench.execute(slow, Act(), timeout_seconds=5, retry=Retry(attempts=2)).attempts == 1
    again = bench.execute(slow, Act(), timeout_seconds=5, retry=Retry(attempts=2, on=["timeout"]))
    assert (again.state, again.attempts) == (StepState.COMPLETED, 2)


def test_what_was_cancelled_is_cancelled_and_not_tried_again(bench: Bench) -> None:
    bench.cancelled.set()
    result = bench.execute(Act(), retry=Retry(attempts=3, on=["lost", "timeout"]))
    assert (result.state, result.reason, bench.runner.specs) == (StepState.CANCELLED, "cancelled", [])


def test_failed_tests_fail_a_step_that_exits_with_0_and_no_secret_is_told(bench: Bench) -> None:
    result = bench.execute(
        Act(effect=writing("junit.xml", FAILED_JUNIT)),
        reports=Reports(junit=["junit.xml"]),
        secrets={"TOKEN": "secret:TOKEN"},
    )
    assert (result.state, result.reason, result.exit_code) == (StepState.FAILED, "1 of 1 tests failed: t", 0)
    assert result.report.failed[0].message == "got ***"


def test_a_secret_that_the_cut_of_a_report_goes_through_is_not_told_in_part(bench: Bench) -> None:
    junit = FAILED_JUNIT.replace("got ", "m" * 3990).replace(">x<", f">hunter2hunter2{'o' * 3990}<")
    result = bench.execute(
        Act(effect=writing("junit.xml", junit)),
        reports=Reports(junit=["junit.xml"]),
        secrets={"TOKEN": "secret:TOKEN"},
    )
    assert result.report.failed == (TestCase("t", f"{'m' * 3990}***", f"***{'o' * 3990}"),)


def test_a_declared_report_that_is_missing_fails_the_step(bench: Bench) -> None:
    result = bench.execute(Act(), reports=Reports(junit=["junit.xml"]))
    assert (result.state, result.reason) == (StepState.FAILED, "the report 'junit.xml' was not written")


def test_a_failed_command_says_its_code_and_its_tests(bench: Bench) -> None:
    act = Act(code=1, effect=writing("junit.xml", FAILED_JUNIT))
    result = bench.execute(act, reports=Reports(junit=["junit.xml"]))
    assert (result.reason, result.report.tests) == ("exited with 1; 1 of 1 tests failed: t", 1)


def test_a_step_sees_what_it_asked_for_and_nothing_else(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_KEY", "no")
    bench.execute(
        Act(b"hunter2hunter2"),
        environment={"MODE": "fast", "PGDATABASE": "mine"},
        secrets={"TOKEN": "secret:TOKEN"},
        fixtures=["db"],
    )
    private = bench.folder / "private"
    seen = dict(bench.environment)
    assert seen.pop("PATH").startswith(f"{private}/bin:/usr/local/sbin")
    assert seen.pop("DATABASE_URL").startswith("postgresql://")
    assert seen == {
        "HOME": f"{private}/home",
        "TMPDIR": f"{private}/tmp",
        "LANG": "C.UTF-8",
        "CI": "true",
        "SOURCE_DATE_EPOCH": "315532800",
        "SHIPLINE_REVISION": "c0ffee",
        "SHIPLINE_STEP": "unit",
        "SHIPLINE_SERVICE": "api",
        "MODE": "fast",
        "TOKEN": "hunter2hunter2",
        "PGHOST": "127.0.0.1",
        "PGPORT": "54321",
        "PGUSER": "postgres",
        "PGPASSWORD": "postgres",
        "PGDATABASE": "mine",
    }
    assert bench.log.read_text() == f"[db] ready in {bench.folder}/checkout\n***"
    assert bench.fixtures.running == 0


def test_tools_are_called_by_their_absolute_path(bench: Bench) -> None:
    bench.execute(Act(), tools=["python"])
    call = bench.folder / "private" / "bin" / "python"
    assert call.read_text() == "#!/bin/sh\nexec '/opt/my tools/python' \"$@\"\n"
    assert call.stat().st_mode & 0o111 == 0o111


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"secrets": {"X": "secret:UNSET"}}, "resolving secret:UNSET: it is not set"),
        ({"tools": ["absent"]}, "looking for the tool 'absent': it is not on the PATH of the control plane"),
        ({"fixtures": ["nope"]}, "starting fixtures of step 'unit': there is no 'nope'"),
    ],
)
def test_what_cannot_be_prepared_is_errored(bench: Bench, step: dict[str, Any], reason: str) -> None:
    result = bench.execute(Act(), **step)
    assert (result.state, result.reason) == (StepState.ERRORED, reason)


def test_a_fixture_that_does_not_start_is_errored(bench: Bench) -> None:
    bench.fixtures = NamedFixtures(failures=1)
    result = bench.execute(Act(), fixtures=["db"])
    assert (result.state, result.reason) == (
        StepState.ERRORED,
        "starting the fixture: not ready within 30 s",
    )


def test_a_full_disk_is_errored_and_nothing_is_recorded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bench.store, "put_file", full)
    result = bench.execute(Act())
    assert (result.state, result.reason) == (StepState.ERRORED, "executing the step: no space left on device")
    assert bench.reuse() is None


def test_outputs_reach_the_next_step(bench: Bench) -> None:
    first = bench.execute(Act(effect=writing("dist/app", "v1")), outputs=["dist"])
    assert first.outputs is not None
    (bench.folder / "checkout" / "dist" / "app").unlink()
    bench.execute(Act(), needs=(first,))
    assert (bench.folder / "checkout" / "dist" / "app").read_text() == "v1"


def test_an_output_that_was_not_written_fails_the_step(bench: Bench) -> None:
    result = bench.execute(Act(effect=writing("dist/app", "v1")), outputs=["dist", "docs/*.html"])
    assert (result.state, result.reason) == (StepState.FAILED, "the output 'docs/*.html' was not written")


def test_outputs_that_the_store_lost_are_errored(bench: Bench) -> None:
    first = bench.execute(Act(effect=writing("dist/app", "v1")), outputs=["dist"])
    assert first.outputs is not None
    bench.store.contents[first.outputs] = b"damaged"
    result = bench.execute(Act(), needs=(first,))
    assert result.state is StepState.ERRORED
    assert result.reason.startswith("restoring the outputs of step 'unit'")


def test_a_reused_step_brings_everything_back(bench: Bench) -> None:
    junit = '<testsuite><testcase name="t"/></testsuite>'
    done = bench.execute(
        Act(b"out of hunter2hunter2\n", effect=writing("junit.xml", junit)),
        outputs=["junit.xml"],
        reports=Reports(junit=["junit.xml"]),
        secrets={"TOKEN": "secret:TOKEN"},
    )
    again = bench.reuse()
    assert again is not None
    assert (again.state, again.exit_code, again.outputs, again.key) == (StepState.CACHED, 0, done.outputs, PLANNED.key)
    assert again.report == ReportSummary(tests=1)
    assert again.log == "run.log"
    assert (bench.folder / "other" / "run.log").read_text() == "out of ***\n"


def test_a_step_that_is_not_for_reuse_leaves_no_record(bench: Bench) -> None:
    assert bench.execute(Act(), reuse=False).state is StepState.COMPLETED
    assert bench.reuse() is None


def test_a_record_whose_log_is_damaged_is_not_reused(bench: Bench) -> None:
    bench.execute(Act(b"log\n"))
    for digest in bench.store.contents:
        bench.store.contents[digest] = b"damaged"
    assert bench.reuse() is None
