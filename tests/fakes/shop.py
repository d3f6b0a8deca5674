"""A shop of two services on its way through dev, staging and production, on a whole installation of fakes.

`work_off` does what the dispatcher and `flows.promote_release` do, in the flow's order and without Prefect.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from delivery.actor import SHIPLINE, Actor
from delivery.artifact import Digest, digest_of
from delivery.canonical import canonical_bytes
from delivery.config import Smoke
from delivery.configuration import definition_document
from delivery.connections import Connections
from delivery.errors import DeliveryError, StaleFenceError
from delivery.gates.verdict import Verdict
from delivery.home import Home
from delivery.ledger import Draft, Entry, breaks
from delivery.pace import LEASE
from delivery.people.registering import Changes, add_person
from delivery.projection import Fact
from delivery.promoting import approving, closing, passing
from delivery.promoting.accepting import propose
from delivery.promoting.approving import Decision
from delivery.promoting.candidates import configuration_at
from delivery.promoting.deciding import decide
from delivery.promoting.judging import Judgement, judge
from delivery.promoting.requesting import Wanted, request_promotion
from delivery.promoting.turn import Turn, read_promotion, read_promotions, take_turn
from delivery.promotion import Phase, Promotion, next_in_lane
from delivery.release import Release, ReleasedService
from delivery.rollout import Observed, Target
from delivery.running.releasing import release_draft
from delivery.verification import SmokeReport
from tests.fakes.connections import Installation
from tests.fakes.crashing import CrashingDeployer, CrashingLedger, Fuse, SimulatedCrashError
from tests.fakes.deployer import InMemoryDeployer
from tests.fakes.smoker import TableSmoker

PROJECT = "shop"
REGISTERED = {"slug": PROJECT, "source": "memory", "default_branch": "main"}
ADA = Actor("person", "ada", "api-token")
BOB = Actor("person", "bob", "api-token")

CONFIGURATION = """\
version: 1
project: shop
services:
  api: {paths: [api], build: {command: [make, api]}, run: {command: ./api}}
  web: {paths: [web], build: {command: [make, web]}, run: {command: ./web}}
smoke:
  front: {requests: [{name: front page, service: web, path: /}]}
environments:
  dev:
    {tier: development, smoke: front, watch_seconds: 0, services: {api: {port: 8101}, web: {port: 8102}}}
  staging:
    {tier: staging, after: dev, smoke: front, watch_seconds: 0, approvals: {count: 1, expires_after_seconds: 3600},
     services: {api: {port: 8201}, web: {port: 8202}}}
  production:
    {tier: production, after: staging, automatic: false, smoke: front, watch_seconds: 0,
     services: {api: {port: 8301}, web: {port: 8302}}}
"""
ALONE = """\
version: 1
project: shop
services:
  api: {paths: [api], build: {command: [make, api]}, run: {command: ./api}}
  web: {paths: [web], build: {command: [make, web]}, run: {command: ./web}}
smoke:
  front: {requests: [{name: front page, service: web, path: /}]}
environments:
  production:
    {tier: production, smoke: front, watch_seconds: 0, services: {api: {port: 8301}, web: {port: 8302}}}
"""
"""One environment that nothing comes before."""


@dataclass(frozen=True, slots=True)
class Version:
    """A commit and the release that its run made."""

    commit: str
    release: Digest
    artifacts: Mapping[str, Digest]


@dataclass(slots=True)
class Shop:
    """The installation, and what happens to it."""

    folder: Path
    configuration: str = CONFIGURATION
    installation: Installation = field(init=False)
    connections: Connections = field(init=False)
    sick: set[Digest] = field(default_factory=set)
    """Artifacts whose service answers 500 to the smoke suite."""
    during_smoke: Callable[[], object] = field(default=lambda: None)
    """What happens while a smoke suite runs."""
    starts: Counter[str] = field(default_factory=Counter)
    """How often the deployer was made to start a side, by its name without the fence."""

    def __post_init__(self) -> None:
        self.installation = Installation(Home(self.folder))
        self.connections = self.connect()
        for name in ("bob", "carol"):
            add_person(self.connections, name, Changes(roles=("approver",)), ADA)
        self.installation.ledger.append(
            PROJECT,
            [self._fact("project.registered", {**REGISTERED, "location": str(self.folder / "tree")})],
        )

    def connect(self, fuse: Fuse | None = None) -> Connections:
        """The ports as a process holds them; with a fuse, one that dies when it has burnt down."""
        deployer = CountingDeployer(self.installation.world, self.starts)
        smoker = ServingSmoker(self)
        if fuse is None:
            return self.installation.connect(deployer=deployer, smoker=smoker)
        ledger = CrashingLedger(self.installation.ledger, fuse)
        return self.installation.connect(ledger, CrashingDeployer(deployer, fuse), smoker)

    def version(
        self,
        api: str = "1",
        web: str = "1",
        *,
        configuration: str = "",
        branch: str = "main",
        based_on: str | None = None,
        **more: Any,  # noqa: ANN401  # options of InMemorySource.commit
    ) -> Version:
        """Commit, build and release: services with the same text are the same artifacts."""
        files = {"api/main": api, "web/main": web, "shipline.yaml": configuration or self.configuration}
        subject = more.pop("subject", f"api {api}, web {web}")
        commit = self.installation.source.commit(files, branch, subject=subject, **more)
        self.propose(commit)
        return self.release(commit, api, web, based_on=based_on)

    def propose(self, commit: str) -> None:
        """Put in force what needs nobody."""
        propose(self.connections, PROJECT, configuration_at(self.connections, PROJECT, commit), ADA)

    def release(self, commit: str, api: str = "1", web: str = "1", *, based_on: str | None = None) -> Version:
        """What a run of a commit tells the ledger."""
        services = configuration_at(self.connections, PROJECT, commit).services
        texts = {"api": api, "web": web}
        artifacts = {name: digest_of(f"{name} {texts[name]}".encode()) for name in services}
        released = {
            name: ReleasedService(
                artifacts[name],
                self.connections.store.put(canonical_bytes(definition_document(one.run))),
                revision=commit,
            )
            for name, one in services.items()
        }
        made = Release(PROJECT, released, commit, f"1.{api}.{web}", based_on is not None)
        tested = {"commit": commit, "run": commit[:8], "release": made.digest, "based_on": based_on}
        drafts = [
            release_draft(self.connections, made, SHIPLINE, based_on=based_on),
            self._fact("revision.tested", tested),
        ]
        self.installation.ledger.append(PROJECT, drafts)
        return Version(commit, made.digest, artifacts)

    def request(self, version: Version, environment: str = "dev", request: str = "", **more: Any) -> Promotion:  # noqa: ANN401  # fields of Wanted
        """Ask for a version in an environment."""
        fields: dict[str, Any] = {"actor": ADA, **more}
        wanted = Wanted(
            project=PROJECT,
            environment=environment,
            release=version.release,
            configuration_revision=version.commit,
            request=request or f"{environment} {version.commit}",
            **fields,
        )
        return request_promotion(self.connections, wanted)

    def deliver(self, version: Version, environment: str = "dev", **more: Any) -> Promotion:  # noqa: ANN401  # fields of Wanted
        """Ask, work everything off, and look."""
        asked = self.request(version, environment, **more)
        self.work_off()
        return self.look(asked)

    def work_off(self, connections: Connections | None = None) -> None:
        """Give every lane its turns until nothing is left that could go on by itself."""
        ports = connections or self.connections
        for _ in range(50):
            following = [one for lane in self.lanes().values() if (one := next_in_lane(lane))]
            if not following:
                return
            for one in following:
                run_pass(ports, one.id)
        raise AssertionError(f"it does not settle: {[(one.id, one.phase, one.because) for one in following]}")

    def crash_after(self, moments: int) -> bool:
        """Work off in a process that dies after so many appends and effects; whether it came to that."""
        try:
            self.work_off(self.connect(Fuse(moments)))
        except SimulatedCrashError:
            self.installation.clock.advance(LEASE.total_seconds())
            return True
        return False

    def lanes(self) -> dict[str, list[Promotion]]:
        """Every lane's promotions that are not final."""
        found: dict[str, list[Promotion]] = {}
        for one in self.promotions():
            if not one.phase.final:
                found.setdefault(one.lane, []).append(one)
        return found

    def promotions(self, **equal: Any) -> list[Promotion]:  # noqa: ANN401  # fields of promotions
        """In order of request."""
        return read_promotions(self.connections, project=PROJECT, **equal)

    def look(self, promotion: Promotion) -> Promotion:
        """As it stands now."""
        return read_promotion(self.connections, promotion.id)

    def decide(self, promotion: Promotion, answer: str = "approve", person: Actor = BOB, comment: str = "") -> Verdict:
        """What a person says through the API."""
        decision = Decision("approve" if answer == "approve" else "reject", person, comment)
        return decide(self.connections, self.look(promotion), decision)

    def hold(self, environment: str, reason: str, *, held: bool = True) -> None:
        """A person holds an environment, or lets it go."""
        kind = "environment.held" if held else "environment.released"
        self.installation.ledger.append(PROJECT, [self._fact(kind, {"environment": environment, "reason": reason})])

    def observed(self, environment: str) -> Observed:
        """What the deployer sees."""
        return self.connections.deployer.observe(Target(PROJECT, environment))

    def serving(self, environment: str) -> dict[str, Digest]:
        """The artifact of each service that has all traffic."""
        weights = self.observed(environment).weights
        return {
            service: artifact
            for service, shares in weights.items()
            for artifact, percent in shares.items()
            if percent == 100
        }

    def facts(self, after: int = 0) -> list[Fact]:
        """Every entry, read."""
        return [Fact.read(entry) for entry in self.entries(after)]

    def entries(self, after: int = 0) -> Iterator[Entry]:
        return self.installation.ledger.entries(PROJECT, after)

    @property
    def length(self) -> int:
        """How many entries there are."""
        return self.installation.ledger.streams()[PROJECT][0]

    def rows(self, table: str, **equal: Any) -> list[dict[str, Any]]:  # noqa: ANN401  # see Ledger.rows
        """Documents of a projection."""
        found: list[dict[str, Any]] = self.installation.ledger.rows(table, project=PROJECT, **equal)
        return found

    def documents(self) -> str:
        """All projections as text, to compare."""
        return json.dumps({" ".join(place): one for place, one in sorted(self.installation.ledger._documents.items())})

    def check_ledger(self) -> None:
        """The chain verifies to its head, no key is there twice, and rebuilding changes nothing."""
        entries = list(self.entries())
        assert breaks(entries, self.installation.ledger.streams()[PROJECT]) == []
        keys = [key for one in entries if (key := json.loads(one.content)["key"])]
        assert len(keys) == len(set(keys))
        before = self.documents()
        self.installation.ledger.rebuild()
        assert self.documents() == before

    def _fact(self, kind: str, body: Mapping[str, Any]) -> Draft:
        return Draft(kind, body, ADA, self.connections.clock.now())


def run_pass(connections: Connections, promotion: str, flow_run: str = "flow-run") -> Turn | None:
    """One pass in the order of `flows.promote_release`; None when it is another one's turn, or left to a newer pass."""
    turn = take_turn(connections, promotion)
    if turn is None:
        return None
    try:
        turn = every_step(turn, flow_run)
    except StaleFenceError:
        return None
    except DeliveryError as error:
        turn = closing.end(turn.again(), Phase.ERRORED, error.message)
    turn.leave()
    return turn


def every_step(turn: Turn, flow_run: str) -> Turn:
    """Every step of a promotion's life, from wherever it stands to where it waits or ends."""
    turn = passing.begin(turn)
    judgement = judge(turn.connections, turn.promotion) if passing.judging(turn) else Judgement(())
    if judgement.asks_a_person:
        return approving.wait_for_person(turn, "; ".join(judgement.waits), flow_run)
    turn = passing.follow(turn, judgement)
    turn = passing.start_new_side(turn, silent)
    turn = passing.shift_traffic(turn)
    turn = passing.run_smoke_suite(turn, silent)
    turn = passing.watch_release(turn, silent)
    return passing.retire_old_side(turn)


def silent(_line: str) -> None:
    """Nobody listens."""


class CountingDeployer(InMemoryDeployer):
    """Remembers every side that was started."""

    def __init__(self, world: Any, starts: Counter[str]) -> None:  # noqa: ANN401  # handed on
        super().__init__(world)
        self._starts = starts

    def _change(self, target: Target, fence: int, change: Any) -> Any:  # noqa: ANN401  # handed on
        before = {side.id for side in self.world.desired[target].sides} if target in self.world.desired else set()
        desired = super()._change(target, fence, change)
        for side in desired.sides:
            if side.id not in before:
                self._starts[f"{target.environment} {side.id.rpartition('-')[0]}"] += 1
        return desired


@dataclass(slots=True)
class ServingSmoker:
    """Answers as the artifacts do that have the traffic of the port that is asked."""

    shop: Shop

    def run(self, suite: Smoke, addresses: Mapping[str, str], secret: Callable[[str], str]) -> SmokeReport:
        self.shop.during_smoke()
        ports = {int(address.rpartition(":")[2]) for address in addresses.values()}
        desired = next(one for one in self.shop.installation.world.desired.values() if ports <= one.taken)
        serving = {side.artifact for side in desired.sides if side.percent}
        status = 500 if serving & self.shop.sick else 200
        return TableSmoker(everything=status).run(suite, addresses, secret)
