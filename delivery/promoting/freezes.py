"""Which freeze windows hold for a promotion at this moment."""

from collections.abc import Iterator
from datetime import datetime

from delivery.config_gates import Freeze
from delivery.connections import Connections
from delivery.errors import ConfigurationError, TransientError
from delivery.freezing import Span, cron_stretch, dated_span, stretch
from delivery.gates.freeze import Frozen
from delivery.promotion import Promotion


def frozen_by(
    connections: Connections, promotion: Promotion, windows: tuple[Freeze, ...], now: datetime
) -> tuple[Frozen, ...]:
    """The windows that hold, and those of which nobody can say."""
    return tuple(_frozen(connections, promotion, windows, now))


def _frozen(
    connections: Connections, promotion: Promotion, windows: tuple[Freeze, ...], now: datetime
) -> Iterator[Frozen]:
    for window in windows:
        allow = frozenset[str](window.allow)
        try:
            held = _held(connections, promotion, window, now)
        except ConfigurationError as error:
            yield Frozen(window.name, allow=allow, problem=error.message)
        except TransientError as error:
            yield Frozen(window.name, allow=allow, problem=error.message, passing=True)
        else:
            if held:
                yield Frozen(window.name, held.ends, allow, held.summary)


def _held(connections: Connections, promotion: Promotion, window: Freeze, now: datetime) -> Span | None:
    if window.cron:
        return cron_stretch(window, now)
    if window.calendar:
        return stretch(_events(connections, promotion, window, window.calendar, now), now)
    return stretch([dated_span(window)], now)


def _events(
    connections: Connections, promotion: Promotion, window: Freeze, path: str, now: datetime
) -> tuple[Span, ...]:
    """Of the calendar as it is at the revision that is promoted."""
    revision = promotion.configuration_revision
    content = connections.source(promotion.project).read(revision, path)
    if content is None:
        raise ConfigurationError(f"{path} is not in revision {revision[:12]}")
    try:
        return connections.calendars.spans(content, window.time_zone, now.date())
    except ConfigurationError as error:
        raise ConfigurationError(f"reading {path} at {revision[:12]}: {error.message}") from error
