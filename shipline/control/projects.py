"""Projects: registering a source once, and keeping its mirror current."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import JsonValue, TypeAdapter, ValidationError

from delivery.actor import Actor
from delivery.adapters.git import GitRepository, SourceMirror, head, identify, is_url, require_history
from delivery.config_reading import read_configuration
from delivery.config_types import Name
from delivery.connections import Connections
from delivery.errors import ConfigurationError, DeliveryError
from delivery.ledger import Draft
from delivery.promoting.candidates import CONFIGURATION_FILE
from delivery.source import SourceIdentity

_NAME: TypeAdapter[str] = TypeAdapter(Name)
_SHOWN = 60
"""Characters of a bad name that are told."""


def register(connections: Connections, location: str, slug: str | None, actor: Actor) -> dict[str, JsonValue]:
    """The project of a location; two clones of one source are one project, whose slug stays.

    A known project that is found in another place is read from there from then on.
    """
    if slug is not None:
        _require_name(slug)
    identity = identify(location)
    if not is_url(location):
        require_history(location)
    known = connections.ledger.rows("projects", source=identity.source)
    name = str(known[0]["slug"]) if known else _free_slug(connections, slug or _declared(identity) or identity.slug)
    if slug and slug != name:
        raise ConfigurationError(f"registering {location}: its source is already project '{name}'")
    if not known or known[0]["location"] != identity.location:
        body: dict[str, JsonValue] = {
            "slug": name,
            "source": identity.source,
            "default_branch": identity.default_branch,
            "location": identity.location,
        }
        draft = Draft("project.registered", body, actor, connections.clock.now())
        connections.ledger.append(name, [draft])
    return project_document(connections.ledger.rows("projects", slug=name)[0])


def _declared(identity: SourceIdentity) -> str | None:
    """The name that `shipline.yaml` gives where a work tree stands; None when it gives none, or cannot be read."""
    if is_url(identity.location):
        return None
    with suppress(DeliveryError):
        tree = GitRepository(Path(identity.location), personal=True)
        content = tree.read(head(identity.location).commit, CONFIGURATION_FILE)
        return read_configuration(content).project if content else None
    return None


def project_document(row: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """A project as the API shows it."""
    return {name: row[name] for name in ("slug", "source", "default_branch", "location")}


def fetch(connections: Connections, project: str) -> tuple[SourceMirror, str]:
    """Bring the mirror up to date; the mirror and the location that it was fetched from."""
    location = str(connections.ledger.rows("projects", slug=project)[0]["location"])
    mirror = SourceMirror(connections.home.source(project))
    mirror.fetch(location if "://" in location else Path(location))
    return mirror, location


def _require_name(slug: str) -> None:
    """The slug becomes a folder, a Prefect tag and a part of addresses, and can never leave the ledger again."""
    try:
        _NAME.validate_python(slug)
    except ValidationError as error:
        shown = slug if len(slug) <= _SHOWN else f"{slug[:_SHOWN]}..."
        raise ConfigurationError(
            f"registering a project as {shown!r}: that is no name",
            hint="a name has lower-case letters, digits and inner hyphens, at most 40 characters",
        ) from error


def _free_slug(connections: Connections, wanted: str) -> str:
    taken = {str(row["slug"]) for row in connections.ledger.rows("projects")}
    return next(name for name in _candidates(wanted) if name not in taken)


def _candidates(wanted: str) -> Iterator[str]:
    yield wanted
    yield from (f"{wanted[: 39 - len(str(number))]}-{number}" for number in range(2, 10_000))
