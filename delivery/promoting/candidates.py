"""Candidates: a release with an environment's configuration under a policy version, ready to run."""

import json
from functools import lru_cache

from pydantic import JsonValue

from delivery.artifact import Digest
from delivery.canonical import canonical_bytes, canonical_digest
from delivery.config import Configuration, Run
from delivery.config_reading import read_configuration
from delivery.configuration import definition_from, environment_configuration, environment_services, workloads
from delivery.connections import Connections
from delivery.errors import ConfigurationError, NotFoundError, PermanentError
from delivery.promotion import Promotion
from delivery.release import Release, ReleasedService
from delivery.rollout import Candidate, Workload

CONFIGURATION_FILE = "shipline.yaml"


def candidate_for(
    connections: Connections, project: str, environment: str, policy: int, release: Digest, revision: str
) -> Candidate:
    """The candidate of a release with the configuration that `shipline.yaml` has at a revision, which is stored.

    ConfigurationError when that revision does not know the environment.
    """
    candidate, document = possible_candidate(connections, project, environment, policy, release, revision)
    connections.store.put(document)
    return candidate


def possible_candidate(
    connections: Connections, project: str, environment: str, policy: int, release: Digest, revision: str
) -> tuple[Candidate, bytes]:
    """The same without storing anything, and the configuration that would be stored."""
    configuration = configuration_at(connections, project, revision)
    if environment not in configuration.environments:
        message = f"'{environment}' is not an environment of {CONFIGURATION_FILE} at {revision[:12]}"
        raise ConfigurationError(message, hint="an environment is promoted to at a revision that describes it")
    document = environment_configuration(configuration, environment)
    workloads_ = _workloads(connections, project, release, document)
    return Candidate(release, canonical_digest(document), policy, workloads_), canonical_bytes(document)


def candidate_of(connections: Connections, promotion: Promotion) -> Candidate:
    """Exactly the candidate that a promotion names, from what was stored when it was requested."""
    stored = connections.store.get(promotion.configuration)
    if stored is None:
        message = f"reading the configuration of promotion {promotion.id}: {promotion.configuration} is gone"
        raise PermanentError(message, hint="promote the release again")
    ready = _workloads(connections, promotion.project, promotion.release, json.loads(stored))
    return Candidate(promotion.release, promotion.configuration, promotion.policy_version, ready)


def release_of(connections: Connections, project: str, digest: str) -> Release:
    """A release as recorded; NotFoundError when there is none."""
    rows = connections.ledger.rows("releases", project=project, digest=digest)
    if not rows:
        raise NotFoundError(f"no release {digest}", hint="shipline history lists releases")
    row = rows[0]
    services = row["services"] if isinstance(row["services"], dict) else {}
    released = {name: _released(one) for name, one in services.items() if isinstance(one, dict)}
    version, dirty = str(row.get("version") or ""), bool(row.get("dirty"))
    return Release(project, released, str(row["revision"]), version, dirty)


def _released(fields: dict[str, JsonValue]) -> ReleasedService:
    migrations = fields.get("migrations")
    return ReleasedService(
        Digest(str(fields["artifact"])),
        Digest(str(fields["definition"])),
        Digest(str(migrations)) if migrations else None,
        str(fields["revision"]),
    )


def _workloads(
    connections: Connections, project: str, release: Digest, configuration: JsonValue
) -> tuple[Workload, ...]:
    found = release_of(connections, project, release)
    definitions = {one.definition: _definition(connections, one.definition) for one in found.services.values()}
    return workloads(found, definitions, environment_services(configuration))


def _definition(connections: Connections, digest: Digest) -> Run:
    stored = connections.store.get(digest)
    if stored is None:
        raise PermanentError(f"reading definition {digest}: it is gone from the store", hint="run the revision again")
    return definition_from(json.loads(stored))


def run_digest(workload: Workload) -> Digest:
    """What tells two effective runs apart."""
    return canonical_digest(workload.run.model_dump(mode="json"))


def configuration_at(connections: Connections, project: str, revision: str) -> Configuration:
    """`shipline.yaml` at a revision; ConfigurationError when it is missing or wrong."""
    content = connections.source(project).read(revision, CONFIGURATION_FILE)
    if content is None:
        message = f"reading {CONFIGURATION_FILE} at {revision[:12]}: there is none"
        hint = "shipline init writes a good first one; commit it"
        raise ConfigurationError(message, hint=hint, where=f"{CONFIGURATION_FILE}:1:1")
    return _read(content)


@lru_cache(maxsize=64)
def _read(content: bytes) -> Configuration:
    return read_configuration(content, CONFIGURATION_FILE)
