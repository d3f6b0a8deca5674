"""The flow itself on a real Prefect server: its passes run in this process, on the fakes of a shop."""

import asyncio
import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.events.worker import EventsWorker
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow_async
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)

from delivery.pace import LEASE
from delivery.people.enrolling import begin_code, finish_code
from delivery.promoting.stopping import abort, retry
from delivery.promoting.turn import take_turn
from delivery.promotion import Phase, Promotion
from deployments.prefect_placement import PrefectPlacement
from deployments.prefect_rest import PrefectRest
from flows import promote_release
from shipline.control.control import Control
from shipline.control.dispatcher import tick
from tests.fakes.shop import ADA, PROJECT, Shop, run_pass
from tests.servers.prefect import RunningPrefect

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),  # Prefect's
]


class Conveyor:
    """A shop, the dispatcher, a real Prefect server, and a worker that is this process."""

    def __init__(self, folder: Path, server: RunningPrefect, runner: asyncio.Runner) -> None:
        self.shop = Shop(folder)
        self.server = server
        self.runner = runner
        self.placement = PrefectPlacement(PrefectRest(f"{server.url}/api", server.auth))
        self.placement.ensure_deployments(PROJECT, ["dev", "staging", "production"])
        self.control = Control(self.shop.connections, self.placement)

    def tick(self) -> None:
        tick(self.control, thorough=True)

    def flow_run(self, promotion: Promotion) -> str:
        """The one that was started for it last."""
        return str(self.shop.connections.queue.flow_run(promotion.id))

    def work(self, promotion: Promotion) -> State[Any] | None:
        """Start what is to be started and run the pass; None when it was suspended."""
        self.tick()
        return self.runner.run(self._execute(self.flow_run(promotion)))

    def answer(self, promotion: Promotion, **form: str) -> State[Any] | None:
        """Fill in the form on Prefect's page, and run the pass that this resumes."""
        flow_run = str(self.shop.look(promotion).flow_run)
        said = self.server.ask("POST", f"/flow_runs/{flow_run}/resume", {"run_input": form}).json()
        assert said["status"] == "ACCEPT", said
        return self.runner.run(self._execute(flow_run))

    def staged(self) -> Promotion:
        """A promotion that waits in staging with its form on Prefect's page."""
        run_pass(self.shop.connections, self.shop.request(self.shop.version()).id)
        [waiting] = self.shop.promotions(environment="staging")
        assert self.work(waiting) is None
        return self.shop.look(waiting)

    def state(self, promotion: Promotion) -> dict[str, Any]:
        """Of its flow run, as Prefect's page shows it."""
        found: dict[str, Any] = self.server.ask("GET", f"/flow_runs/{self.flow_run(promotion)}").json()["state"]
        return found

    async def _execute(self, flow_run: str) -> State[Any] | None:
        settings = {
            PREFECT_API_URL: f"{self.server.url}/api",
            PREFECT_API_AUTH_STRING: self.server.auth,
            PREFECT_LOGGING_TO_API_ENABLED: False,
        }
        with temporary_settings(settings):
            async with get_client() as client:
                found = await client.read_flow_run(flow_run)  # type: ignore[arg-type]  # an id as text will do
            flow = promote_release.promote_release
            try:
                ended: Any = await run_flow_async(
                    flow, flow_run=found, parameters=found.parameters, return_type="state"
                )
            except Pause:
                return None
        return None if ended.is_paused() else ended


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One loop for all passes: Prefect keeps its clients per loop, and leaves their sockets to the collector."""
    with asyncio.Runner() as made:
        yield made
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        EventsWorker.drain_all(timeout=10)
        gc.collect()


@pytest.fixture
def conveyor(
    prefect_server: RunningPrefect, runner: asyncio.Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Conveyor]:
    made = Conveyor(tmp_path, prefect_server, runner)
    monkeypatch.setattr(promote_release, "connected_here", lambda: made.shop.connections)
    yield made
    made.placement.close()


def test_a_release_goes_live_and_its_flow_run_is_completed(conveyor: Conveyor, tmp_path: Path) -> None:
    version = conveyor.shop.version()
    asked = conveyor.shop.request(version)
    conveyor.work(asked)
    state = conveyor.state(asked)
    assert (state["type"], state["name"], state["message"]) == ("COMPLETED", "Completed", "live, verified and watched")
    assert conveyor.shop.serving("dev") == version.artifacts
    assert conveyor.shop.connections.operations.leases() == []
    told = (conveyor.shop.connections.home.run_logs(asked.id) / "promotion.log").read_text()
    assert told.splitlines() == [
        "start api, web",
        "2 of 2 instances are healthy",
        "smoke front page: passed (1 ms)",
    ]
    without_prefect = Shop(tmp_path / "beside")
    run_pass(without_prefect.connections, without_prefect.request(without_prefect.version()).id)
    assert [one.kind for one in conveyor.shop.facts()] == [one.kind for one in without_prefect.facts()]


def test_an_approval_on_prefects_page_lets_it_go_on(conveyor: Conveyor) -> None:
    waiting = conveyor.staged()
    assert (waiting.phase, waiting.because) == (Phase.WAITING, "waiting for 1 approval")
    assert conveyor.state(waiting)["type"] == "PAUSED"
    conveyor.tick()
    assert conveyor.state(waiting)["type"] == "PAUSED"  # nothing to wake it for

    state = conveyor.answer(waiting, decision="approve", approver="carol", comment="go")

    assert state is not None
    assert conveyor.shop.look(waiting).phase is Phase.SUCCEEDED
    [given] = conveyor.shop.rows("approvals")
    assert (given["approver"], given["comment"], given["evidence"]) == ("carol", "go", "none")


def test_a_code_on_prefects_page_proves_who_it_is_and_a_wrong_one_leaves_it_waiting(conveyor: Conveyor) -> None:
    connections, clock = conveyor.shop.connections, conveyor.shop.installation.clock
    codes: Any = pyotp.parse_uri(begin_code(connections, "carol", ADA).uri)
    assert finish_code(connections, "carol", codes.at(clock.now()), ADA).passed
    waiting = conveyor.staged()

    assert conveyor.answer(waiting, decision="approve", approver="carol", code="000000") is None

    again = conveyor.shop.look(waiting)
    assert (again.phase, again.passes) == (Phase.WAITING, waiting.passes + 1)
    told = (connections.home.run_logs(waiting.id) / "promotion.log").read_text()
    assert told == "approve by carol does not count: wrong one-time code\n"

    clock.advance(30)
    conveyor.answer(again, decision="approve", approver="carol", code=codes.at(clock.now()))
    assert conveyor.shop.look(waiting).phase is Phase.SUCCEEDED
    [given] = conveyor.shop.rows("approvals")
    assert (given["approver"], given["evidence"]) == ("carol", "one-time-code")


def test_a_rejection_on_prefects_page_is_refused_which_is_no_failure(conveyor: Conveyor) -> None:
    waiting = conveyor.staged()
    conveyor.answer(waiting, decision="reject", approver="carol", comment="not today")
    assert conveyor.shop.look(waiting).because == "rejected by carol: not today"
    state = conveyor.state(waiting)
    assert (state["type"], state["name"]) == ("COMPLETED", "Refused")


def test_an_approval_elsewhere_wakes_it_and_a_wake_up_alone_suspends_it_again(conveyor: Conveyor) -> None:
    waiting = conveyor.staged()
    assert conveyor.answer(waiting, decision="recheck") is None
    again = conveyor.shop.look(waiting)
    assert (again.phase, again.passes) == (Phase.WAITING, waiting.passes + 1)

    conveyor.shop.decide(waiting)
    assert conveyor.work(waiting) is not None
    assert conveyor.shop.look(waiting).phase is Phase.SUCCEEDED
    assert len(conveyor.shop.rows("approvals")) == 1


def test_an_answer_while_the_lane_is_in_use_is_not_lost(conveyor: Conveyor) -> None:
    waiting = conveyor.staged()
    lease = conveyor.shop.connections.operations.acquire(waiting.lane, "another promotion", LEASE)
    assert lease is not None

    state = conveyor.answer(waiting, decision="approve", approver="carol")

    assert state is not None
    assert (state.name, state.message) == ("Left", "the lane is in use")
    assert [one["approver"] for one in conveyor.shop.rows("approvals")] == ["carol"]
    conveyor.shop.connections.operations.release(lease)
    conveyor.work(waiting)
    assert conveyor.shop.look(waiting).phase is Phase.SUCCEEDED


def test_an_approval_that_comes_too_late_is_refused_with_the_reason(conveyor: Conveyor) -> None:
    waiting = conveyor.staged()
    conveyor.shop.installation.clock.advance(3600)
    conveyor.answer(waiting, decision="approve", approver="carol")
    assert conveyor.shop.look(waiting).because == "approval expired: 0 of 1 given in time"
    assert conveyor.state(waiting)["name"] == "Refused"
    told = (conveyor.shop.connections.home.run_logs(waiting.id) / "promotion.log").read_text()
    assert told == "approve by carol does not count: approval expired: 0 of 1 given in time\n"


def test_a_form_of_what_has_ended_ends_with_its_reason(conveyor: Conveyor) -> None:
    waiting = conveyor.staged()
    abort(conveyor.shop.connections, waiting, "wrong week", ADA)
    conveyor.answer(waiting, decision="approve", approver="carol")
    state = conveyor.state(waiting)
    assert (state["name"], state["message"]) == ("Aborted", "aborted by ada: wrong week")
    assert conveyor.shop.rows("approvals") == []


def test_a_failed_release_is_failed_and_its_rollback_completed(conveyor: Conveyor) -> None:
    shop = conveyor.shop
    good, bad = shop.version("1"), shop.version("2", "2")
    conveyor.work(shop.request(good))
    shop.sick.add(bad.artifacts["web"])
    asked = shop.request(bad)
    conveyor.work(asked)
    assert conveyor.state(asked)["type"] == "FAILED"
    [rollback] = shop.promotions(kind="rollback")
    conveyor.work(rollback)
    assert conveyor.state(rollback)["type"] == "COMPLETED"
    assert shop.look(asked).phase is Phase.FAILED
    assert shop.serving("dev") == good.artifacts


def test_what_cannot_be_found_out_is_errored_and_one_that_does_not_answer_is_asked_again(conveyor: Conveyor) -> None:
    shop = conveyor.shop
    conveyor.work(shop.request(shop.version("1")))
    second = shop.request(shop.version("2"))
    shop.installation.source.failures = 1
    conveyor.work(second)
    assert shop.look(second).phase is Phase.SUCCEEDED  # the step was tried again

    third = shop.request(shop.version("3"))
    shop.installation.store.contents.pop(third.configuration)
    conveyor.work(third)
    state = conveyor.state(third)
    assert (state["type"], state["name"]) == ("FAILED", "Errored")
    assert state["message"].endswith(f"{third.configuration} is gone")
    assert shop.look(third).phase is Phase.ERRORED


MISTAKE = (
    "TypeError: 'NoneType' object is not iterable (a mistake in Shipline itself, whose traceback stands in "
    "logs/control/worker.log under the home)"
)


def test_a_mistake_of_our_own_ends_it_errored_at_once_and_names_the_log(
    conveyor: Conveyor, caplog: pytest.LogCaptureFixture
) -> None:
    """It would happen again in every other flow run."""
    shop = conveyor.shop
    asked = shop.request(shop.version())

    def blunder() -> None:
        raise TypeError("'NoneType' object is not iterable\nand more")

    shop.during_smoke = blunder
    conveyor.work(asked)

    state = conveyor.state(asked)
    assert (state["type"], state["name"], state["message"]) == ("FAILED", "Errored", MISTAKE)
    assert (shop.look(asked).phase, shop.look(asked).because) == (Phase.ERRORED, MISTAKE)
    assert shop.connections.operations.leases() == []
    assert "in blunder" in caplog.text
    shop.during_smoke = lambda: None
    assert retry(shop.connections, shop.look(asked), ADA).passed
    conveyor.work(asked)
    assert shop.look(asked).phase is Phase.SUCCEEDED


def test_a_mistake_before_its_turn_ends_it_errored_too(conveyor: Conveyor, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = conveyor.shop.request(conveyor.shop.version())
    conveyor.tick()

    def blunder(*_given: object, **_named: object) -> None:
        raise TypeError("'NoneType' object is not iterable")

    monkeypatch.setattr(conveyor.shop.connections.operations, "acquire", blunder)
    conveyor.runner.run(conveyor._execute(conveyor.flow_run(asked)))
    assert (conveyor.shop.look(asked).phase, conveyor.shop.look(asked).because) == (Phase.ERRORED, MISTAKE)


def test_a_pass_that_lost_its_lease_leaves_everything_to_the_newer_one(conveyor: Conveyor) -> None:
    shop = conveyor.shop
    asked = shop.request(shop.version())

    def stall() -> None:
        """Stopped for longer than its lease while another pass takes the promotion up."""
        shop.during_smoke = lambda: None
        shop.installation.clock.advance(LEASE.total_seconds())
        newer = take_turn(shop.connections, asked.id)
        assert newer is not None

    shop.during_smoke = stall
    state = conveyor.work(asked)
    assert state is not None
    assert state.name == "Stale"
    assert shop.look(asked).phase is Phase.VERIFYING
