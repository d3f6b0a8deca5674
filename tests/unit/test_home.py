from collections.abc import Callable
from pathlib import Path

import pytest

from delivery.errors import ConfigurationError
from delivery.home import Home

HOME = Home(Path("/home"))
PLACES: tuple[Callable[[str], Path], ...] = (
    HOME.source,
    HOME.run_logs,
    lambda name: HOME.environment(name, "dev"),
    lambda name: HOME.environment("shop", name),
)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["", ".", "..", "../../pwn", "/etc", "a/b", "a\0b", "a" * 300])
def test_no_name_leads_out_of_its_folder(place: Callable[[str], Path], name: str) -> None:
    with pytest.raises(ConfigurationError, match="that is no name"):
        place(name)


def test_every_name_has_a_place_of_its_own() -> None:
    assert HOME.source("shop") == Path("/home/sources/shop.git")
    assert HOME.environment("shop", "dev") == Path("/home/environments/shop/dev")
    assert HOME.run_logs("1") == Path("/home/logs/runs/1")
