"""What is said beside a plan, a run or an accepted policy: what is no part of it, and what it does not change yet."""

from collections.abc import Collection, Iterator
from contextlib import suppress

from pydantic import JsonValue

from delivery.adapters.git import dirty
from delivery.connections import Connections
from delivery.errors import DeliveryError
from delivery.policy import accepted_at_once, differences, proposed_policies
from delivery.promoting.accepting import policies_in_force, policy_in_force
from delivery.promoting.candidates import configuration_at
from delivery.promoting.turn import read_promotions
from delivery.promotion import BEFORE_ROLLOUT, Kind
from shipline.control.planning import Asked


def notes_of(connections: Connections, project: str, asked: Asked, commit: str) -> list[JsonValue]:
    """Sentences for whoever asked for a commit."""
    return [*_left_out(connections, project, asked), *_not_in_force(connections, project, commit)]


def _left_out(connections: Connections, project: str, asked: Asked) -> Iterator[str]:
    location = str(connections.ledger.rows("projects", slug=project)[0].get("location") or "")
    if asked.dirty or asked.revision is not None or not location or "://" in location:
        return
    with suppress(DeliveryError):
        if dirty(location):
            yield "uncommitted changes are not part of it; --dirty takes the work tree as it is"


def _not_in_force(connections: Connections, project: str, commit: str) -> Iterator[str]:
    in_force = {one.environment: one.terms for one in policies_in_force(connections, project)}
    proposed = proposed_policies(configuration_at(connections, project, commit))
    at_once = accepted_at_once(in_force, proposed)
    waits = sorted({one.environment for one in differences(in_force, proposed)} - at_once.keys())
    if waits:
        yield f"policy of {', '.join(waits)}: proposed, not in force until: shipline policy accept"


def refused_by_acceptance(
    connections: Connections, project: str, environments: Collection[str]
) -> list[dict[str, JsonValue]]:
    """Promotions that wait, requested under a policy that is not in force any more, and how to request them again."""
    phases = [phase.value for phase in BEFORE_ROLLOUT]
    found = []
    for one in read_promotions(connections, project=project, environment=[*environments], phase=phases):
        in_force = policy_in_force(connections, project, one.environment)
        if one.kind is not Kind.ROLLBACK and in_force and in_force.version != one.policy_version:
            again = f"shipline promote {one.configuration_revision[:12]} --to {one.environment}"
            document: dict[str, JsonValue] = {"id": one.id, "environment": one.environment, "again": again}
            found.append(document)
    return found
