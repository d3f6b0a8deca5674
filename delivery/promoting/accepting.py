"""Accepting policy: what `shipline.yaml` proposes, and the versions that are in force."""

from dataclasses import dataclass

from pydantic import JsonValue

from delivery.actor import Actor
from delivery.config import Configuration
from delivery.connections import Connections
from delivery.errors import NotFoundError
from delivery.ledger import Draft
from delivery.policy import (
    EnvironmentPolicy,
    PolicyDifference,
    accepted_at_once,
    differences,
    pipeline_order,
    policy_document,
    policy_from,
    proposed_policies,
)


@dataclass(frozen=True, slots=True)
class AcceptedPolicy:
    """One environment's policy under the version that promotions name."""

    environment: str
    version: int
    terms: EnvironmentPolicy


def accepted_versions(connections: Connections, project: str) -> list[AcceptedPolicy]:
    """Every version ever accepted, oldest first."""
    rows = connections.ledger.rows("policies", order="version", project=project)
    return [AcceptedPolicy(str(row["environment"]), int(str(row["version"])), policy_from(row)) for row in rows]


def policies_in_force(connections: Connections, project: str) -> list[AcceptedPolicy]:
    """The newest version of each environment, in the order that releases pass them."""
    newest = {one.environment: one for one in accepted_versions(connections, project)}
    order = pipeline_order({name: one.terms for name, one in newest.items()})
    return [newest[name] for name in order]


def policy_in_force(connections: Connections, project: str, environment: str) -> AcceptedPolicy | None:
    """The newest version of one environment; None when there is none."""
    return next((one for one in policies_in_force(connections, project) if one.environment == environment), None)


def policy_version(connections: Connections, project: str, environment: str, version: int) -> AcceptedPolicy:
    """One version of an environment's policy; NotFoundError when it was never accepted."""
    rows = connections.ledger.rows("policies", project=project, environment=environment, version=version)
    if not rows:
        raise NotFoundError(f"reading the policy of {environment}: version {version} was never accepted")
    return AcceptedPolicy(environment, version, policy_from(rows[0]))


def propose(connections: Connections, project: str, configuration: Configuration, actor: Actor) -> list[str]:
    """Accept what needs nobody (the first proposal, and tightening); the environments accepted now."""
    in_force = {one.environment: one.terms for one in policies_in_force(connections, project)}
    accepted = accepted_at_once(in_force, proposed_policies(configuration))
    return accept(connections, project, accepted, actor)


def accept(connections: Connections, project: str, terms: dict[str, EnvironmentPolicy], actor: Actor) -> list[str]:
    """Put policies in force, each as its environment's next version."""
    newest = {one.environment: one.version for one in policies_in_force(connections, project)}
    drafts = []
    for environment, one in sorted(terms.items()):
        version = newest.get(environment, 0) + 1
        body: dict[str, JsonValue] = {**policy_document(one), "environment": environment, "version": version}
        key = f"policy/{environment}/{version}"
        drafts.append(Draft("policy.accepted", body, actor, connections.clock.now(), key))
    connections.ledger.append(project, drafts)
    return sorted(terms)


def pending(connections: Connections, project: str, configuration: Configuration) -> list[PolicyDifference]:
    """What a configuration proposes beyond what is in force."""
    in_force = {one.environment: one.terms for one in policies_in_force(connections, project)}
    return differences(in_force, proposed_policies(configuration))
