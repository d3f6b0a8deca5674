from pathlib import Path

import pytest

from delivery.actor import SHIPLINE
from delivery.errors import ConfigurationError
from delivery.home import Home
from shipline.control.projects import register
from tests.fakes.connections import Installation
from tests.repositories import Made, make_repository

NAMES = ["", "..", "../../pwn", "a/b", "x y", "Shop", "-shop", "shop-", "shop\n", "a" * 300]


@pytest.mark.parametrize("slug", NAMES)
def test_a_slug_that_is_no_name_is_refused_and_nothing_is_written(tmp_path: Path, slug: str) -> None:
    installation = Installation(Home(tmp_path / "home"))
    folder = make_repository(tmp_path, name="shop").folder
    with pytest.raises(ConfigurationError, match=r"registering a project as .*: that is no name") as caught:
        register(installation.connect(), str(folder), slug, SHIPLINE)
    assert len(caught.value.message) < 120
    assert installation.ledger.streams() == {}


@pytest.mark.parametrize(
    ("folder", "slug"),
    [("shop", "shop"), ("My Shop (new)", "my-shop-new"), ("...", "project"), ("a" * 39 + "-b", "a" * 39)],
)
def test_a_slug_taken_from_the_source_is_a_name(tmp_path: Path, folder: str, slug: str) -> None:
    connections = Installation(Home(tmp_path / "home")).connect()
    tree = make_repository(tmp_path, name=folder).folder
    assert register(connections, str(tree), None, SHIPLINE)["slug"] == slug


def test_slugs_of_equal_long_names_stay_names(tmp_path: Path) -> None:
    connections = Installation(Home(tmp_path / "home")).connect()
    trees = [make_repository(tmp_path / place, name="a" * 60).folder for place in ("one", "two")]
    slugs = [register(connections, str(tree), None, SHIPLINE)["slug"] for tree in trees]
    assert slugs == ["a" * 40, "a" * 38 + "-2"]


def test_a_project_has_the_name_that_its_configuration_gives_and_keeps_it(tmp_path: Path) -> None:
    connections = Installation(Home(tmp_path / "home")).connect()
    named = Made({"shipline.yaml": "version: 1\nproject: small\n"})
    tree, other = (make_repository(tmp_path / place, [named], name="hello") for place in ("one", "two"))
    assert register(connections, str(tree.folder), None, SHIPLINE)["slug"] == "small"
    assert register(connections, str(other.folder), None, SHIPLINE)["slug"] == "small-2"  # it is taken
    assert register(connections, str(tree.folder), None, SHIPLINE)["slug"] == "small"
    broken = make_repository(tmp_path / "three", [Made({"shipline.yaml": "version: [\n"})], name="hello")
    assert register(connections, str(broken.folder), None, SHIPLINE)["slug"] == "hello"
