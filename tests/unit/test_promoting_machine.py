"""A lane under any order of requests, decisions, holds, failures, crashes and lapsed leases keeps what is always true.

The numbers in the invariants' names are those of the model's section "Always true".
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from delivery.errors import StaleFenceError
from delivery.pace import LEASE
from delivery.promoting import passing
from delivery.promoting.judging import Judgement, judge
from delivery.promoting.stopping import abort, give_up, retry
from delivery.promoting.turn import Turn, take_turn
from delivery.promotion import UNDER_WAY, Kind, Phase, Promotion, holder_of_lane, may_follow
from tests.fakes.crashing import Fuse, SimulatedCrashError
from tests.fakes.shop import ADA, Shop, run_pass, silent

LANE = """\
version: 1
project: shop
services:
  api: {paths: [api], build: {command: [make, api]}, run: {command: ./api}}
  web: {paths: [web], build: {command: [make, web]}, run: {command: ./web}}
smoke:
  front: {requests: [{name: front page, service: web, path: /}]}
environments:
  production:
    {tier: production, smoke: front, watch_seconds: 0, approvals: {count: 1, expires_after_seconds: 3600},
     services: {api: {port: 8301}, web: {port: 8302}}}
"""
VERSIONS = 6
picks = st.integers(min_value=0, max_value=30)


class Lane(RuleBasedStateMachine):
    """One lane of one environment."""

    def __init__(self) -> None:
        super().__init__()
        self.stale: list[Turn] = []

    @initialize()
    def open_shop(self) -> None:
        self.shop = Shop(Path("/nowhere"), LANE)
        self.versions = [self.shop.version(str(number), str(number // 2)) for number in range(VERSIONS)]
        self.request(0, approved=True, replace=False)
        self.shop.work_off()

    def teardown(self) -> None:
        """1: whatever has happened, everything then ends, or says what it waits for."""
        if hasattr(self, "shop"):
            self.shop.installation.clock.advance(LEASE.total_seconds())
            self.shop.work_off()
            for one in self.unfinished():
                run_pass(self.shop.connections, one.id)
            for one in self.unfinished():
                assert one.phase is Phase.WAITING
                assert judge(self.shop.connections, one).waits
            self.everything_always_true()

    # what happens

    @rule(pick=picks, approved=st.booleans(), replace=st.booleans())
    def request(self, pick: int, *, approved: bool, replace: bool) -> None:
        version = self.versions[pick % VERSIONS]
        name = f"{version.commit} {pick} {replace}"
        asked = self.shop.request(version, "production", request=name, replace=replace)
        entries = self.shop.length
        assert self.shop.request(version, "production", request=name, replace=replace).id == asked.id
        assert self.shop.length == entries  # 7
        if approved:
            self.shop.decide(asked)

    @rule(pick=picks)
    def request_what_does_not_work(self, pick: int) -> None:
        self.shop.sick.add(self.versions[pick % VERSIONS].artifacts["web"])
        self.request(pick, approved=True, replace=True)

    @rule(
        pick=picks, what=st.sampled_from(["approve", "reject", "abort", "errored", "retry", "hold", "unhold", "expire"])
    )
    def interfere(self, pick: int, what: str) -> None:
        ports = self.shop.connections
        match what:
            case "approve" | "reject":
                self.with_one(self.unfinished(), pick, lambda one: self.shop.decide(one, what, ADA))
            case "abort":
                self.with_one(self.unfinished(), pick, lambda one: abort(ports, one, "stop", ADA))
            case "errored" if not ports.operations.leases():
                self.with_one(self.unfinished(), pick, lambda one: give_up(ports, one, "nobody knows"))
            case "retry":
                errored = self.shop.promotions(phase=Phase.ERRORED.value)
                self.with_one(errored, pick, lambda one: retry(ports, one, ADA))
            case "hold" | "unhold":
                self.shop.hold("production", "the sale is on", held=what == "hold")
            case "expire":
                self.shop.installation.clock.advance(3600)

    @rule(pick=picks)
    def work_on_one(self, pick: int) -> None:
        self.with_one(self.unfinished(), pick, lambda one: run_pass(self.shop.connections, one.id))

    @rule(pick=picks)
    def approve_what_waits_and_resume_it(self, pick: int) -> None:
        """As a person does on Prefect's page, whatever else goes on in the lane."""

        def resume(one: Promotion) -> None:
            self.shop.decide(one)
            run_pass(self.shop.connections, one.id)

        self.with_one(self.shop.promotions(phase=Phase.WAITING.value), pick, resume)

    @rule(moments=st.integers(min_value=1, max_value=25))
    def crash(self, moments: int) -> None:
        if not self.stale_holds_lease():
            self.shop.crash_after(moments)

    @rule(pick=picks, moments=st.integers(min_value=1, max_value=12))
    def crash_while_working_on_one(self, pick: int, moments: int) -> None:
        def work(one: Promotion) -> None:
            try:
                run_pass(self.shop.connect(Fuse(moments)), one.id)
            except SimulatedCrashError:
                self.shop.installation.clock.advance(LEASE.total_seconds())

        self.with_one(self.unfinished(), pick, work)

    @rule(pick=picks)
    def stop_a_pass_after_it_applied(self, pick: int) -> None:
        """It keeps its turn, and is continued when its lease may have lapsed."""

        def begin(one: Promotion) -> None:
            turn = take_turn(self.shop.connections, one.id)
            if turn is None:
                return
            turn = passing.begin(turn)
            judgement = judge(turn.connections, turn.promotion) if passing.judging(turn) else Judgement(())
            if not judgement.asks_a_person:
                turn = passing.start_new_side(passing.follow(turn, judgement), silent)
            self.stale.append(turn)

        self.with_one(self.unfinished(), pick, begin)

    @precondition(lambda self: self.stale)
    @rule(lapsed=st.booleans())
    def continue_a_stopped_pass(self, *, lapsed: bool) -> None:
        turn = self.stale.pop()
        if lapsed:
            self.shop.installation.clock.advance(LEASE.total_seconds())
        held = self.shop.installation.operations.holds(turn.lease)
        before = (self.shop.length, dict(self.shop.installation.world.desired))
        with contextlib.suppress(StaleFenceError):
            passing.retire_old_side(passing.run_smoke_suite(passing.shift_traffic(turn), silent))
        turn.leave()
        if not held:
            assert (self.shop.length, self.shop.installation.world.desired) == before  # 2

    @rule(pick=picks, ill=st.booleans())
    def fall_ill_or_get_well(self, pick: int, *, ill: bool) -> None:
        artifact = self.versions[pick % VERSIONS].artifacts["web"]
        (self.shop.sick.add if ill else self.shop.sick.discard)(artifact)

    @rule(pick=picks, broken=st.booleans())
    def break_or_mend_an_artifact(self, pick: int, *, broken: bool) -> None:
        artifact = self.versions[pick % VERSIONS].artifacts["api"]
        ailments = self.shop.installation.world.ailments
        if broken and artifact not in self.shop.serving("production").values():
            ailments[artifact] = "exited with 1"
        else:
            ailments.pop(artifact, None)

    @rule()
    def work_off(self) -> None:
        if not self.stale_holds_lease():
            self.shop.work_off()

    # what always holds

    @invariant()
    def everything_always_true(self) -> None:
        if not hasattr(self, "shop"):
            return
        self.no_two_rollouts_overlap()
        self.what_runs_is_what_is_said()
        self.what_runs_was_judged_and_approved()
        self.every_move_was_allowed()
        self.shop.check_ledger()  # 5, 6, 7

    def no_two_rollouts_overlap(self) -> None:
        """2: apart from a chain of rollbacks, one promotion at most is under way."""
        under_way = [one for one in self.shop.promotions() if one.phase in UNDER_WAY]
        assert len([one for one in under_way if one.phase is not Phase.ROLLING_BACK]) <= 1
        holder = holder_of_lane(self.shop.promotions())
        assert (holder is not None) == bool(under_way)
        fences = [int(str(one.body["fence"])) for one in self.shop.facts() if one.kind == "effect.intended"]
        assert fences == sorted(fences)

    def what_runs_is_what_is_said(self) -> None:
        """3: between rollouts the ledger says what the deployer sees."""
        busy = [one for one in self.shop.promotions() if one.phase in UNDER_WAY or one.phase is Phase.ERRORED]
        if not busy:
            said = {row["service"]: row["artifact"] for row in self.shop.rows("running", gone_at=None)}
            assert said == self.shop.serving("production")

    def what_runs_was_judged_and_approved(self) -> None:
        """4: every rollout was of an approved candidate, or back to one."""
        approved = {row["candidate"] for row in self.shop.rows("approvals", decision="approve")}
        for one in self.shop.promotions():
            assert one.started_at is None or one.candidate in approved
            assert one.started_at is None or one.kind is Kind.ROLLBACK or self.judged(one)

    def judged(self, promotion: Promotion) -> bool:
        return any(
            one.body.get("phase") == "Judging" or one.body.get("because") == "every gate passed"
            for one in self.shop.facts()
            if one.kind == "promotion.moved" and one.body["id"] == promotion.id
        )

    def every_move_was_allowed(self) -> None:
        """1: nothing follows an end, and no phase is skipped."""
        phase: dict[str, Phase] = {}
        for one in self.shop.facts():
            if one.kind == "promotion.requested":
                phase[one.text("id")] = Phase.REQUESTED
            elif one.kind == "promotion.moved":
                then = Phase(one.text("phase"))
                assert may_follow(phase[one.text("id")], then), (phase[one.text("id")], then)
                phase[one.text("id")] = then

    # helpers of the rules

    def unfinished(self) -> list[Promotion]:
        return [one for one in self.shop.promotions() if not one.phase.final]

    def with_one(self, some: list[Promotion], pick: int, act: Callable[[Promotion], object]) -> None:
        if some:
            act(some[pick % len(some)])

    def stale_holds_lease(self) -> bool:
        return any(self.shop.installation.operations.holds(one.lease) for one in self.stale)


Lane.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
TestLane = Lane.TestCase
