"""Executing one planned step from a clean checkout to its result, and bringing an earlier success back.

Every step has a checkout of its own, so that steps that run side by side cannot see each other's
files; what it needs of others comes as their packed outputs. Nothing here raises for what happens to
a step: the result says it. What a step leaves in the cache is written last, after its blobs.
"""

import contextlib
import shlex
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Protocol, cast

from delivery.artifact import Digest, parse_digest
from delivery.caching.origin import may_be_shared
from delivery.config import Fixture, Reports, Retry, Step
from delivery.errors import ConfigurationError, DeliveryError
from delivery.isolation import Isolation
from delivery.masking import mask_text
from delivery.plan import PlannedStep
from delivery.ports import Fixtures, Row, Runner, StepCache, Store
from delivery.runner import (
    Ending,
    Exit,
    ProcessSpec,
    ToolVersion,
    command_arguments,
    describe_exit,
    killed_from_outside,
    looked,
    step_environment,
)
from delivery.step import ReportSummary, StepResult, StepState, TestCase, judge_reports
from delivery.step_outputs import find_outputs, pack_outputs, restore_outputs

_RECORD_VERSION = 1
_BEFORE_ISOLATION = "it was executed when steps were not isolated yet"


class Log(Protocol):
    """Where the output of one step goes."""

    def source(self, prefix: str = "") -> Callable[[bytes], None]:
        """What takes the output of one process."""
        ...

    def note(self, text: str) -> None:
        """Add a line of our own, whole and after everything that was said before; no process writes meanwhile."""
        ...

    def close(self) -> None:
        """Write what is held back; the file is complete afterwards."""
        ...


class OpenLog(Protocol):
    """Begins a log that masks secrets and shows complete lines."""

    def __call__(self, path: Path, secrets: Iterable[str], show: Callable[[str], None] | None) -> Log:
        """Begin it anew."""
        ...


@dataclass(frozen=True, slots=True)
class StepPorts:
    """What executing a step asks of the outside world."""

    runner: Runner
    fixtures: Fixtures
    store: Store
    cache: StepCache
    tool: Callable[[str], ToolVersion]
    read_reports: Callable[[Path, Reports, Callable[[str], str]], tuple[ReportSummary, tuple[str, ...]]]
    """What reports below a folder say, failed tests masked by the function given, and what is wrong with them."""
    open_log: OpenLog


@dataclass(frozen=True, slots=True)
class StepOrder:
    """One execution of a step: what to run, where, and after what."""

    planned: PlannedStep
    step: Step
    fixtures: Mapping[str, Fixture]
    """Every fixture that the configuration names."""
    folder: Path
    """A clean checkout for this execution alone."""
    renew: Callable[[Path], None]
    """Makes the folder a clean checkout again, whatever is in it."""
    private: Path
    """A folder outside of the checkout for HOME, TMPDIR and tools; whoever made it removes it."""
    log: Path
    variables: Mapping[str, str]
    """Environment variables from the run: SHIPLINE_PROJECT, SHIPLINE_REVISION, SHIPLINE_TOOL_CACHE and more."""
    needs: Sequence[StepResult] = ()
    """Results whose outputs are laid into the checkout first."""
    isolation: Isolation | None = None
    """What its command and its fixtures may see; None for everything that we see."""
    origin: Row = field(default_factory=dict)
    """What is kept beside a success of where it came from, as plain JSON."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    state: StepState
    reason: str = ""
    exit_code: int | None = None
    attempts: int = 0
    report: ReportSummary = field(default_factory=ReportSummary)
    outputs: Digest | None = None
    isolated: bool = False
    exposure: str = ""


def execute_step(
    order: StepOrder,
    ports: StepPorts,
    secret: Callable[[str], str],
    cancelled: Event,
    show: Callable[[str], None] | None = None,
) -> StepResult:
    """Run a step to its end. `secret` resolves `secret:NAME`; `show` gets each line of the log, masked.

    Failed: it ran and the answer is no. Errored: it could not be found out (no command, killed, out of
    time, no fixture, disk full). Only a success is recorded for reuse.
    """
    started = time.monotonic()
    secrets: dict[str, str] = {}
    try:
        secrets |= {name: secret(reference) for name, reference in order.step.secrets.items()}
        with contextlib.closing(ports.open_log(order.log, secrets.values(), show)) as log:
            outcome = _perform(order, ports, secrets, log, cancelled)
        result = _result(order, outcome, time.monotonic() - started, secrets.values())
        if result.state is StepState.COMPLETED and order.step.reuse:
            _record(order, ports, result)
    except (DeliveryError, OSError) as error:
        outcome = _Outcome(StepState.ERRORED, _cause(error))
        result = _result(order, outcome, time.monotonic() - started, secrets.values())
    return result


def reuse_step(
    planned: PlannedStep, store: Store, cache: StepCache, log: Path, *, shares: bool = False
) -> StepResult | None:
    """An earlier success with the same key, its log copied to `log`; None when there is none to be read whole.

    A run that `shares` takes only what may be shared.
    """
    record = cache.lookup(planned.key)
    if record is None or record.get("version") != _RECORD_VERSION or (shares and not may_be_shared(record)):
        return None
    kept_log = store.open(parse_digest(str(record["log"])))
    if kept_log is None:
        return None
    log.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kept_log, log)
    outputs = record["outputs"]
    return StepResult(
        planned.name,
        planned.service,
        StepState.CACHED,
        reason="nothing that it depends on has changed since an earlier success",
        exit_code=0,
        key=planned.key,
        outputs=parse_digest(str(outputs)) if outputs else None,
        report=_report(cast("Mapping[str, Any]", record["report"])),
        log=log.name,
        saved_seconds=float(cast("float", record["seconds"])),
        isolated=record.get("isolated") is True,
        exposure=str(record.get("exposure", _BEFORE_ISOLATION)),
    )


def prepare_private(private: Path, tools: Iterable[ToolVersion]) -> None:
    """Lay out a private folder for `step_environment`: empty `home` and `tmp`, and `bin` with the tools.

    A tool is a line of shell that runs it by its absolute path, not a link: a Python of a virtual
    environment, for one, knows where it belongs by the path it was called with.
    """
    for name in ("home", "tmp", "bin"):
        shutil.rmtree(private / name, ignore_errors=True)
        (private / name).mkdir(parents=True, exist_ok=True)
    for tool in tools:
        call = private / "bin" / tool.name
        call.write_text(f'#!/bin/sh\nexec {shlex.quote(str(tool.path))} "$@"\n')
        call.chmod(0o755)


def _perform(order: StepOrder, ports: StepPorts, secrets: Mapping[str, str], log: Log, cancelled: Event) -> _Outcome:
    restore_outputs(ports.store, order.needs, order.folder)
    ended = _attempt(order, ports, secrets, log, cancelled)
    attempts = 1
    while attempts < order.step.retry.attempts and _worth_another(ended, order.step.retry):
        attempts += 1
        why = describe_exit(ended, order.step.timeout_seconds)
        log.note(f"attempt {attempts} of {order.step.retry.attempts}, because the last was {why}")
        _begin_anew(order, ports)
        ended = _attempt(order, ports, secrets, log, cancelled)
    judged = _judge(order, ports, ended, secrets.values())
    outcome = replace(judged, attempts=attempts, isolated=ended.isolated, exposure=ended.exposure)
    if outcome.reason:
        log.note(outcome.reason)
    return outcome


def _begin_anew(order: StepOrder, ports: StepPorts) -> None:
    """Reports and outputs of an attempt that was killed are not those of the next."""
    order.renew(order.folder)
    restore_outputs(ports.store, order.needs, order.folder)


def _attempt(order: StepOrder, ports: StepPorts, secrets: Mapping[str, str], log: Log, cancelled: Event) -> Exit:
    if cancelled.is_set():
        return Exit(Ending.CANCELLED, None, None, 0.0, 0, truncated=False)
    step = order.step
    prepare_private(order.private, [ports.tool(name) for name in step.tools])
    with _fixtures(order, ports, log) as provided:
        named = {"SHIPLINE_STEP": order.planned.name}
        if order.planned.service:
            named["SHIPLINE_SERVICE"] = order.planned.service
        declared = {**order.variables, **named, **provided, **step.environment, **secrets}
        environment = step_environment(order.private, declared)
        spec = ProcessSpec(command_arguments(step.command), order.folder, environment, step.timeout_seconds)
        return ports.runner.run(replace(spec, isolation=order.isolation), log.source(), cancelled)


@contextlib.contextmanager
def _fixtures(order: StepOrder, ports: StepPorts, log: Log) -> Iterator[Mapping[str, str]]:
    """The step's fixtures, running; and the variables that say where they are."""
    provided: dict[str, str] = {}
    with contextlib.ExitStack() as running:
        for name in order.step.fixtures:
            if name not in order.fixtures:
                raise ConfigurationError(f"starting fixtures of step '{order.planned.name}': there is no '{name}'")
            output = log.source(f"[{name}] ")
            fixture = ports.fixtures.start(order.fixtures[name], order.folder, output, order.isolation)
            provided |= running.enter_context(fixture)
        yield provided


def _worth_another(ended: Exit, retry: Retry) -> bool:
    """Whether a policy wants another attempt; an answer, good or bad, never does."""
    if ended.ending is Ending.TIMED_OUT:
        return "timeout" in retry.on
    return "lost" in retry.on and killed_from_outside(ended)


def _judge(order: StepOrder, ports: StepPorts, ended: Exit, secrets: Iterable[str]) -> _Outcome:
    """What an end means, with reports and outputs."""
    why = describe_exit(ended, order.step.timeout_seconds)
    if ended.ending is Ending.CANCELLED:
        return _Outcome(StepState.CANCELLED, why)
    if not looked(ended):
        return _Outcome(StepState.ERRORED, why, ended.code)
    report, problems = ports.read_reports(order.folder, order.step.reports, partial(mask_text, values=secrets))
    reasons = judge_reports(report, order.step.reports)
    if not ended.succeeded:
        return _Outcome(StepState.FAILED, "; ".join((why, *reasons)), ended.code, report=report)
    written, missing = find_outputs(order.folder, order.step.outputs)
    reasons += (*problems, *missing)
    if reasons:
        return _Outcome(StepState.FAILED, "; ".join(reasons), ended.code, report=report)
    outputs = pack_outputs(ports.store, order.folder, written, order.private) if written else None
    return _Outcome(StepState.COMPLETED, "", ended.code, report=report, outputs=outputs)


def _result(order: StepOrder, outcome: _Outcome, seconds: float, secrets: Iterable[str]) -> StepResult:
    """The result, with no secret in what it says."""
    return StepResult(
        order.planned.name,
        order.planned.service,
        outcome.state,
        reason=mask_text(outcome.reason, secrets),
        exit_code=outcome.exit_code,
        attempts=outcome.attempts,
        seconds=round(seconds, 3),
        key=order.planned.key,
        outputs=outcome.outputs,
        report=outcome.report,
        log=order.log.name if order.log.exists() else None,
        isolated=outcome.isolated,
        exposure=outcome.exposure,
    )


def _cause(error: DeliveryError | OSError) -> str:
    if isinstance(error, DeliveryError):
        return f"{error.message} ({error.hint})" if error.hint else error.message
    return f"executing the step: {(error.strerror or str(error)).lower()}"


def _record(order: StepOrder, ports: StepPorts, result: StepResult) -> None:
    log = ports.store.put_file(order.log)
    record = {
        "version": _RECORD_VERSION,
        "step": order.planned.id,
        "seconds": result.seconds,
        "outputs": result.outputs,
        "log": log,
        "report": {**asdict(result.report), "failed": [asdict(case) for case in result.report.failed]},
        "origin": dict(order.origin),
        "isolated": result.isolated,
        "exposure": result.exposure,
    }
    ports.cache.record(order.planned.key, cast("Row", record), [log, *([result.outputs] if result.outputs else [])])


def _report(kept: Mapping[str, Any]) -> ReportSummary:
    return ReportSummary(**{**kept, "failed": tuple(TestCase(**case) for case in kept["failed"])})
