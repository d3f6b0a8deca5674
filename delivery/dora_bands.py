"""Bands: how an edition of the DORA report would call a value. Editions are never mixed.

The 2024 clusters are not monotone: its medium teams have a lower change fail rate (10 %) than its
high ones (20 %). The label follows the report. The 2025 edition has no tiers.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from delivery.errors import ConfigurationError

Edition = Literal["2021", "2023", "2024", "2025"]
Measure = Literal["lead time", "recovery", "frequency", "change fail rate"]

HOUR, DAY, WEEK = 3600.0, 86_400.0, 7 * 86_400.0
MONTH = 365.25 / 12 * DAY
NO_BAND = "no band"

_Scale = tuple[tuple[float, str], ...]
"""Bounds with their labels, best first; what no bound holds is `low`."""

_DAILY, _WEEKLY, _MONTHLY = 1.0, DAY / WEEK, DAY / MONTH
_ON_DEMAND = math.nextafter(_DAILY, math.inf)
"""More than one a day."""


@dataclass(frozen=True, slots=True)
class _Scales:
    lead_time: _Scale
    recovery: _Scale
    frequency: _Scale
    """Lower bounds, deployments a day; the other scales have upper ones."""
    change_fail_rate: _Scale


_SCALES: Mapping[str, _Scales] = {
    "2021": _Scales(
        lead_time=((HOUR, "elite"), (WEEK, "high"), (6 * MONTH, "medium")),
        recovery=((HOUR, "elite"), (DAY, "high"), (WEEK, "medium")),
        frequency=((_ON_DEMAND, "elite"), (_MONTHLY, "high"), (_MONTHLY / 6, "medium")),
        change_fail_rate=((0.15, "elite"), (0.20, "high"), (0.30, "medium")),
    ),
    "2023": _Scales(
        lead_time=((DAY, "elite"), (WEEK, "high"), (MONTH, "medium")),
        recovery=((HOUR, "elite"), (DAY, "high"), (WEEK, "medium")),
        frequency=((_ON_DEMAND, "elite"), (_WEEKLY, "high"), (_MONTHLY, "medium")),
        change_fail_rate=((0.05, "elite"), (0.10, "high"), (0.15, "medium")),
    ),
    "2024": _Scales(
        lead_time=((DAY, "elite"), (WEEK, "high"), (MONTH, "medium")),
        recovery=((HOUR, "elite"), (DAY, "high")),
        frequency=((_ON_DEMAND, "elite"), (_WEEKLY, "high"), (_MONTHLY, "medium")),
        change_fail_rate=((0.05, "elite"), (0.10, "medium"), (0.20, "high")),
    ),
}

_DURATION_ANSWERS: _Scale = (
    (HOUR, "less than one hour"),
    (DAY, "less than one day"),
    (WEEK, "between one day and one week"),
    (MONTH, "between one week and one month"),
    (6 * MONTH, "between one month and six months"),
)
_FREQUENCY_ANSWERS: _Scale = (
    (math.nextafter(24.0, math.inf), "on demand (multiple deploys per day)"),
    (_DAILY, "between once per hour and once per day"),
    (_WEEKLY, "between once per day and once per week"),
    (_MONTHLY, "between once per week and once per month"),
    (_MONTHLY / 6, "between once per month and once every six months"),
)


def parse_edition(text: str) -> Edition:
    """The edition of this name, or ConfigurationError."""
    if text in get_args(Edition):
        return cast("Edition", text)
    raise ConfigurationError(f"edition must be one of {', '.join(get_args(Edition))}, got '{text}'")


def band(edition: Edition, measure: Measure, value: float) -> str:
    """The edition's label for a value: seconds, deployments a day, or a ratio."""
    scales = _SCALES.get(edition)
    if scales is None:
        return NO_BAND
    if measure == "change fail rate":
        return next((label for bound, label in scales.change_fail_rate if value <= bound), "low")
    if measure == "frequency":
        return _at_least(scales.frequency, value, "low")
    return _below(scales.lead_time if measure == "lead time" else scales.recovery, value, "low")


def survey_answer(measure: Measure, value: float) -> str | None:
    """The answer of DORA's survey that a value falls into; rates are asked for as numbers."""
    if measure == "change fail rate":
        return None
    if measure == "frequency":
        return _at_least(_FREQUENCY_ANSWERS, value, "fewer than once every six months")
    return _below(_DURATION_ANSWERS, value, "more than six months")


def _below(scale: _Scale, value: float, otherwise: str) -> str:
    return next((label for bound, label in scale if value < bound), otherwise)


def _at_least(scale: _Scale, value: float, otherwise: str) -> str:
    return next((label for bound, label in scale if value >= bound), otherwise)
