"""What every gate would say of a revision in an environment now, without asking for anything."""

import sys
from contextlib import suppress
from dataclasses import dataclass, replace

from pydantic import JsonValue

from delivery.actor import SHIPLINE, Actor
from delivery.artifact import Digest
from delivery.connections import Connections
from delivery.errors import NotFoundError
from delivery.gates.clean import require_clean
from delivery.gates.verdict import Verdict
from delivery.ledger import utc_text
from delivery.pipeline import names_of
from delivery.promoting.accepting import AcceptedPolicy, policy_in_force
from delivery.promoting.candidates import possible_candidate
from delivery.promoting.judging import judge, judge_moment
from delivery.promotion import Kind, Phase, Promotion
from delivery.rollout import Candidate
from delivery.source import Revision
from shipline.control.promoting import find_release

_NONE = Digest("sha256:" + "0" * 64)
"""Of a release that is not made yet."""


@dataclass(frozen=True, slots=True)
class Question:
    """What might be promoted where, and who asks."""

    project: str
    revision: Revision
    environment: str
    caller: Actor


def gates_of(connections: Connections, question: Question) -> list[JsonValue]:
    """A document per gate; who asks is Shipline itself where it would promote without being asked."""
    policy = policy_in_force(connections, question.project, question.environment)
    if policy is None:
        return []
    by_itself = policy.terms.automatic and bool(names_of(policy.terms.after))
    asked = replace(question, caller=SHIPLINE) if by_itself else question
    return [verdict_document(one) for one in _verdicts(connections, asked, policy)]


def _verdicts(connections: Connections, asked: Question, policy: AcceptedPolicy) -> tuple[Verdict, ...]:
    project, commit = asked.project, asked.revision.commit
    with suppress(NotFoundError):
        release = Digest(str(find_release(connections, project, commit)["digest"]))
        candidate, _ = possible_candidate(connections, project, policy.environment, policy.version, release, commit)
        return judge(connections, _possible(connections, asked, candidate), candidate).verdicts
    unmade = Candidate(_NONE, _NONE, policy.version, ())
    clean = require_clean(policy.terms.tier, dirty=asked.revision.dirty)
    moment = judge_moment(connections, _possible(connections, asked, unmade))
    return (_unmade(commit[:12]), clean, *moment.verdicts)


def _unmade(revision: str) -> Verdict:
    reason = f"revision {revision} has no release yet"
    return Verdict("release", (reason,), waiting=True, unblocked_by=f"shipline run {revision}")


def _possible(connections: Connections, asked: Question, candidate: Candidate) -> Promotion:
    """The promotion that would be asked for."""
    return Promotion(
        id="",
        project=asked.project,
        environment=asked.environment,
        kind=Kind.CHANGE,
        phase=Phase.REQUESTED,
        because="",
        release=candidate.release,
        candidate=candidate.digest,
        configuration=candidate.configuration,
        policy_version=candidate.policy_version,
        configuration_revision=asked.revision.commit,
        requested_at=connections.clock.now(),
        requested_by=asked.caller,
        sequence=sys.maxsize,  # behind all that were requested
    )


def verdict_document(verdict: Verdict) -> dict[str, JsonValue]:
    """One gate of `shipline plan --to ENV --json`."""
    return {
        "gate": verdict.gate,
        "passed": verdict.passed,
        "waiting": verdict.waiting,
        "reasons": [*verdict.reasons],
        "until": utc_text(verdict.until) if verdict.until else None,
        "unblocked_by": verdict.unblocked_by or None,
    }
