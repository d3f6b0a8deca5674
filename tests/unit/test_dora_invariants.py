"""What holds for any history whatever."""

import statistics
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.dora import measure
from delivery.dora_metric import percentile
from delivery.dora_question import Question, Variant, Window
from delivery.dora_rows import Deployment, DeploymentKind, History, Incident, NewCommit
from tests.fakes.dora_history import day

KINDS: st.SearchStrategy[DeploymentKind] = st.sampled_from(
    ["change", "change", "change", "rollback", "hotfix", "config", "redeploy"]
)
VARIANTS: st.SearchStrategy[Variant] = st.sampled_from(["default", "seed-a"])
WINDOW = Window(day(0), day(28))
MOMENTS = st.floats(-10, 40).map(day)
PROMOTIONS = st.integers(0, 25).map(lambda number: f"p{number}")


@st.composite
def deployments(draw: st.DrawFn) -> tuple[Deployment, ...]:
    def one(number: int) -> Deployment:
        exposed = draw(st.none() | MOMENTS)
        service = draw(st.sampled_from(["api", "web"]))
        return Deployment(
            id=f"p{number}/{service}",
            promotion=f"p{number}",
            service=service,
            environment=draw(st.sampled_from(["production", "production", "eu"])),
            tier=draw(st.sampled_from(["production", "production", "staging"])),
            kind=draw(KINDS),
            planned=draw(st.booleans()),
            artifact=draw(st.sampled_from(["a", "b", "c"])),
            previous=draw(st.none() | st.just("x")),
            result=draw(st.sampled_from(["succeeded", "failed", "rolled back", None])),
            rollback_of=draw(st.none() | PROMOTIONS),
            caused_by_incident=draw(st.none() | st.just("i1")),
            started_at=exposed,
            exposed_at=exposed,
            live_at=draw(st.none() | MOMENTS) if exposed else None,
            restored_at=draw(st.none() | MOMENTS),
        )

    return tuple(one(number) for number in range(draw(st.integers(0, 25))))


@st.composite
def histories(draw: st.DrawFn) -> History:
    rows = draw(deployments())
    commits = tuple(
        NewCommit(row.id, draw(st.sampled_from("stuvwxyz")), draw(MOMENTS), draw(st.integers(1, 2))) for row in rows
    )
    incidents = tuple(
        Incident(
            f"i{number}", draw(MOMENTS), "production", frozenset(), draw(PROMOTIONS), None, draw(st.none() | MOMENTS)
        )
        for number in range(draw(st.integers(0, 5)))
    )
    return History(rows, commits, incidents)


def ask(history: History, question: Question) -> dict[str, Any]:
    return measure(history, question, day(41))


def sizes(document: dict[str, Any]) -> dict[str, int]:
    return {"all": document["n"], **{name: metric["n"] for name, metric in document["metrics"].items()}}


@settings(max_examples=60, deadline=None)
@given(histories(), VARIANTS)
def test_rates_lie_between_none_and_all_and_times_are_never_negative(history: History, variant: Variant) -> None:
    for metric in ask(history, Question(WINDOW, variant=variant))["metrics"].values():
        assert (metric["value"] is None) == (metric["band"] in {"insufficient data", "unknown"})
        assert (metric["value"] is None) == (metric["n"] < 5)
        assert metric["value"] is None or metric["value"] >= 0
        assert metric["unit"] != "ratio" or metric["value"] is None or metric["value"] <= 1


@settings(max_examples=60, deadline=None)
@given(histories(), VARIANTS)
def test_narrowing_never_finds_more(history: History, variant: Variant) -> None:
    whole = sizes(ask(history, Question(WINDOW, variant=variant)))
    for narrowed in (
        Question(WINDOW, service="api", variant=variant),
        Question(WINDOW, environment="eu", variant=variant),
        Question(Window(day(3), day(20)), variant=variant),
        Question(WINDOW, variant=variant, ignored_authors=frozenset({""})),
    ):
        part = sizes(ask(history, narrowed))
        assert all(part[name] <= whole[name] for name in whole)


@settings(max_examples=60, deadline=None)
@given(histories())
def test_the_order_of_rows_does_not_matter(history: History) -> None:
    turned = History(history.deployments[::-1], history.commits[::-1], history.incidents[::-1])

    one, other = ask(history, Question(WINDOW)), ask(turned, Question(WINDOW))

    assert {name: metric["value"] for name, metric in one["metrics"].items()} == {
        name: metric["value"] for name, metric in other["metrics"].items()
    }


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_the_middle_percentile_is_the_median(values: list[float]) -> None:
    assert abs(percentile(values, 0.5) - statistics.median(values)) <= 1e-6
    assert min(values) <= percentile(values, 0.9) <= max(values)
