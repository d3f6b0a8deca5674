"""What a release passes before each environment, against every set of environments that it can be verified in."""

from collections.abc import Mapping
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from delivery.config_gates import Upstreams
from delivery.pipeline import After, as_words, before, demands, names_of, one_is_enough, tidied

NAMES = ("a", "b", "c", "d", "e")


def afters(names: tuple[str, ...]) -> st.SearchStrategy[After]:
    """What one may come after: any of the names before it."""
    if not names:
        return st.none()
    several = st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)
    return (
        st.none()
        | st.sampled_from(names)
        | several.map(lambda some: Upstreams(all=some))
        | several.map(lambda some: Upstreams(any=some))
    )


PIPELINES = st.tuples(*(afters(NAMES[:number]) for number in range(len(NAMES)))).map(
    lambda found: dict(zip(NAMES, found, strict=True))
)


def met(after: After, verified: frozenset[str]) -> bool:
    """Whether what is verified in these may go on."""
    found = [name in verified for name in names_of(after)]
    return any(found) if one_is_enough(after) else all(found)


def reachable(pipeline: Mapping[str, After]) -> list[frozenset[str]]:
    """Every set of environments that a release can be verified in: each one's demand is met within it."""
    sets = (frozenset(some) for size in range(len(NAMES) + 1) for some in combinations(NAMES, size))
    return [one for one in sets if all(met(pipeline[name], one) for name in one)]


@given(PIPELINES, afters(NAMES), afters(NAMES))
def test_one_demand_contains_another_exactly_when_no_way_meets_it_alone(
    pipeline: dict[str, After], wanted: After, least: After
) -> None:
    contains = all(met(least, one) for one in reachable(pipeline) if met(wanted, one))
    assert demands(pipeline, wanted, least) == contains


@given(afters(NAMES), st.sets(st.sampled_from(NAMES)))
def test_another_spelling_demands_the_same(after: After, verified: set[str]) -> None:
    assert met(tidied(after), frozenset(verified)) == met(after, frozenset(verified))
    assert tidied(tidied(after)) == tidied(after)


def test_upstreams_are_named_nearest_first_and_read_as_words() -> None:
    pipeline: dict[str, After] = {
        "a": None,
        "b": "a",
        "c": "a",
        "d": Upstreams(all=["b", "c"]),
        "e": Upstreams(any=["d"]),
    }
    assert before(pipeline, "e") == ("d", "b", "c", "a")
    assert [as_words(one) for one in (pipeline["b"], pipeline["d"], Upstreams(any=["b", "c"]))] == [
        "a",
        "b and c",
        "b or c",
    ]
