"""Check results as they come in: what they are about, and whom they wake."""

from dataclasses import dataclass

from pydantic import JsonValue

from delivery.actor import Actor
from delivery.checks import CheckResult, Of, Result
from delivery.errors import ConfigurationError
from delivery.promoting.reporting import report_check
from delivery.promoting.turn import read_promotions
from delivery.promotion import Phase
from shipline.control.control import Control
from shipline.control.dispatcher import look_again
from shipline.control.feeding import alone
from shipline.control.planning import Asked, find_revision
from shipline.control.promoting import find_release


@dataclass(frozen=True, slots=True)
class Report:
    """What somebody says of a revision or of a release."""

    name: str
    result: Result
    revision: str | None = None
    release: str | None = None
    url: str = ""
    summary: str = ""


def take_result(control: Control, project: str, report: Report, actor: Actor) -> dict[str, JsonValue]:
    """Record a result, and let promotions that wait look again: `{..., woken: [ids]}`."""
    of, subject = _subject(control, project, report)
    at = control.ports.clock.now()
    told = CheckResult(report.name, of, subject, report.result, at, report.url, report.summary)
    document = report_check(control.ports, project, told, actor)
    return {**document, "woken": [*_wake(control, project, subject)]}


def _subject(control: Control, project: str, report: Report) -> tuple[Of, str]:
    """The full commit or digest; ConfigurationError unless exactly one is named."""
    if report.revision is not None and report.release is None:
        return "revision", find_revision(control.ports, project, Asked(report.revision)).commit
    if report.release is not None and report.revision is None:
        return "release", str(find_release(control.ports, project, report.release)["digest"])
    raise ConfigurationError("reporting a check: name a revision or a release", hint="--revision REV, or --release ID")


def _wake(control: Control, project: str, subject: str) -> list[str]:
    """Best effort: the dispatcher's next look does the same."""
    waiting = read_promotions(control.ports, project=project, phase=Phase.WAITING.value)
    about = [one for one in waiting if subject in {one.release, one.configuration_revision}]
    for one in about:
        with alone(one.id):
            look_again(control, one)
    return [one.id for one in about]
