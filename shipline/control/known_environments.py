"""Which environments there are, so that a name that is none is an error and not an empty answer."""

from contextlib import suppress

from delivery.connections import Connections
from delivery.errors import DeliveryError, NotFoundError
from delivery.promoting.accepting import policies_in_force
from delivery.promoting.candidates import configuration_at
from shipline.control.planning import Asked, find_revision


def require_environment(connections: Connections, project: str, environment: str) -> None:
    """NotFoundError for one that has no policy in force."""
    _require(environment, _in_force(connections, project))


def require_ever_known(connections: Connections, project: str, environment: str) -> None:
    """NotFoundError for one that has no policy and no past: what was imported may be of environments that are gone."""
    past = ("promotions", "deployments")
    if not any(connections.ledger.rows(table, limit=1, project=project, environment=environment) for table in past):
        require_environment(connections, project, environment)


def require_proposed(connections: Connections, project: str, environment: str) -> None:
    """NotFoundError for one that neither a policy nor `shipline.yaml` knows: its secrets come before its first run."""
    known = _in_force(connections, project)
    if environment in known:
        return
    with suppress(DeliveryError):
        commit = find_revision(connections, project, Asked()).commit
        known += [name for name in configuration_at(connections, project, commit).environments if name not in known]
    _require(environment, known)


def _in_force(connections: Connections, project: str) -> list[str]:
    return [one.environment for one in policies_in_force(connections, project)]


def _require(environment: str, known: list[str]) -> None:
    if environment not in known:
        raise NotFoundError(f"no environment '{environment}'", hint=f"environments: {', '.join(known) or 'none yet'}")
