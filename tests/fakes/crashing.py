"""A process that dies at a chosen moment: right after its n-th append to the ledger or effect on the target."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from pydantic import JsonValue

from delivery.artifact import Digest
from delivery.ledger import Draft, Entry
from delivery.ports import Deployer, Guard, Ledger
from delivery.rollout import Candidate, Handle, Observed, Progress, RolloutPlan, Target


class SimulatedCrashError(BaseException):
    """Not an Exception: nothing in the product may catch it, as nothing catches kill -9."""


class Fuse:
    """Burns down by one with every append and effect."""

    def __init__(self, moments: int) -> None:
        self.left = moments

    def burn(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise SimulatedCrashError


class CrashingLedger:
    """A Ledger that has appended when its process dies."""

    def __init__(self, ledger: Ledger, fuse: Fuse) -> None:
        self._ledger = ledger
        self._fuse = fuse

    def append(self, stream: str, drafts: Sequence[Draft], guard: Guard | None = None) -> list[Entry]:
        written = self._ledger.append(stream, drafts, guard)
        self._fuse.burn()
        return written

    def entries(self, stream: str, after: int = 0) -> Iterator[Entry]:
        return self._ledger.entries(stream, after)

    def streams(self) -> dict[str, tuple[int, Digest]]:
        return self._ledger.streams()

    def rows(
        self, table: str, order: str | None = None, limit: int | None = None, **equal: JsonValue
    ) -> list[dict[str, JsonValue]]:
        return self._ledger.rows(table, order, limit, **equal)

    def rebuild(self) -> None:
        self._ledger.rebuild()


class CrashingDeployer:
    """A Deployer whose effect has happened when its process dies."""

    def __init__(self, deployer: Deployer, fuse: Fuse) -> None:
        self._deployer = deployer
        self._fuse = fuse

    def observe(self, target: Target) -> Observed:
        return self._deployer.observe(target)

    def plan(self, target: Target, candidate: Candidate, observed: Observed) -> RolloutPlan:
        return self._deployer.plan(target, candidate, observed)

    def apply(self, plan: RolloutPlan, fence: int) -> Handle:
        handle = self._deployer.apply(plan, fence)
        self._fuse.burn()
        return handle

    def watch(self, handle: Handle, deadline: datetime) -> Iterator[Progress]:
        return self._deployer.watch(handle, deadline)

    def shift(self, handle: Handle, percent: int, fence: int) -> Observed:
        observed = self._deployer.shift(handle, percent, fence)
        self._fuse.burn()
        return observed

    def retire(self, handle: Handle, fence: int) -> Observed:
        observed = self._deployer.retire(handle, fence)
        self._fuse.burn()
        return observed
