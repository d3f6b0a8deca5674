"""The end of a run as a person reads it: what failed first, then steps, artifacts and what waits."""

from delivery.errors import DeliveryError
from shipline.cli.client import segments
from shipline.cli.follow import Log, step_id
from shipline.cli.output import Document, duration, joined, short, standing_lines, table
from shipline.cli.session import Session

_LAST_LINES = 20
_SHOWN_TESTS = 10


def render_run(session: Session, run: Document) -> None:
    """Print the summary."""
    for step in run["steps"]:
        if step["state"] in {"Failed", "Errored"}:
            _render_failure(session, run["id"], step)
    session.say()
    if run["steps"]:
        table(("STEP", "STATE", "TOOK", "ATTEMPTS", "TESTS"), [_step_row(step) for step in run["steps"]])
        session.say()
    if run["artifacts"]:
        rows = [(one["service"], one["digest"], "reused" if one["reused"] else "built") for one in run["artifacts"]]
        table(("SERVICE", "ARTIFACT", ""), rows)
        session.say()
    for promotion in run["promotions"]:
        _render_promotion(session, promotion)
    problem = f": {run['problem']}" if run.get("problem") else ""
    session.say(f"run {run['id']} of {short(run['revision'])}: {run['state']}{problem}")
    if not run["promotions"]:
        tell_how_to_retry(session, run)
    if run.get("url"):
        session.say(str(run["url"]))
    if run.get("note"):
        session.say(str(run["note"]))


def _render_failure(session: Session, run: str, step: Document) -> None:
    reason = f": {step['reason']}" if step.get("reason") else ""
    session.say(f"\n{step_id(step)} {step['state']}{reason}")
    failed = (step.get("report") or {}).get("failed") or []
    for case in failed[:_SHOWN_TESTS]:
        session.say(f"  {case['name']}: {case['message']}")
        for line in str(case.get("output") or "").splitlines()[-_LAST_LINES:]:
            session.say(f"    {line}")
    if len(failed) > _SHOWN_TESTS:
        session.say(f"  and {len(failed) - _SHOWN_TESTS} more; all with: shipline logs {run} --step {step_id(step)}")
    if not failed:
        for line in _last_lines(session, run, step):
            session.say(f"  {line}")


def _last_lines(session: Session, run: str, step: Document) -> list[str]:
    try:
        return list(Log(session, run, step_id(step)).lines(ended=True))[-_LAST_LINES:]
    except DeliveryError as error:
        return [f"its log cannot be read: {error.message}"]


def _step_row(step: Document) -> tuple[object, ...]:
    report = step.get("report") or {}
    tests = f"{report['tests']} run, {report.get('failures', 0)} failed" if report.get("tests") else ""
    took = duration(step.get("seconds")) if step["state"] not in {"Skipped", "Cached"} else ""
    return (step_id(step), step["state"], took, step.get("attempts") or "", tests)


def _render_promotion(session: Session, promotion: Document) -> None:
    if promotion["state"] == "Waiting":
        whole = session.api.get(segments("promotions", promotion["id"]))
        render_waiting(session, whole)
    else:
        session.say(f"{promotion['environment']}: {promotion['state']}")
        tell_how_to_retry(session, promotion)


def tell_how_to_retry(session: Session, document: Document) -> None:
    """What to type once the cause of an Errored run or promotion is gone."""
    if document["state"] == "Errored":
        session.say(f"  once its cause is gone: shipline retry {document['id']}")


def render_waiting(session: Session, promotion: Document) -> None:
    """What a promotion waits for, and what to type."""
    identity = promotion["id"]
    why = joined(promotion.get("reasons")) or promotion.get("because") or "a decision"
    session.say(f"{promotion['environment']}: Waiting ({why})")
    for line in standing_lines(promotion):
        session.say(f"  {line}")
    if not promotion.get("asks_a_person", True):
        session.say(f"  follow it with: shipline logs {identity} --follow")
        return
    session.say(f"  approve with: shipline approve {identity}")
    session.say(f"  reject with:  shipline reject {identity} --reason TEXT")
    if promotion.get("url"):
        session.say(f"  or in the browser: {promotion['url']}")
