"""Policy and secrets."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, JsonValue

from delivery.config import Configuration
from delivery.connections import Connections
from delivery.errors import NotFoundError
from delivery.people.roles import Permission
from delivery.policy import policy_document, proposed_policies
from delivery.promoting.accepting import accept, pending, policies_in_force
from delivery.promoting.candidates import configuration_at
from delivery.secret import SecretScope
from shipline.control.access import Acting, Caller, Ports, Project, needs
from shipline.control.known_environments import require_proposed
from shipline.control.library_notes import note_of_configuration
from shipline.control.notes import refused_by_acceptance
from shipline.control.planning import Asked, find_revision

router = APIRouter(tags=["governance"])


class Acceptance(BaseModel):
    """Which environment's proposal is accepted; all of them without one."""

    model_config = ConfigDict(extra="forbid")

    environment: str | None = None


class Secret(BaseModel):
    """A secret's value, on its only way in."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    value: str
    environment: str | None = None
    expires_at: datetime | None = None


@router.get("/projects/{project}/policy", dependencies=[needs(Permission.READ)])
def show_policy(ports: Ports, project: Project) -> dict[str, JsonValue]:
    """What is in force, and what `shipline.yaml` proposes beyond it."""
    return _document(ports, project, _proposal(ports, project))


@router.post("/projects/{project}/policy/accept", dependencies=[needs(Permission.ADMINISTER)])
def accept_policy(body: Acceptance, acting: Acting, project: Project, caller: Caller) -> dict[str, JsonValue]:
    """Put what is proposed in force."""
    ports = acting.ports
    proposal = _proposal(ports, project)
    proposed = proposed_policies(proposal)
    if body.environment and body.environment not in proposed:
        known = ", ".join(proposed)
        raise NotFoundError(f"nothing is proposed for '{body.environment}'", hint=f"environments: {known}")
    changed = {one.environment for one in pending(ports, project, proposal)}
    wanted = {name: terms for name, terms in proposed.items() if name in changed and body.environment in {None, name}}
    accept(ports, project, wanted, caller)
    environments = [one.environment for one in policies_in_force(ports, project)]
    acting.flow_runs.ensure_deployments(project, environments)
    refused = refused_by_acceptance(ports, project, wanted)
    return {**_document(ports, project, proposal), "refused": [*refused]}


@router.get("/projects/{project}/secrets", dependencies=[needs(Permission.READ)])
def list_secrets(ports: Ports, project: Project) -> list[JsonValue]:
    """Names, scopes, owners and times; never a value."""
    return [dict(row) for row in ports.secrets.list(project)]


@router.put("/projects/{project}/secrets/{name}", dependencies=[needs(Permission.ADMINISTER)])
def set_secret(name: str, body: Secret, ports: Ports, project: Project, caller: Caller) -> dict[str, JsonValue]:
    """Set or replace a secret."""
    if body.environment:
        require_proposed(ports, project, body.environment)
    ports.secrets.put(name, body.value, project, body.environment, caller.subject, body.expires_at)
    return {"name": name, "scope": str(SecretScope(project, body.environment))}


@router.delete("/projects/{project}/secrets/{name}", dependencies=[needs(Permission.ADMINISTER)])
def remove_secret(name: str, ports: Ports, project: Project, environment: str | None = None) -> dict[str, JsonValue]:
    """Remove a secret."""
    if not ports.secrets.remove(name, project, environment):
        raise NotFoundError(f"no secret '{name}'", hint="shipline secret list")
    return {"name": name, "removed": True}


def _proposal(ports: Connections, project: str) -> Configuration:
    """The configuration of what the work tree stands on, or of the default branch."""
    return configuration_at(ports, project, find_revision(ports, project, Asked()).commit)


def _document(ports: Connections, project: str, proposal: Configuration) -> dict[str, JsonValue]:
    in_force = policies_in_force(ports, project)
    return {
        "version": sum(one.version for one in in_force),
        "environments": {one.environment: {"version": one.version, **policy_document(one.terms)} for one in in_force},
        "proposed": [
            {
                "environment": one.environment,
                "field": one.field,
                "from": one.old,
                "to": one.new,
                "loosens": one.loosens,
            }
            for one in pending(ports, project, proposal)
        ],
        "note": note_of_configuration(proposal),
    }
