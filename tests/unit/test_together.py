"""Sets are closed: whoever travels with somebody travels with everybody of the set."""

import pytest

from delivery.config import Service
from delivery.together import set_of


def service(*together_with: str) -> Service:
    return Service.model_validate(
        {"paths": ["x"], "together_with": [*together_with], "build": {"command": "b"}, "run": {"command": "r"}}
    )


SERVICES = {"a": service("b"), "b": service(), "c": service("b"), "d": service("e"), "e": service("d"), "f": service()}


@pytest.mark.parametrize(
    ("name", "whole"),
    [("a", "abc"), ("b", "abc"), ("c", "abc"), ("d", "de"), ("e", "de"), ("f", "f"), ("unknown", ["unknown"])],
)
def test_a_set_is_whole_from_wherever_it_is_looked_at(name: str, whole: str) -> None:
    assert set_of(SERVICES, name) == frozenset(whole)
