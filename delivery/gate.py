"""Gates: decisions that must pass before a rollout. Each is a pure function that returns a verdict."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from delivery.actor import Actor
from delivery.artifact import Digest
from delivery.promotion import Kind


@dataclass(frozen=True, slots=True)
class Verdict:
    """Passed when there are no reasons against; waiting when time or a person may still change them."""

    gate: str
    reasons: tuple[str, ...] = ()
    waiting: bool = False

    @property
    def passed(self) -> bool:
        """Whether nothing stands against it."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """How a service's revision relates to the one live now: the facts of the order gate."""

    service: str
    relation: str
    """`same`, `newer`, `older`, `diverged`, `unrelated`, or `first` when nothing is live."""


def refusals(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    """The reasons of all verdicts that say no for good."""
    return tuple(reason for verdict in verdicts if not verdict.waiting for reason in verdict.reasons)


def waits(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    """The reasons of all verdicts that only ask to wait."""
    return tuple(reason for verdict in verdicts if verdict.waiting for reason in verdict.reasons)


def require_verified_upstream(release: Digest, upstream: str | None, *, verified: bool, kind: Kind) -> Verdict:
    """The release is verified in the environment before this one; a rollback was so once already."""
    if upstream is None or verified or kind is Kind.ROLLBACK:
        return Verdict("verified upstream")
    return Verdict("verified upstream", (f"release {short(release)} is not verified in {upstream}",))


def require_verified_before(release: Digest, environment: str, *, verified: bool, kind: Kind) -> Verdict:
    """What a rollback goes back to ran here and was verified."""
    if kind is not Kind.ROLLBACK or verified:
        return Verdict("verified before")
    return Verdict("verified before", (f"release {short(release)} was never verified in {environment}",))


def require_not_bad(bad: Sequence[Digest], requester: Actor) -> Verdict:
    """No automation promotes what is marked bad; a person may insist."""
    if not bad or requester.kind != "automation":
        return Verdict("not bad")
    return Verdict("not bad", tuple(f"{short(digest)} is marked bad" for digest in bad))


def require_not_held(environment: str, hold_reason: str | None, requester: Actor, kind: Kind) -> Verdict:
    """No automation moves an environment that a person holds, except back from a rollout that failed."""
    if hold_reason is None or requester.kind != "automation" or kind is Kind.ROLLBACK:
        return Verdict("not held")
    return Verdict("not held", (f"{environment} is on hold: {hold_reason}",), waiting=True)


def require_clean(tier: str, *, dirty: bool) -> Verdict:
    """What was made from uncommitted changes stays in development environments."""
    if not dirty or tier == "development":
        return Verdict("clean")
    return Verdict("clean", ("made from uncommitted changes, which may reach development environments only",))


_NOT_NEWER = {
    "older": "what runs is newer; use rollback to go back",
    "diverged": "what runs has diverged from it, neither contains the other; replace it with: {insist}",
    "unrelated": "what runs is of an unrelated line of history; replace it with: {insist}",
}


def require_newer(lines: Iterable[ServiceLine], kind: Kind, *, replace: bool, insist: str) -> Verdict:
    """Service by service, nothing newer is overwritten, and no other line of history, unless asked for.

    `insist` is the command that asks for it.
    """
    if kind is Kind.ROLLBACK or replace:
        return Verdict("newer")
    found = ((line.service, _NOT_NEWER.get(line.relation)) for line in lines)
    return Verdict("newer", tuple(f"{service}: {why.format(insist=insist)}" for service, why in found if why))


def short(digest: str) -> str:
    """A digest as people read it."""
    return digest.removeprefix("sha256:")[:12]
