"""`cache why`: the first thing that differs, in words, over real plans of an installation in memory."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import JsonValue

from delivery.artifact import digest_of
from delivery.caching.differing import Difference, Earlier, Listing, changed_inputs, first_difference, nearest
from delivery.caching.explaining import Why, explain
from delivery.caching.telling import because_differs
from delivery.errors import NotFoundError
from delivery.plan import Plan
from delivery.promoting.candidates import configuration_at
from delivery.source import Change, ChangeKind
from tests.fakes.runner import Act
from tests.unit.test_running_a_revision import CONFIGURATION, Workshop

KEY = digest_of(b"key")


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    yield made
    made.close()


def ask(workshop: Workshop, commit: str, step: str) -> list[Why]:
    """As the route does."""
    run = workshop.run(commit)
    plan = Plan.from_json((workshop.connections.operations.load("plans", run.id) or {})["plan"])
    return explain(workshop.connections, plan, configuration_at(workshop.connections, "shop", commit), step)


def said(workshop: Workshop, commit: str, step: str) -> list[str]:
    return [one.because for one in ask(workshop, commit, step)]


def deliver(workshop: Workshop, commit: str) -> str:
    run = workshop.run(commit)
    workshop.test(workshop.take(run))
    workshop.restart()
    return run.id


def test_the_changed_file_is_named_against_the_run_whose_result_is_kept(workshop: Workshop) -> None:
    first = workshop.commit()
    run = deliver(workshop, first)
    [why] = ask(workshop, workshop.commit(api="2"), "unit@api")
    assert why.because == f"its inputs differ: api/main (modified), compared with run {run} of {first[:12]}"
    document = why.document()
    assert document["differs"] == {
        "component": "inputs",
        "name": None,
        "earlier": why.nearest.components["inputs"] if why.nearest else None,
        "now": why.step.components["inputs"],
        "files": [{"path": "api/main", "change": "modified"}],
    }
    assert (document["reusable"], document["action"], document["service"]) == (False, "run", "api")


def test_a_step_per_service_is_answered_for_each_and_a_name_that_is_none_is_refused(workshop: Workshop) -> None:
    deliver(workshop, workshop.commit())
    assert [one.step.id for one in ask(workshop, workshop.commit(api="2"), "unit")] == ["unit@api", "unit@web"]
    with pytest.raises(NotFoundError, match="explaining step 'unti': there is no such step") as refused:
        ask(workshop, workshop.commit(api="3"), "unti")
    assert refused.value.hint == "did you mean 'unit'? known are: lint, unit@api, unit@web, whole"


def test_what_would_be_reused_says_from_where(workshop: Workshop) -> None:
    run = deliver(workshop, workshop.commit())
    assert said(workshop, workshop.commit(), "lint") == [f"nothing differs: reused from run {run}"]
    assert said(workshop, workshop.commit(), "whole") == ["'reuse: false' has the step run every time"]


def test_a_step_that_never_ran_and_one_that_failed_say_so(workshop: Workshop) -> None:
    commit = workshop.commit()
    assert said(workshop, commit, "lint") == ["this step has never run"]
    workshop.play("lint", Act(code=1))
    run = deliver(workshop, commit)
    assert said(workshop, commit, "lint") == [
        f"nothing differs from run {run}, where it was Failed: only successes are reused"
    ]


def test_a_result_that_is_damaged_or_gone_says_so(workshop: Workshop) -> None:
    commit = workshop.commit()
    run = deliver(workshop, commit)
    key = ask(workshop, commit, "lint")[0].step.key
    record, blobs = workshop.installation.step_cache.records[key]
    del workshop.installation.store.contents[blobs[0]]
    assert said(workshop, commit, "lint") == [
        f"nothing differs from run {run}, but what that kept is damaged or gone: the step runs again"
    ]
    del workshop.installation.step_cache.records[key]
    assert record
    assert said(workshop, commit, "lint") == [
        f"nothing differs from run {run}, but its result is not kept any more: the step runs again"
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("command: [lint]", "command: [lint, all]", 'its command was ["lint"], is ["lint", "all"]'),
        ("command: [lint]", "command: [lint], environment: {A: b}", "the environment variable 'A' is new: b"),
        ("command: [lint]", "command: [lint], tools: [make]", "the tool 'make' is new: 1"),
        ("command: [lint]", "command: [lint], outputs: [out]", 'its outputs was [], is ["out"]'),
    ],
)
def test_what_is_declared_is_compared_before_the_files(workshop: Workshop, old: str, new: str, expected: str) -> None:
    """`inputs: [api]` keeps shipline.yaml itself out of the step's inputs."""
    narrow = CONFIGURATION.replace("command: [lint]", "command: [lint], inputs: [api]")
    run = deliver(workshop, first := workshop.commit(configuration=narrow))
    changed = narrow.replace(old, new)
    assert said(workshop, workshop.commit(configuration=changed), "lint") == [
        f"{expected}, compared with run {run} of {first[:12]}"
    ]


def test_a_revision_that_the_mirror_has_lost_leaves_the_files_unnamed(workshop: Workshop) -> None:
    run = deliver(workshop, workshop.commit())
    key = ask(workshop, workshop.commit(), "lint")[0].step.key
    record, blobs = workshop.installation.step_cache.records[key]
    origin = {**record["origin"], "revision": "0" * 40}  # type: ignore[dict-item]  # a mapping
    workshop.installation.step_cache.records[key] = ({**record, "origin": origin}, blobs)
    [why] = ask(workshop, workshop.commit(api="2"), "lint")
    assert why.because.startswith("its inputs differ: ")
    assert why.because.endswith(f"compared with run {run} of 000000000000")
    assert (why.files, why.nearest.same_line if why.nearest else None) == ((), False)


def earlier(run: str, at: str, *, same_line: bool = True, **components: JsonValue) -> Earlier:
    return Earlier(KEY, run, "c0ffee", at, components, same_line=same_line)


def test_the_nearest_has_most_in_common_then_the_same_line_then_is_the_latest() -> None:
    now: dict[str, JsonValue] = {"command": "a", "inputs": "1", "platform": "linux"}
    far = earlier("far", "2026-05", command="b", inputs="2", platform="linux")
    elsewhere = earlier("elsewhere", "2026-04", same_line=False, command="a", inputs="2", platform="linux")
    old = earlier("old", "2026-01", command="a", inputs="3", platform="linux")
    new = earlier("new", "2026-02", command="a", inputs="4", platform="linux")
    assert nearest(now, [far, elsewhere, new, old]) is new
    assert nearest(now, [far, elsewhere]) is elsewhere
    assert nearest(now, []) is None


def test_the_first_difference_is_what_people_change_most_and_names_what_is_in_it() -> None:
    now: dict[str, JsonValue] = {"inputs": "2", "tools": {"go": "1.27", "make": "4"}, "later": 1}
    assert first_difference(now, {**now, "inputs": "1", "tools": {}}) == Difference("inputs", None, "1", "2")
    assert first_difference(now, {**now, "tools": {"go": "1.26", "make": "4"}}) == Difference(
        "tools", "go", "1.26", "1.27"
    )
    assert first_difference(now, {**now, "later": 2}) == Difference("later", None, 2, 1)
    assert first_difference(now, dict(now)) is None


def test_inputs_that_other_patterns_mean_count_as_added_and_deleted() -> None:
    paths = ["docs/a", "src/a", "src/b"]
    changes = [Change("src/b", ChangeKind.MODIFIED), Change("docs/b", ChangeKind.RENAMED, old_path="docs/a")]
    before, after = Listing(["docs", "src/b"], paths), Listing(["src"], paths)
    assert changed_inputs(changes, before, after) == (
        ("docs/a", "deleted"),
        ("src/a", "added"),
        ("src/b", "modified"),
    )
    assert Listing((), paths).inputs == ("docs/a", "src/a", "src/b")


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        (Difference("consumed", "prepare", "x", "y"), "it reads the outputs of step 'prepare', whose key differs"),
        (Difference("consumed", "prepare", None, "y"), "it reads the outputs of step 'prepare' now, which it did not"),
        (Difference("consumed", "prepare", "x", None), "it does not read the outputs of step 'prepare' any more"),
        (Difference("tools", "go", "go1.26", None), "the tool 'go' is gone: it was go1.26"),
        (
            Difference("platform", None, "linux/x86_64", "linux/aarch64"),
            "its platform was linux/x86_64, is linux/aarch64",
        ),
        (Difference("schema", None, 1, 2), "the version of shipline.yaml was 1, is 2"),
        (Difference("command", None, "a" * 200, "b"), f"its command was {'a' * 120}..., is b"),
    ],
)
def test_every_difference_is_a_sentence(difference: Difference, expected: str) -> None:
    made = earlier("7", "2026-01")
    assert because_differs(difference, (), "", made).startswith(expected)


def test_the_first_three_files_are_named_and_the_rest_counted() -> None:
    files = [(f"src/{name}", "modified") for name in "abcde"]
    told = because_differs(
        Difference("inputs", None, "x", "y"), files, "", replace(earlier("7", ""), revision="c" * 40)
    )
    assert told == (
        "its inputs differ: src/a (modified), src/b (modified), src/c (modified) and 2 more, "
        "compared with run 7 of cccccccccccc"
    )
