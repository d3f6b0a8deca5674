"""An index finds exactly what trying every pattern on every path does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.errors import ConfigurationError
from delivery.path_index import PathIndex
from delivery.paths import matching

_NAMES = st.sampled_from(["a", "ab", "b", "a.b", "a-b", "a0", "é", "a b", "B"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=4).map("/".join)
_WORDS = st.one_of(_NAMES, st.sampled_from(["*", "**", "a*", "?", "[ab]", ".", "a\\*b", "", " a", "a "]))
_PATTERNS = st.lists(_WORDS, min_size=1, max_size=4).map("/".join)


@given(st.lists(_PATHS, max_size=30), st.lists(_PATTERNS, max_size=4))
def test_an_index_finds_what_every_pattern_does_on_every_path(paths: list[str], patterns: list[str]) -> None:
    assert PathIndex(paths).matching(patterns) == matching(patterns, paths)


def test_what_is_found_is_in_the_order_given_and_a_path_that_is_there_twice_is_found_twice() -> None:
    index = PathIndex(["web/b", "api/x", "web/a", "web", "web/b"])

    assert index.places(["web"]) == (0, 2, 3, 4)
    assert index.matching(["web/b", "api/**"]) == ("web/b", "api/x", "web/b")


def test_a_folder_is_not_what_only_begins_like_it() -> None:
    assert PathIndex(["api", "api-x/a", "api.py", "api/a", "api0/a"]).matching(["api"]) == ("api", "api/a")


def test_what_is_no_pattern_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is not a path pattern"):
        PathIndex(["a"]).matching(["[z-a]"])
