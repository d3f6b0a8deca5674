"""What is asked of DORA's metrics: which window, narrowed to what, counted how."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from delivery.dora_bands import Edition, Measure, band, parse_edition
from delivery.dora_metric import Band
from delivery.errors import ConfigurationError
from delivery.ledger import utc_text

Variant = Literal["default", "seed-a"]
DAYS_A_WEEK = 7
DEFAULT_DAYS = 13 * DAYS_A_WEEK


@dataclass(frozen=True, slots=True)
class Window:
    """From one moment up to, not including, another; a deployment belongs to it by its first user traffic."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ConfigurationError(
                f"the window must end after it starts, got {utc_text(self.start)} to {utc_text(self.end)}"
            )

    @classmethod
    def until(cls, end: datetime, days: int = DEFAULT_DAYS) -> "Window":
        """The last thirteen weeks, unless told otherwise."""
        return cls(end - timedelta(days=days), end)

    @property
    def days(self) -> float:
        """Its length."""
        return (self.end - self.start) / timedelta(days=1)

    def holds(self, moment: datetime | None) -> bool:
        """Whether something known to have happened did so inside."""
        return moment is not None and self.start <= moment < self.end


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a window, what it is narrowed to, and how it is to be counted."""

    window: Window
    environment: str | None = None
    """One of the environments of production tier; no other tier is ever measured."""
    service: str | None = None
    edition: Edition = "2024"
    variant: Variant = "default"
    timezone: str = "UTC"
    """IANA name; says which day a deployment is on."""
    ignored_authors: frozenset[str] = frozenset()
    """Authors (robots) whose commits have no lead time."""

    def admits(self, environment: str | None, service: str | None) -> bool:
        """Whether something there is asked about."""
        return self.environment in {None, environment} and self.service in {None, service}

    def band(self, measure: Measure) -> Band:
        """The edition's labels for one of its metrics."""
        return lambda value: band(self.edition, measure, value)


def parse_variant(text: str) -> Variant:
    """The variant of this name, or ConfigurationError."""
    if text in get_args(Variant):
        return cast("Variant", text)
    raise ConfigurationError(f"variant must be one of {', '.join(get_args(Variant))}, got '{text}'")


def parse_question(query: Mapping[str, str | None], now: datetime, ignored_authors: Iterable[str] = ()) -> Question:
    """The question that a command line or an address asks; ConfigurationError for what cannot be read.

    The query may have `environment`, `service`, `from` and `to` (RFC 3339; a date alone is its midnight
    in UTC), `edition`, `variant` and `timezone`. What is missing or empty takes its default, and a window
    without an end goes up to `now`.
    """
    end = _moment(query, "to") or now
    start = _moment(query, "from") or Window.until(end).start
    return Question(
        window=Window(start, end),
        environment=query.get("environment") or None,
        service=query.get("service") or None,
        edition=parse_edition(query.get("edition") or "2024"),
        variant=parse_variant(query.get("variant") or "default"),
        timezone=_timezone(query.get("timezone") or "UTC"),
        ignored_authors=frozenset(ignored_authors),
    )


def _moment(query: Mapping[str, str | None], name: str) -> datetime | None:
    text = query.get(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f"'{name}' must be an RFC 3339 time, got '{text}'") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigurationError(f"no time zone is called '{name}'", hint="use a name such as Europe/Berlin") from error
    return name
