"""Releases: the set of artifacts that travel together, known by the digest of its manifest."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from delivery.artifact import Digest
from delivery.canonical import canonical_digest


@dataclass(frozen=True, slots=True)
class ReleasedService:
    """One service in a release: what it is, and what says how to run it."""

    artifact: Digest
    definition: Digest
    """Of the canonical run spec, stored as a blob."""
    migrations: Digest | None = None
    revision: str = ""
    """Commit the artifact was built from; not part of the identity."""


@dataclass(frozen=True, slots=True)
class Release:
    """An immutable set of services; unchanged ones are carried over."""

    project: str
    services: Mapping[str, ReleasedService]
    revision: str
    """Commit whose run made the release; not part of the identity."""
    version: str = ""
    """A label given later; not part of the identity."""
    dirty: bool = False
    """Made from a work tree with uncommitted changes: development environments only."""

    @property
    def digest(self) -> Digest:
        """The identity: the digest of the canonical manifest."""
        return canonical_digest(self.manifest())

    def manifest(self) -> dict[str, JsonValue]:
        """What the identity covers: {service: {artifact, definition, migrations}}."""
        return {
            name: {"artifact": one.artifact, "definition": one.definition, "migrations": one.migrations}
            for name, one in self.services.items()
        }
