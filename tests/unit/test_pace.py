from datetime import timedelta

import pytest

from delivery.errors import ConfigurationError
from delivery.pace import SETTINGS, Pace


def test_nothing_set_means_mended_within_a_minute() -> None:
    usual = Pace.from_environment({})
    assert usual == Pace(timedelta(seconds=15), look_seconds=1.5, janitor_seconds=5.0)


def test_what_is_set_counts_also_in_parts_of_a_second() -> None:
    given = dict(zip(SETTINGS, ("2", "0.25", "1.5"), strict=True))
    assert Pace.from_environment(given) == Pace(timedelta(seconds=2), look_seconds=0.25, janitor_seconds=1.5)


@pytest.mark.parametrize("text", ["0", "1.9", "301", "soon", "nan", "inf", "-15"])
def test_what_is_out_of_bounds_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Pace.from_environment({"SHIPLINE_LEASE_SECONDS": text})
    said = f"reading SHIPLINE_LEASE_SECONDS: it must be seconds from 2 to 300, got '{text}'"
    assert refused.value.message == said
