"""What an environment may ask of a promotion before it rolls out: the sections of its gates."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from delivery.config_types import Label, LongSeconds, Name

MOST_WINDOWS = 20
MOST_CHECKS = 20
MOST_CONDITIONS = 20

Moment = Annotated[
    str, Field(max_length=19, json_schema_extra={"pattern": r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?)?$"})
]
"""`2026-12-24` or `2026-12-24T17:00`, as clocks show it in the window's time zone."""


class GateSection(BaseModel):
    """Frozen, without unknown keys, and kept in the ledger without what it leaves out."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_serializer(mode="wrap")
    def _without_gaps(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in whole(self).items() if value is not None and value != []}


class Upstreams(GateSection):
    """Several environments that a release must be verified in first; exactly one of the two."""

    all: list[Name] = Field(default=[], max_length=10)
    """Every one of them."""
    any: list[Name] = Field(default=[], max_length=10)
    """One of them is enough."""


class Freeze(GateSection):
    """A time in which nothing rolls out: `from` and `until`, or `cron` with `for_seconds`, or `calendar`.

    Automatic rollbacks always pass.
    """

    name: Label
    time_zone: str = "UTC"
    """IANA name, for instance 'Europe/Berlin'; what clocks show there decides."""
    begins: Moment | None = Field(default=None, alias="from")
    """The first moment; a date means its beginning."""
    until: Moment | None = None
    """The end; a date means that the whole day is in the window."""
    cron: Annotated[str, Field(max_length=100)] | None = None
    """Five fields (minute, hour, day, month, day of week): when it begins, again and again."""
    for_seconds: LongSeconds | None = None
    """How long it lasts each time that `cron` names; at most 31 days."""
    calendar: Annotated[str, Field(max_length=300)] | None = None
    """An iCalendar file of the repository, read at the revision that is promoted: its events are windows."""
    allow: list[Literal["hotfix", "rollback", "redeploy"]] = []
    """Kinds of promotions that pass; rollbacks here are those that a person asks for."""


class Check(GateSection):
    """A result that another system must have reported: `shipline check-result NAME passed --revision REV`."""

    name: Label
    of: Literal["revision", "release"] = "revision"
    """Whether it is about the revision that is promoted, or about the release."""
    fresh_seconds: LongSeconds | None = None
    """How old it may be when the rollout begins; left out: as old as it is."""


class Quota(GateSection):
    """At most so many rollouts begin within a time; rollbacks and hotfixes pass and are not counted."""

    promotions: int = Field(ge=1, le=1000)
    per_seconds: LongSeconds


class Condition(GateSection):
    """Something in CEL that must be true of a promotion; docs/gates.md has the facts that it can ask about."""

    name: Label
    cel: Annotated[str, Field(min_length=1, max_length=2000)]
    """An expression that gives true or false."""
    because: Annotated[str, Field(min_length=1, max_length=300)]
    """What a person is told when it is false."""
    otherwise: Literal["refuse", "wait"] = "refuse"
    """What happens when it is false: `wait` for what changes with time, like `now` or `checks`."""
