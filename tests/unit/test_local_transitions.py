"""How candidates and shares change what should run, whatever order they come in."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.adapters.local.router import Route, dynamic, routes_in
from delivery.adapters.local.state import Desired, ProcessRecord, Side, changed
from delivery.adapters.local.transitions import applied, retired, shifted
from delivery.adapters.local.wanted import routes, wanted_processes
from delivery.artifact import Digest, digest_of
from delivery.config import Run
from delivery.rollout import Candidate, RolloutPlan, Target, Workload

TARGET = Target("shop", "staging")


def planned(version: int, *services: str) -> RolloutPlan:
    run = Run(command="serve", environment={"VERSION": str(version)})
    workloads = tuple(Workload(name, digest_of(b"%d" % version), digest_of(b"d"), run) for name in services)
    candidate = Candidate(digest_of(repr((version, services)).encode()), digest_of(b"c"), 1, workloads)
    return RolloutPlan(TARGET, candidate, 0, services, (), ())


def shares(desired: Desired) -> dict[str, list[int]]:
    return {service: [side.percent for side in desired.of(service)] for service in desired.services}


ONE = shifted(applied(Desired(), planned(1, "web", "api"), 1, {"web": 1, "api": 2}), 100)


def test_a_first_candidate_has_no_traffic_until_it_is_given_some() -> None:
    first = applied(Desired(), planned(1, "web"), 1, {"web": 1})
    assert shares(first) == {"web": [0]}
    assert shares(shifted(first, 0)) == {"web": [0]}
    assert shares(shifted(first, 10)) == {"web": [100]}


def test_shares_go_back_to_what_served_before() -> None:
    two = applied(ONE, planned(2, "web", "api"), 2, {})
    assert shares(two) == {"web": [100, 0], "api": [100, 0]}
    assert shares(shifted(two, 25)) == {"web": [75, 25], "api": [75, 25]}
    assert shares(shifted(shifted(two, 100), 0)) == {"web": [100, 0], "api": [100, 0]}
    assert retired(shifted(shifted(two, 100), 0)).sides == ONE.sides


def test_a_service_that_the_candidate_lacks_serves_until_all_traffic_has_moved() -> None:
    two = applied(ONE, planned(2, "web"), 2, {})
    assert shares(shifted(two, 50)) == {"web": [50, 50], "api": [100]}
    assert shares(shifted(two, 100)) == {"web": [0, 100], "api": [0]}
    assert shares(shifted(shifted(two, 100), 0)) == {"web": [100, 0], "api": [100]}
    after = retired(shifted(two, 100))
    assert shares(after) == {"web": [100]}
    assert after.ports == {"web": 1, "api": 2}
    assert after.previous == (digest_of(b"1"),)


def test_a_port_moves_once_the_new_side_has_taken_over_and_both_answer_until_the_old_one_goes() -> None:
    two = applied(ONE, planned(2, "web", "api"), 2, {"web": 5, "api": 2})
    assert (two.port("web"), two.listening("web"), two.port("api"), two.listening("api")) == (1, (1, 5), 2, (2,))
    assert [name for name in wanted_processes(two) if name.startswith("router")] == [
        "router@api-2",
        "router@web-1",
        "router@web-5",
    ]
    assert shifted(two, 50).port("web") == 1
    assert (shifted(two, 100).port("web"), shifted(two, 100).listening("web")) == (5, (1, 5))
    after = retired(shifted(two, 100))
    assert (after.ports, after.moving, after.listening("web")) == ({"web": 5, "api": 2}, {}, (5,))


def test_a_rollout_that_never_got_traffic_has_changed_no_port() -> None:
    failed = retired(applied(ONE, planned(2, "web", "api"), 2, {"web": 5, "api": 2}))
    assert (failed.ports, failed.moving, failed.port("web")) == (ONE.ports, {}, 1)


def test_going_back_after_the_shift_goes_back_to_the_port_too() -> None:
    bad = shifted(applied(ONE, planned(2, "web", "api"), 2, {"web": 5, "api": 2}), 100)
    back = retired(shifted(applied(bad, planned(1, "web", "api"), 3, ONE.ports), 100))
    assert (back.ports, back.moving, back.listening("web")) == (ONE.ports, {}, (1,))


def test_a_port_of_what_runs_already_is_mended_without_starting_it_anew() -> None:
    mended = retired(applied(ONE, replace(planned(1, "web", "api"), start=()), 2, {"web": 5, "api": 2}))
    assert (mended.ports, mended.sides) == ({"web": 5, "api": 2}, ONE.sides)


def test_services_that_swap_their_ports_wait_for_each_other() -> None:
    two = applied(ONE, planned(2, "web", "api"), 2, {"web": 2, "api": 1})
    assert (two.listening("web"), two.listening("api")) == ((1,), (2,))
    assert retired(shifted(two, 100)).ports == {"web": 2, "api": 1}


@given(st.lists(st.tuples(st.sampled_from(["apply", "shift", "retire"]), st.integers(0, 100)), max_size=12))
def test_a_service_that_serves_always_adds_up_to_everything(steps: list[tuple[str, int]]) -> None:
    desired = ONE
    for fence, (step, number) in enumerate(steps, start=2):
        if step == "apply":
            desired = applied(desired, planned(number % 3, "web", "api"), fence, {})
        else:
            desired = shifted(desired, number) if step == "shift" else retired(desired)
        assert {sum(percents) for percents in shares(desired).values()} == {100}
        assert len({side.id for side in desired.sides}) == len(desired.sides)
        assert len(desired.of("web")) <= 3


def test_a_change_that_changes_nothing_keeps_the_generation() -> None:
    same = changed(ONE, 7, lambda before: before, "testing")
    assert (same.generation, same.fence) == (ONE.generation, 7)


@given(st.lists(st.tuples(st.integers(1, 99), st.lists(st.integers(1024, 65535), unique=True, max_size=3)), max_size=3))
def test_what_a_router_is_told_can_be_read_from_its_answer(given_: list[tuple[int, list[int]]]) -> None:
    told = tuple(
        Route(f"web-{n:012x}-{n}", digest_of(b"%d" % n), percent, tuple(ports))
        for n, (percent, ports) in enumerate(given_)
    )
    document = dynamic(told)
    services = document["http"]["services"] if document else {}  # type: ignore[call-overload, index]
    assert routes_in({"services": {f"{name}@file": value for name, value in services.items()}}) == told  # type: ignore[union-attr]


def record(number: int, **changes: object) -> ProcessRecord:
    side = ONE.of("web")[0].id
    usual: dict[str, object] = {"id": f"{side}-{number}", "side": side, "pid": 1, "port": 9000 + number, "ready": True}
    return ProcessRecord.model_validate({**usual, **changes})


@pytest.mark.parametrize(
    ("records", "ports"),
    [
        ([record(0), record(1)], (9000, 9001)),
        ([record(0, ready=False), record(1)], (9001,)),
        ([record(0, draining_since=1.0), record(1)], (9001,)),
        ([record(0, pid=None, port=None, ready=False), record(1)], (9001,)),
        ([record(0, failed_looks=3), record(1, failed_looks=2)], (9001,)),
        ([record(0, failed_looks=3), record(1, failed_looks=9)], (9000, 9001)),
        ([record(0, side="another")], ()),
        ([], ()),
    ],
)
def test_requests_go_to_instances_that_can_take_them(records: list[ProcessRecord], ports: tuple[int, ...]) -> None:
    (route,) = routes(ONE, "web", {one.id: one for one in records})
    assert (route.percent, route.ports) == (100, ports)


def test_an_answer_of_another_shape_has_no_routes() -> None:
    assert routes_in({}) == routes_in({"services": [1]}) == routes_in({"services": {"service@file": {}}}) == ()


def test_a_side_is_known_by_what_it_runs() -> None:
    side = ONE.of("web")[0]
    again = applied(ONE, planned(1, "web", "api"), 5, {}).of("web")
    assert isinstance(side, Side)
    assert [one.content for one in again] == [side.content, side.content]
    assert Digest(side.artifact) == digest_of(b"1")
