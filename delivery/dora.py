"""DORA's five delivery metrics over a window, each with the rows that made it.

Definitions, and what is deliberately left out of each, stand in `docs/reference/dora.md`. Everything
here is pure: a history, a question and the present time in, one JSON document out.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from pydantic import JsonValue

from delivery.dora_bands import HOUR, NO_BAND, Measure, band, survey_answer
from delivery.dora_drilldown import commit_row, deployment_row, incident_row
from delivery.dora_facts import Facts, LandedCommit, facts_of
from delivery.dora_metric import ENOUGH, Metric, Spell, duration, insufficient, rate, unknown
from delivery.dora_question import DAYS_A_WEEK, Question, Variant
from delivery.dora_rows import Deployment, History, Incident
from delivery.ledger import utc_text

_UNTOLD = "nothing here could tell a failure: no result, no rollback, no incident"


@dataclass(frozen=True, slots=True)
class _Selection:
    """The facts that a question is about."""

    question: Question
    facts: Facts
    now: datetime
    exposed: tuple[Deployment, ...]
    changes: tuple[Deployment, ...]
    """Exposed, and no rollback."""
    attempts: tuple[Deployment, ...]
    landed: tuple[LandedCommit, ...]
    durable: tuple[LandedCommit, ...]
    incidents: tuple[Incident, ...]


def measure(history: History, question: Question, now: datetime) -> dict[str, JsonValue]:
    """`{window, edition, variant, n, metrics, rows}`; `n` is the number of deployments that count."""
    chosen = _select(facts_of(history), question, now)
    metrics = {name: compute(chosen) for name, compute in _METRICS[question.variant].items()}
    return {
        "window": _window(question),
        "edition": question.edition,
        "variant": question.variant,
        "n": len(chosen.exposed),
        "metrics": {name: metric.document() for name, metric in metrics.items()},
        "rows": _rows(chosen, metrics.values()),
    }


def beside(history: History, question: Question, now: datetime) -> dict[str, JsonValue]:
    """`{variant, metrics}` of the other variant: the same question, counted as the replaced system did."""
    other = replace(question, variant="seed-a" if question.variant == "default" else "default")
    return {"variant": other.variant, "metrics": measure(history, other, now)["metrics"]}


def _select(facts: Facts, question: Question, now: datetime) -> _Selection:
    def asked(one: Deployment, moment: datetime | None) -> bool:
        return question.window.holds(moment) and question.admits(one.environment, one.service)

    landed = [one for one in facts.landed if one.commit.author not in question.ignored_authors]
    exposed = tuple(one for one in facts.exposed if asked(one, one.exposed_at))
    return _Selection(
        question=question,
        facts=facts,
        now=now,
        exposed=exposed,
        changes=tuple(one for one in exposed if one.kind != "rollback"),
        attempts=tuple(one for one in facts.attempts if asked(one, one.attempted_at)),
        landed=tuple(one for one in landed if asked(one.deployment, one.deployment.exposed_at)),
        durable=tuple(one for one in landed if one.durable and asked(one.durable, one.durable.exposed_at)),
        incidents=tuple(one for one in facts.incidents if _asks_about(question, one, facts)),
    )


def _asks_about(question: Question, incident: Incident, facts: Facts) -> bool:
    return (
        question.window.holds(incident.opened_at)
        and question.environment in {None, incident.environment}
        and (question.service is None or question.service in facts.services_hurt[incident.id])
    )


def _change_lead_time(chosen: _Selection) -> Metric:
    spells = [
        Spell(one.commit.row_id, (one.live_at - one.commit.committed_at).total_seconds()) for one in chosen.landed
    ]
    return _with_answer("lead time", duration(spells, chosen.question.band("lead time"), _lead_time_flags(chosen)))


def _lead_time_flags(chosen: _Selection) -> list[str]:
    seeds = [one.id for one in chosen.changes if one.id in chosen.facts.seeds]
    unknown = [one.id for one in chosen.changes if one.id in chosen.facts.without_commits]
    told = [f"seed: first deployment left out: {one}" for one in seeds]
    return told + [f"no new commits known, left out: {one}" for one in unknown]


def _time_to_durable_live(chosen: _Selection) -> Metric:
    spells = [
        Spell(one.commit.row_id, (one.durable.live_at - one.commit.committed_at).total_seconds())
        for one in chosen.durable
        if one.durable and one.durable.live_at
    ]
    undone = sum(one.durable is None for one in chosen.landed)
    flags = [f"{undone} commits stand rolled back and are not counted"] if undone else []
    return _with_answer("lead time", duration(spells, chosen.question.band("lead time"), flags))


def _deployment_frequency(chosen: _Selection) -> Metric:
    """Changes a day, every day of the window counted."""
    days = chosen.question.window.days
    moments = sorted(one.exposed_at for one in chosen.changes if one.exposed_at)
    details: dict[str, JsonValue] = {
        "all_per_day": len(chosen.exposed) / days,
        "days_per_week_median": _days_per_week(moments, chosen.question),
        "seconds_between_median": _between(moments),
    }
    rows = [one.id for one in chosen.changes]
    if days < DAYS_A_WEEK or len(rows) < ENOUGH:
        flags = ["the window is shorter than a week"] if days < DAYS_A_WEEK else []
        return insufficient("deployments per day", rows, flags, **dict.fromkeys(details))
    value = len(rows) / days
    label = band(chosen.question.edition, "frequency", value)
    metric = Metric(value, "deployments per day", len(rows), label, tuple(rows), (), details)
    return _with_answer("frequency", metric)


def _days_per_week(moments: Iterable[datetime], question: Question) -> float | None:
    """Median of days with a deployment over whole weeks, counted back from the end; empty weeks count."""
    zone = ZoneInfo(question.timezone)
    last = (question.window.end - timedelta(microseconds=1)).astimezone(zone).date()
    weeks = int(question.window.days) // DAYS_A_WEEK
    deployed = {moment.astimezone(zone).date() for moment in moments}
    counts = [0] * weeks
    for day in deployed:
        week = (last - day).days // DAYS_A_WEEK
        if week < weeks:
            counts[week] += 1
    return statistics.median(counts) if counts else None


def _between(moments: Sequence[datetime]) -> float | None:
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]
    return statistics.median(gaps) if gaps else None


def _failed_deployment_recovery_time(chosen: _Selection) -> Metric:
    failures = [chosen.facts.failures[one.id] for one in chosen.exposed if one.id in chosen.facts.failures]
    spells = [_spell(one.deployment.id, one.exposed_at, one.restored_at, chosen.now) for one in failures]
    return _with_answer("recovery", duration(spells, chosen.question.band("recovery")))


def _spell(row: str, start: datetime, end: datetime | None, now: datetime) -> Spell:
    return Spell(row, ((end or now) - start).total_seconds(), ended=end is not None)


def _change_fail_rate(chosen: _Selection) -> Metric:
    failed = [one.id for one in chosen.changes if one.id in chosen.facts.failures]
    rows = [one.id for one in chosen.changes]
    if not _failures_are_told(chosen):
        return unknown("ratio", rows, _UNTOLD)
    metric = rate(failed, rows, chosen.question.band("change fail rate"))
    if chosen.question.edition != "2024" or metric.band not in {"medium", "high"}:
        return metric
    return replace(metric, flags=("the clusters of 2024 are not monotone: medium fails less often than high",))


def _deployment_rework_rate(chosen: _Selection) -> Metric:
    rework = [one.id for one in chosen.exposed if one.is_rework]
    rows = [one.id for one in chosen.exposed]
    if not _failures_are_told(chosen):
        return unknown("ratio", rows, "nothing here could tell rework: no result, no rollback, no incident")
    return rate(rework, rows, _unbanded)


def _failures_are_told(chosen: _Selection) -> bool:
    """Whether anything could have marked a failure: a history of bare deployments says nothing about them."""
    marked = any(one.result is not None or one.is_rework for one in chosen.exposed)
    known = any(one.id in chosen.facts.failures for one in chosen.exposed)
    return marked or known or bool(chosen.facts.incidents) or not chosen.exposed


def _pipeline_failure_rate(chosen: _Selection) -> Metric:
    """Attempts that failed before any user saw them: no change failures, whatever incident was opened."""
    failed = [one.id for one in chosen.attempts if one.exposed_at is None]
    return rate(failed, [one.id for one in chosen.attempts], _unbanded)


def _unbanded(_: float) -> str:
    return NO_BAND


def _first_commit_lead_time(chosen: _Selection) -> Metric:
    """From the first commit of each deployment to production."""
    first: dict[str, Spell] = {}
    for one in chosen.landed:
        seconds = (one.live_at - one.commit.committed_at).total_seconds()
        known = first.get(one.deployment.id)
        if known is None or seconds > known.seconds:
            first[one.deployment.id] = Spell(one.deployment.id, seconds)
    metric = duration(list(first.values()), chosen.question.band("lead time"), _lead_time_flags(chosen))
    return _aimed(metric, "< 1 hour", met=metric.value is not None and metric.value < HOUR)


def _deployments_per_week(chosen: _Selection) -> Metric:
    daily = _deployment_frequency(chosen)
    value = None if daily.value is None else daily.value * DAYS_A_WEEK
    metric = replace(daily, value=value, unit="deployments per week")
    return _aimed(metric, "multiple per day", met=daily.value is not None and daily.value > 1)


def _incident_time(chosen: _Selection) -> Metric:
    """From the incident's opening to its resolution."""
    spells = [_spell(one.id, one.opened_at, one.resolved_at, chosen.now) for one in chosen.incidents]
    metric = duration(spells, chosen.question.band("recovery"))
    return _aimed(metric, "< 1 hour", met=metric.value is not None and metric.value < HOUR)


def _rollback_rate(chosen: _Selection) -> Metric:
    rollbacks = [one.id for one in chosen.exposed if one.kind == "rollback"]
    rows = [one.id for one in chosen.exposed]
    metric = rate(rollbacks, rows, chosen.question.band("change fail rate"))
    if not _failures_are_told(chosen):
        metric = unknown("ratio", rows, _UNTOLD)
    return _aimed(metric, "< 15 %", met=metric.value is not None and metric.value < 0.15)  # noqa: PLR2004  # as it says


def _aimed(metric: Metric, target: str, *, met: bool) -> Metric:
    """The metric beside the source system's own target; not met and unknown are different things."""
    known = None if metric.value is None else met
    return replace(metric, details={**metric.details, "target": target, "target_met": known})


def _with_answer(measure: Measure, metric: Metric) -> Metric:
    answer = None if metric.value is None else survey_answer(measure, metric.value)
    return replace(metric, details={**metric.details, "survey_answer": answer})


_COMMON: Mapping[str, Callable[[_Selection], Metric]] = {
    "deployment_rework_rate": _deployment_rework_rate,
    "pipeline_failure_rate": _pipeline_failure_rate,
    "time_to_durable_live": _time_to_durable_live,
}
_METRICS: Mapping[Variant, Mapping[str, Callable[[_Selection], Metric]]] = {
    "default": {
        "change_lead_time": _change_lead_time,
        "deployment_frequency": _deployment_frequency,
        "failed_deployment_recovery_time": _failed_deployment_recovery_time,
        "change_fail_rate": _change_fail_rate,
        **_COMMON,
    },
    "seed-a": {
        "change_lead_time": _first_commit_lead_time,
        "deployment_frequency": _deployments_per_week,
        "failed_deployment_recovery_time": _incident_time,
        "change_fail_rate": _rollback_rate,
        **_COMMON,
    },
}


def _window(question: Question) -> dict[str, JsonValue]:
    window = question.window
    return {
        "from": utc_text(window.start),
        "to": utc_text(window.end),
        "days": window.days,
        "timezone": question.timezone,
        "environment": question.environment,
        "service": question.service,
    }


def _rows(chosen: _Selection, metrics: Iterable[Metric]) -> list[JsonValue]:
    """Every row that a metric names, once."""
    shown = {row for metric in metrics for row in metric.rows}
    deployments = {one.id: one for one in (*chosen.exposed, *chosen.attempts)}
    commits = {one.commit.row_id: one for one in (*chosen.landed, *chosen.durable)}
    documents = [deployment_row(one, chosen.facts) for row, one in deployments.items() if row in shown]
    documents += [commit_row(one) for row, one in commits.items() if row in shown]
    documents += [incident_row(one) for one in chosen.incidents if one.id in shown]
    return list(documents)
