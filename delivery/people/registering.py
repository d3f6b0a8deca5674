"""Registering people: they are added, changed and removed, and the ledger remembers by whom."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from delivery.actor import Actor
from delivery.connections import Connections
from delivery.errors import ConfigurationError
from delivery.ledger import CONTROL, Draft
from delivery.people.person import People, Person, check_emails, check_logins, check_name, check_roles
from delivery.people.reading import read_people, read_tokens


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be different; None leaves it as it is."""

    roles: Sequence[str] | None = None
    emails: Sequence[str] | None = None
    logins: Sequence[str] | None = None


def add_person(connections: Connections, name: str, changes: Changes, actor: Actor) -> Person:
    """Somebody new, or somebody again who was removed; ConfigurationError when they are there."""
    people = read_people(connections)
    if people.known(check_name(name)):
        raise ConfigurationError(f"adding {name}: there is such a person", hint=f"shipline people change {name}")
    whole = Changes(changes.roles or ("viewer",), changes.emails or (), changes.logins or ())
    body = _checked(people, name, whole)
    append(connections, "person.added", {"name": name, **body, "removed_at": None}, actor)
    return read_people(connections).require(name)


def change_person(connections: Connections, name: str, changes: Changes, actor: Actor) -> Person:
    """Somebody as they are from now on; NotFoundError when there is no such person."""
    people = read_people(connections)
    people.require(name)
    body = _checked(people, name, changes)
    if not body:
        raise ConfigurationError(f"changing {name}: nothing is to change", hint="give --role, --email or --login")
    append(connections, "person.changed", {"name": name, **body}, actor)
    return read_people(connections).require(name)


def remove_person(connections: Connections, name: str, actor: Actor) -> None:
    """They may nothing any more; tokens, keys and codes of theirs end with them, and what they did stays theirs."""
    person, at = read_people(connections).require(name), connections.clock.now()
    keys = [one.fingerprint for one in person.keys if one.withdrawn_at is None]
    tokens = [one.id for one in read_tokens(connections.ledger) if one.person == name and one.revoked_at is None]
    drafts = [
        *(Draft("key.withdrawn", {"person": name, "fingerprint": one}, actor, at) for one in keys),
        *(Draft("token.revoked", {"id": one, "person": name}, actor, at) for one in tokens),
        Draft("code.withdrawn", {"name": name, "code_enrolled_at": None}, actor, at),
        Draft("person.removed", {"name": name}, actor, at),
    ]
    connections.ledger.append(CONTROL, drafts)


def append(connections: Connections, kind: str, body: dict[str, JsonValue], actor: Actor) -> None:
    """One fact of the control plane."""
    connections.ledger.append(CONTROL, [Draft(kind, body, actor, connections.clock.now())])


def _checked(people: People, name: str, changes: Changes) -> dict[str, JsonValue]:
    """The body of the fact; an address or a login is one person's only, since it tells who wrote a commit."""
    found: dict[str, JsonValue] = {}
    if changes.roles is not None:
        found["roles"] = list(check_roles(changes.roles))
    if changes.emails is not None:
        found["emails"] = list(check_emails(changes.emails))
    if changes.logins is not None:
        found["logins"] = list(check_logins(changes.logins))
    _require_unshared(people, name, found)
    return found


def _require_unshared(people: People, name: str, body: dict[str, JsonValue]) -> None:
    for field in ("emails", "logins"):
        wanted = body.get(field)
        for one in wanted if isinstance(wanted, list) else ():
            owners = [
                other.name
                for other in people.everybody.values()
                if other.name != name and str(one).casefold() in {each.casefold() for each in getattr(other, field)}
            ]
            if owners:
                raise ConfigurationError(f"describing {name}: {one} belongs to {owners[0]}")
