"""The answer of `delivery.dora.measure` as markdown, for the weekly report and for people."""

from collections.abc import Mapping
from typing import Any, Final

WARNING: Final = (
    "> **Not a target.** A measure that becomes a goal stops measuring (Goodhart). Use these numbers for one"
    " service over time, to find out where to look; not to compare teams or people."
)

_TITLES: Final = {
    "change_lead_time": "Change lead time",
    "deployment_frequency": "Deployment frequency",
    "failed_deployment_recovery_time": "Failed deployment recovery time",
    "change_fail_rate": "Change fail rate",
    "deployment_rework_rate": "Deployment rework rate",
    "pipeline_failure_rate": "Pipeline failure rate",
    "time_to_durable_live": "Time to durable live",
}
_UNITS: Final = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"))
_ROWS_SHOWN: Final = 10


def markdown(document: Mapping[str, Any], project: str) -> str:
    """The whole report: what was asked, the numbers, how to read them, and the rows of failures."""
    metrics = document["metrics"]
    parts = [
        f"# Delivery of {_inline(project)}",
        _scope(document),
        WARNING,
        "\n".join(
            [
                "| metric | value | band | n | 90th percentile |",
                "|--|--|--|--|--|",
                *(_line(name, metric) for name, metric in metrics.items()),
            ]
        ),
        _notes(metrics),
        _failures(document["rows"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def readable(value: float | None, unit: str) -> str:
    """A value for people; None is insufficient data and never a zero."""
    if value is None:
        return "insufficient data"
    if unit == "ratio":
        return f"{value:.1%}"
    if unit == "seconds":
        size, letter = next(((size, letter) for size, letter in _UNITS if value >= size), (1.0, "s"))
        return f"{value / size:.1f} {letter}"
    return f"{value:.2f} {unit}"


def _scope(document: Mapping[str, Any]) -> str:
    window = document["window"]
    service = f"service {_inline(window['service'])}" if window["service"] else "all services"
    environment = _inline(window["environment"]) if window["environment"] else "production"
    return (
        f"{service} in {environment}, {window['from'][:10]} to {window['to'][:10]} ({window['days']:.0f} days): "
        f"{document['n']} deployments. DORA {document['edition']}, variant {document['variant']}."
    )


def _line(name: str, metric: Mapping[str, Any]) -> str:
    ninetieth = readable(metric["p90"], metric["unit"]) if metric.get("p90") is not None else ""
    value = readable(metric["value"], metric["unit"])
    band = "" if metric["value"] is None else metric["band"]
    return f"| {_TITLES[name]} | {value} | {band} | {metric['n']} | {ninetieth} |"


def _notes(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    return "\n".join(f"- {_TITLES[name]}: {_inline(flag)}" for name, one in metrics.items() for flag in one["flags"])


def _failures(rows: list[Mapping[str, Any]]) -> str:
    """The latest deployments that failed, and whether they are over."""
    failed = sorted((row for row in rows if row.get("failed")), key=lambda row: row["exposed_at"], reverse=True)
    if not failed:
        return ""
    lines = [
        f"| {_inline(row['id'])} | {row['exposed_at']} | {row['restored_at'] or 'open'} "
        f"| {_inline('; '.join(row['failed_because']))} |"
        for row in failed[:_ROWS_SHOWN]
    ]
    head = ["## Failed deployments", "", "| deployment | exposed | restored | because |", "|--|--|--|--|"]
    more = [f"\n{len(failed) - _ROWS_SHOWN} earlier ones are left out."] if len(failed) > _ROWS_SHOWN else []
    return "\n".join([*head, *lines, *more])


def _inline(text: str) -> str:
    """Names come from repositories: they may not break out of a table or become markup."""
    return text.replace("|", r"\|").replace("<", "&lt;").replace("`", "'").replace("\n", " ")
