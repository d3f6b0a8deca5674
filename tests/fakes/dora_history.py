"""Hand-made histories for the metrics: a day is named by its number, an hour by its fraction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from delivery.dora import measure
from delivery.dora_question import Question, Window
from delivery.dora_rows import History, read_history

EPOCH = datetime(2026, 6, 1, tzinfo=UTC)
"""A Monday."""


def day(number: float) -> datetime:
    """This many days after the first Monday."""
    return EPOCH + timedelta(days=number)


def text(number: float | None) -> str | None:
    return None if number is None else day(number).isoformat().replace("+00:00", "Z")


class HistoryBuilder:
    """Writes projection documents as the flows do."""

    def __init__(self) -> None:
        self.deployments: list[dict[str, Any]] = []
        self.commits: list[dict[str, Any]] = []
        self.incidents: list[dict[str, Any]] = []

    def deploy(
        self,
        promotion: str,
        at: float,
        *,
        commits: Sequence[tuple[str, float]] = (),
        seed: bool = False,
        **fields: object,
    ) -> str:
        """A successful deployment, exposed at a day and live right then unless told otherwise; gives its id."""
        service = fields.get("service", "api")
        identity = f"{promotion}/{service}"
        kind = fields.get("kind", "change")
        live = [one["id"] for one in self.deployments if one["service"] == service and one["live_at"]]
        document = {
            "id": identity,
            "promotion": promotion,
            "service": service,
            "environment": "production",
            "tier": "production",
            "artifact": f"sha256:{promotion}",
            "kind": kind,
            "planned": kind not in {"rollback", "hotfix"},
            "previous": None if seed else (live[-1] if live else "before/history"),
            "result": "succeeded",
            "started_at": text(at),
            "exposed_at": text(at),
            "live_at": text(at),
        }
        self.deployments.append({**document, **fields})
        self.commits += [
            {"deployment": identity, "id": name, "parents": 1, "author": "ada", "committed_at": text(committed)}
            for name, committed in commits
        ]
        return identity

    def incident(self, name: str, opened: float, caused_by: str, **fields: object) -> None:
        self.incidents.append(
            {"id": name, "environment": "production", "opened_at": text(opened), "caused_by": caused_by, **fields}
        )

    def history(self) -> History:
        return read_history(self.deployments, self.commits, self.incidents)

    def ask(self, start: float = 0, end: float = 28, now: float | None = None, **question: Any) -> dict[str, Any]:  # noqa: ANN401  # fields of Question, passed on
        """The whole document; the window is in days."""
        asked = replace(Question(Window(day(start), day(end))), **question)
        return measure(self.history(), asked, day(end if now is None else now))

    def metric(self, name: str, end: float = 28, now: float | None = None, **question: Any) -> dict[str, Any]:  # noqa: ANN401  # fields of Question, passed on
        """One metric of it."""
        metric: dict[str, Any] = self.ask(end=end, now=now, **question)["metrics"][name]
        return metric
