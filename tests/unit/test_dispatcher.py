"""The dispatcher looks at what the ledger, the leases and Prefect say, and starts or wakes what is to be done."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from delivery.errors import TransientError
from delivery.pace import LEASE
from delivery.promoting.stopping import abort, retry
from delivery.promotion import Phase, Promotion
from delivery.run import Run, RunState, lease_name
from shipline.control.control import Control
from shipline.control.dispatcher import tick, wake
from shipline.control.feeding import HOLDS_A_SLOT, LONGEST_START, MOST_STARTS, SLOTS, SOON, TAKES_LEASE_WITHIN
from shipline.control.queueing import queue_run
from tests.fakes.flow_runs import RecordedFlowRuns
from tests.fakes.shop import ADA, CONFIGURATION, PROJECT, Shop, run_pass


class Plane:
    """A shop, its dispatcher, and flow runs that a test moves."""

    def __init__(self, folder: Path, configuration: str = CONFIGURATION) -> None:
        self.shop = Shop(folder, configuration)
        self.flow_runs = RecordedFlowRuns()
        self.control = Control(self.shop.connections, self.flow_runs)

    def tick(self, *, thorough: bool = False) -> None:
        tick(self.control, thorough=thorough)

    def started(self, thing: str) -> list[str]:
        """Flow runs for a promotion or run, oldest first."""
        return [
            flow_run for flow_run, (_, parameters) in self.flow_runs.started.items() if thing in parameters.values()
        ]

    def lose(self, thing: str) -> None:
        """The newest flow run of a thing dies."""
        self.flow_runs.become(self.started(thing)[-1], "CRASHED")
        self.shop.installation.clock.advance(SOON.total_seconds())

    def waiting_in_staging(self) -> Promotion:
        """It waits with its form in a suspended flow run."""
        self.shop.deliver(self.shop.version())
        [waiting] = self.shop.promotions(environment="staging")
        flow_run = self.flow_runs.start("promote-release", PROJECT, {"promotion": waiting.id}, "first", "staging")
        run_pass(self.shop.connections, waiting.id, flow_run)
        self.flow_runs.become(flow_run, "PAUSED")
        return self.shop.look(waiting)

    def run(self, name: str = "run-1") -> Run:
        found = Run(name, PROJECT, "c0ffee", None, self.shop.installation.clock.now(), "ada")
        self.shop.connections.operations.save("runs", found.id, PROJECT, found.document())
        queue_run(self.shop.connections, found, found.requested_at)
        return found

    def look(self, run: Run) -> Run:
        return Run.read(self.shop.connections.operations.load("runs", run.id))


@pytest.fixture
def plane(tmp_path: Path) -> Plane:
    return Plane(tmp_path)


def test_a_request_gets_one_flow_run_with_its_own_name(plane: Plane) -> None:
    asked = plane.shop.request(plane.shop.version())
    plane.tick()
    plane.tick(thorough=True)
    [flow_run] = plane.started(asked.id)
    assert plane.flow_runs.started[flow_run] == ("promote-release/shop.dev", {"promotion": asked.id})
    assert plane.flow_runs.names[flow_run] == f"dev {asked.id}"


def test_a_lane_has_one_pass_at_a_time_in_order_of_request(plane: Plane) -> None:
    first = plane.shop.request(plane.shop.version(branch="one", parents=[]))
    second = plane.shop.request(plane.shop.version("2", branch="two", parents=[]), replace=True)
    plane.tick()
    assert (len(plane.started(first.id)), plane.started(second.id)) == (1, [])
    run_pass(plane.shop.connections, first.id)
    plane.tick()
    assert len(plane.started(second.id)) == 1


def test_two_lanes_go_on_side_by_side(plane: Plane) -> None:
    version = plane.shop.version()
    asked = [plane.shop.request(version, environment) for environment in ("dev", "staging")]
    plane.tick()
    assert [len(plane.started(one.id)) for one in asked] == [1, 1]


def test_nothing_is_started_while_the_lane_is_leased(plane: Plane) -> None:
    asked = plane.shop.request(plane.shop.version())
    plane.shop.connections.operations.acquire(asked.lane, "a pass", LEASE)
    plane.tick(thorough=True)
    assert plane.started(asked.id) == []


@pytest.mark.parametrize(("state", "patience"), [("PENDING", LONGEST_START), ("RUNNING", TAKES_LEASE_WITHIN)])
def test_a_flow_run_that_is_coming_is_waited_for_but_not_for_ever(
    plane: Plane, state: str, patience: timedelta
) -> None:
    asked = plane.shop.request(plane.shop.version())
    plane.tick()
    plane.flow_runs.become(plane.started(asked.id)[0], state)
    plane.shop.installation.clock.advance(patience.total_seconds() - 1)
    plane.tick()
    assert len(plane.started(asked.id)) == 1
    plane.shop.installation.clock.advance(1)
    plane.tick()
    assert len(plane.started(asked.id)) == 2


def test_a_crashed_flow_run_has_a_successor_at_once_which_goes_on(plane: Plane) -> None:
    asked = plane.shop.request(plane.shop.version())
    plane.tick()
    assert plane.shop.crash_after(6)
    plane.lose(asked.id)
    plane.tick()
    assert len(plane.started(asked.id)) == 2
    run_pass(plane.shop.connections, asked.id)
    assert plane.shop.look(asked).phase is Phase.SUCCEEDED


def test_a_start_that_was_made_but_not_remembered_is_not_made_twice(plane: Plane) -> None:
    asked = plane.shop.request(plane.shop.version())
    queue = plane.shop.installation.queue
    feed = queue.feed
    queue.feed = lambda queued: None  # type: ignore[method-assign]  # noqa: ARG005  # it dies between the two
    plane.tick()
    queue.feed = feed  # type: ignore[method-assign]
    plane.tick()
    assert len(plane.started(asked.id)) == 1


def test_after_too_many_lost_flow_runs_it_is_errored_with_the_reason(plane: Plane) -> None:
    asked = plane.shop.request(plane.shop.version())
    for _ in range(MOST_STARTS):
        plane.tick()
        plane.lose(asked.id)
    plane.tick()
    ended = plane.shop.look(asked)
    assert (ended.phase, ended.because) == (Phase.ERRORED, "5 flow runs were lost while Requested")
    assert len(plane.started(asked.id)) == MOST_STARTS


def test_only_starts_that_led_nowhere_are_counted(plane: Plane) -> None:
    asked = plane.shop.request(plane.shop.version())
    for moments in (1, 1, 1, 8, 8, 1):
        plane.tick()
        plane.shop.crash_after(moments)
        plane.lose(asked.id)
    for _ in range(MOST_STARTS - 3):
        plane.tick()
        plane.lose(asked.id)
    plane.tick()
    assert plane.shop.look(asked).phase is not Phase.ERRORED


def test_every_retry_gets_flow_runs_of_its_own(plane: Plane) -> None:
    asked = plane.shop.request(plane.shop.version())
    for attempt in range(3):
        for _ in range(MOST_STARTS):
            plane.tick()
            plane.lose(asked.id)
        plane.tick()
        assert plane.shop.look(asked).phase is Phase.ERRORED
        assert len(plane.started(asked.id)) == MOST_STARTS * (attempt + 1)
        assert retry(plane.shop.connections, plane.shop.look(asked), ADA).passed
    plane.tick()
    run_pass(plane.shop.connections, asked.id)
    assert plane.shop.look(asked).phase is Phase.SUCCEEDED


def test_a_waiting_promotion_is_left_alone_while_its_form_is_shown(plane: Plane) -> None:
    waiting = plane.waiting_in_staging()
    plane.tick(thorough=True)
    assert len(plane.started(waiting.id)) == 1
    assert plane.flow_runs.state(str(waiting.flow_run)) == "PAUSED"


def test_people_are_told_again_at_the_times_of_the_policy_once_each(tmp_path: Path) -> None:
    plane = Plane(tmp_path, CONFIGURATION.replace("count: 1", "count: 1, remind_after_seconds: [60, 120, 600]"))
    waiting, clock = plane.waiting_in_staging(), plane.shop.installation.clock
    log = plane.shop.connections.home.run_logs(waiting.id) / "promotion.log"
    plane.tick(thorough=True)
    assert plane.shop.look(waiting).reminders == 0
    clock.advance(70)
    plane.tick(thorough=True)
    plane.tick(thorough=True)
    assert log.read_text() == "reminder 1: waiting for 1 approval; bob, carol can\n"
    clock.advance(600)
    plane.tick(thorough=True)
    assert plane.shop.look(waiting).reminders == 3
    assert log.read_text().splitlines()[1:] == ["reminder 3: waiting for 1 approval; bob, carol can"]
    assert plane.started(waiting.id) == [waiting.flow_run]


def test_enough_approvals_wake_it_in_the_flow_run_that_shows_the_form(plane: Plane) -> None:
    waiting = plane.waiting_in_staging()
    plane.shop.decide(waiting)
    plane.tick()
    assert plane.flow_runs.state(str(waiting.flow_run)) == "PAUSED"  # only a thorough look judges
    plane.tick(thorough=True)
    plane.tick(thorough=True)
    assert plane.flow_runs.state(str(waiting.flow_run)) == "SCHEDULED"
    assert len(plane.started(waiting.id)) == 1


def test_an_expired_one_is_woken_so_that_it_ends(plane: Plane) -> None:
    waiting = plane.waiting_in_staging()
    plane.shop.installation.clock.advance(3600)
    plane.tick(thorough=True)
    assert plane.flow_runs.state(str(waiting.flow_run)) == "SCHEDULED"
    run_pass(plane.shop.connections, waiting.id)
    assert plane.shop.look(waiting).phase is Phase.REFUSED


def test_a_refusal_that_came_up_while_it_waits_wakes_it_so_that_it_ends(plane: Plane) -> None:
    waiting = plane.waiting_in_staging()
    plane.shop.version("2", configuration=CONFIGURATION.replace("count: 1", "count: 2"))
    plane.tick(thorough=True)
    run_pass(plane.shop.connections, waiting.id)
    assert plane.shop.look(waiting).phase is Phase.REFUSED


@pytest.mark.parametrize("state", ["CRASHED", "FAILED", None])
def test_a_lost_form_is_shown_again_by_a_new_flow_run(plane: Plane, state: str | None) -> None:
    waiting = plane.waiting_in_staging()
    if state:
        plane.flow_runs.become(str(waiting.flow_run), state)
    else:
        plane.flow_runs._states.clear()  # Prefect's database was dropped
    plane.tick(thorough=True)
    [_, second] = plane.started(waiting.id)
    run_pass(plane.shop.connections, waiting.id, second)
    plane.flow_runs.become(second, "PAUSED")
    assert (plane.shop.look(waiting).passes, plane.shop.look(waiting).flow_run) == (waiting.passes + 1, second)
    plane.tick(thorough=True)
    assert len(plane.started(waiting.id)) == 2


def test_an_approval_completes_although_prefect_has_forgotten_everything(plane: Plane) -> None:
    waiting = plane.waiting_in_staging()
    plane.flow_runs._states.clear()
    plane.shop.decide(waiting)
    wake(plane.control, plane.shop.look(waiting))
    plane.tick()
    assert len(plane.started(waiting.id)) == 2
    run_pass(plane.shop.connections, waiting.id)
    assert plane.shop.look(waiting).phase is Phase.SUCCEEDED


def test_what_ended_while_its_form_was_shown_is_woken_to_see_that(plane: Plane) -> None:
    waiting = plane.waiting_in_staging()
    abort(plane.shop.connections, waiting, "no", ADA)
    wake(plane.control, plane.shop.look(waiting))
    assert plane.flow_runs.state(str(waiting.flow_run)) == "SCHEDULED"


def test_what_ended_without_a_form_starts_nothing(plane: Plane) -> None:
    asked = plane.shop.request(plane.shop.version())
    abort(plane.shop.connections, asked, "no", ADA)
    wake(plane.control, plane.shop.look(asked))
    assert plane.started(asked.id) == []


def test_a_hold_that_is_lifted_and_set_again_is_not_taken_for_lost_flow_runs(plane: Plane) -> None:
    shop = plane.shop
    asked = shop.request(shop.version(), actor=replace(ADA, kind="automation"))
    for _ in range(MOST_STARTS + 2):
        shop.hold("dev", "the sale is on")
        plane.tick(thorough=True)
        run_pass(shop.connections, asked.id)
        if plane.started(asked.id):
            plane.flow_runs.become(plane.started(asked.id)[-1], "COMPLETED")
        assert shop.look(asked).phase is Phase.WAITING
        shop.hold("dev", "", held=False)
        plane.tick(thorough=True)
        shop.hold("dev", "once more")
        run_pass(shop.connections, asked.id)
        plane.flow_runs.become(plane.started(asked.id)[-1], "COMPLETED")
    shop.hold("dev", "", held=False)
    plane.tick(thorough=True)
    run_pass(shop.connections, asked.id)
    assert shop.look(asked).phase is Phase.SUCCEEDED


def test_a_rollback_is_started_before_anything_queued(plane: Plane) -> None:
    shop = plane.shop
    shop.deliver(shop.version())
    bad, queued = shop.version("2", "2"), shop.version("3", "3")
    shop.sick.add(bad.artifacts["web"])
    asked = shop.request(bad)
    shop.during_smoke = lambda: shop.request(queued)
    run_pass(shop.connections, asked.id)
    plane.tick()
    [rollback] = shop.promotions(kind="rollback")
    assert len(plane.started(rollback.id)) == 1
    assert plane.started(asked.id) == []


def test_one_promotions_trouble_does_not_stop_the_others(plane: Plane, caplog: pytest.LogCaptureFixture) -> None:
    version = plane.shop.version()
    first, second = (plane.shop.request(version, environment) for environment in ("dev", "staging"))
    run = plane.run()
    plane.flow_runs.failures = 1
    plane.tick()
    assert [len(plane.started(one.id)) for one in (first, second, run)] == [1, 0, 1]
    assert f"dispatching {second.id}: starting promote-release for shop: the server answered 503" in caplog.text
    plane.tick()
    assert len(plane.started(second.id)) == 1


def test_prefect_that_does_not_answer_changes_nothing(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = plane.shop.request(plane.shop.version())
    plane.tick()

    def unreachable(_flow_run: str) -> str:
        raise TransientError("asking Prefect: it did not answer")

    monkeypatch.setattr(plane.flow_runs, "state", unreachable)
    entries = plane.shop.length
    for _ in range(MOST_STARTS + 1):
        plane.tick(thorough=True)
    assert (plane.shop.length, len(plane.started(asked.id))) == (entries, 1)


def test_a_run_that_nobody_works_on_is_taken_up(plane: Plane) -> None:
    run = plane.run()
    plane.tick()
    plane.tick()
    [flow_run] = plane.started(run.id)
    assert plane.flow_runs.started[flow_run] == ("deliver-revision/shop", {"run": run.id})
    plane.lose(run.id)
    plane.tick()
    assert len(plane.started(run.id)) == 2


def test_a_run_at_work_is_left_alone(plane: Plane) -> None:
    run = plane.run()
    plane.shop.connections.operations.acquire(lease_name(run.id), "a process", LEASE)
    plane.tick()
    assert plane.started(run.id) == []


def test_a_run_whose_flow_runs_are_all_lost_is_errored_and_can_be_retried(plane: Plane) -> None:
    run = plane.run()
    for _ in range(MOST_STARTS):
        plane.tick()
        plane.lose(run.id)
    plane.tick()
    ended = plane.look(run)
    assert (ended.state, ended.problem) == (
        RunState.ERRORED,
        "5 flow runs were lost; shipline retry run-1 tries again",
    )
    plane.tick()
    assert len(plane.started(run.id)) == MOST_STARTS

    again = replace(ended, state=RunState.QUEUED, verified_at=None, attempt=ended.attempt + 1)
    plane.shop.connections.operations.save("runs", run.id, PROJECT, again.document())
    plane.tick(thorough=True)
    assert len(plane.started(run.id)) == MOST_STARTS + 1


def test_a_run_whose_work_is_done_is_not_taken_up(plane: Plane) -> None:
    run = plane.run()
    done = run.ended(RunState.COMPLETED, "", plane.shop.installation.clock.now())
    plane.shop.connections.operations.save("runs", run.id, PROJECT, done.document())
    plane.tick()
    assert plane.started(run.id) == []


def test_no_more_runs_are_started_than_there_are_slots_and_the_next_when_one_is_done(plane: Plane) -> None:
    runs = [plane.run(f"run-{number:02}") for number in range(SLOTS.runs + 2)]
    plane.tick()
    plane.tick()
    assert [len(plane.started(run.id)) for run in runs] == [1] * SLOTS.runs + [0, 0]
    plane.shop.installation.clock.advance(SOON.total_seconds())
    done = runs[0].ended(RunState.COMPLETED, "", plane.shop.installation.clock.now())
    plane.shop.connections.operations.save("runs", done.id, PROJECT, done.document())
    plane.tick()
    assert [len(plane.started(run.id)) for run in runs] == [1] * SLOTS.runs + [1, 0]


def test_a_process_at_work_keeps_its_slot_as_long_as_its_lease(plane: Plane) -> None:
    runs = [plane.run(f"run-{number:02}") for number in range(SLOTS.runs + 1)]
    plane.tick()
    for run in runs[:-1]:
        plane.shop.connections.operations.acquire(lease_name(run.id), "a process", timedelta(hours=1))
        plane.flow_runs.become(plane.started(run.id)[0], "RUNNING")
    plane.shop.installation.clock.advance(HOLDS_A_SLOT.total_seconds() * 2)
    plane.tick()
    assert plane.started(runs[-1].id) == []


def test_any_number_of_runs_leaves_room_for_promotions(plane: Plane) -> None:
    for number in range(SLOTS.runs + 5):
        plane.run(f"run-{number:02}")
    plane.tick()
    asked = plane.shop.request(plane.shop.version())
    plane.tick()
    assert len(plane.started(asked.id)) == 1


def test_a_flow_run_that_no_worker_takes_up_is_waited_for_and_keeps_nobody_waiting(plane: Plane) -> None:
    """As in a work pool that is paused."""
    runs = [plane.run(f"run-{number:02}") for number in range(SLOTS.runs + 1)]
    plane.tick()
    plane.shop.installation.clock.advance(3600)
    plane.tick()
    assert [len(plane.started(run.id)) for run in runs] == [1] * (SLOTS.runs + 1)


def test_a_run_that_was_written_down_but_not_queued_is_found(plane: Plane) -> None:
    run = Run("run-1", PROJECT, "c0ffee", None, plane.shop.installation.clock.now(), "ada")
    plane.shop.connections.operations.save("runs", run.id, PROJECT, run.document())
    plane.tick()
    assert plane.started(run.id) == []
    plane.tick(thorough=True)
    assert len(plane.started(run.id)) == 1


def test_what_is_done_leaves_the_queue(plane: Plane) -> None:
    asked = plane.shop.request(plane.shop.version())
    plane.tick()
    run_pass(plane.shop.connections, asked.id)
    plane.tick()
    left = [one for one in plane.shop.connections.queue.entries() if one.subject == asked.id]
    assert left == []
    assert len(plane.shop.connections.queue.waits(asked.requested_at)) == 1
