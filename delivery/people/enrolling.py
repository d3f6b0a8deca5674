"""Enrolling: how people prove who they are from now on, and what they lend to each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import uuid6
from pydantic import JsonValue

from delivery.actor import Actor
from delivery.connections import Connections
from delivery.errors import ConfigurationError, NotFoundError
from delivery.gates.verdict import Verdict
from delivery.ledger import utc_text
from delivery.people.code_checking import SCOPE, check_against, secret_name
from delivery.people.one_time_code import Enrolment, new_enrolment
from delivery.people.person import Person, check_roles
from delivery.people.reading import read_people, read_tokens
from delivery.people.registering import append
from delivery.people.token import new_token, token_digest
from delivery.ports import SigningKey


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token; the only time that it is readable."""

    id: str
    token: str


def enroll_key(connections: Connections, name: str, line: str, actor: Actor) -> SigningKey:
    """A key that signs for them from now on; ConfigurationError when it is none, or somebody signs with it already."""
    people = read_people(connections)
    people.require(name)
    key = connections.signatures.read_key(line)
    owners = [one.name for one in people.everybody.values() if key.fingerprint in _fingerprints(one)]
    if owners:
        raise ConfigurationError(f"enrolling the key {key.fingerprint}: it is {owners[0]}'s already")
    body: dict[str, JsonValue] = {"person": name, "fingerprint": key.fingerprint, "line": key.line}
    append(connections, "key.enrolled", {**body, "withdrawn_at": None}, actor)
    return key


def withdraw_key(connections: Connections, name: str, fingerprint: str, actor: Actor) -> None:
    """It signs nothing new; NotFoundError when they have no such key."""
    known = _fingerprints(read_people(connections).require(name))
    if fingerprint not in known:
        hint = f"known are: {', '.join(known) or 'none'}"
        raise NotFoundError(f"withdrawing a key of {name}: there is no {fingerprint}", hint=hint)
    append(connections, "key.withdrawn", {"person": name, "fingerprint": fingerprint}, actor)


def begin_code(connections: Connections, name: str, actor: Actor) -> Enrolment:
    """A new secret for their authenticator; nothing counts until `finish_code` has seen a code made with it."""
    read_people(connections).require(name)
    enrolment = new_enrolment(name)
    connections.secrets.put(secret_name(name, pending=True), enrolment.secret, SCOPE, None, actor.subject)
    return enrolment


def finish_code(connections: Connections, name: str, code: str, actor: Actor) -> Verdict:
    """One-time codes of the new secret count from now on, and no other ones, if this is one."""
    read_people(connections).require(name)
    pending = secret_name(name, pending=True)
    verdict = check_against(connections, name, pending, code)
    if verdict.passed:
        secret = connections.secrets.resolve(f"secret:{pending}", SCOPE, None, "enrolling")
        connections.secrets.put(secret_name(name), secret, SCOPE, None, actor.subject)
        connections.secrets.remove(pending, SCOPE, None)
        append(connections, "code.enrolled", {"name": name}, actor)
    return verdict


def withdraw_code(connections: Connections, name: str, actor: Actor) -> None:
    """No code of theirs counts any more."""
    read_people(connections).require(name)
    append(connections, "code.withdrawn", {"name": name, "code_enrolled_at": None}, actor)
    connections.secrets.remove(secret_name(name), SCOPE, None)


def issue_token(
    connections: Connections, name: str, roles: Sequence[str], expires_at: datetime | None, actor: Actor
) -> IssuedToken:
    """A token with which API and command line know them; with roles it stands for no more than these."""
    person = read_people(connections).require(name)
    foreign = [role for role in check_roles(roles) if role not in person.roles]
    if foreign:
        has = ", ".join(person.roles) or "none"
        raise ConfigurationError(f"issuing a token: {name} is no {foreign[0]}", hint=f"{name} has these roles: {has}")
    issued = IssuedToken(str(uuid6.uuid7()), new_token())
    body: dict[str, JsonValue] = {
        "id": issued.id,
        "person": name,
        "digest": token_digest(issued.token),
        "roles": list(check_roles(roles)),
        "expires_at": utc_text(expires_at) if expires_at else None,
        "revoked_at": None,
    }
    append(connections, "token.issued", body, actor)
    return issued


def revoke_token(connections: Connections, name: str, identity: str, actor: Actor) -> None:
    """It opens nothing any more; NotFoundError when they have no such token."""
    known = [one.id for one in read_tokens(connections.ledger) if one.person == name and one.revoked_at is None]
    if identity not in known:
        hint = f"known are: {', '.join(known) or 'none'}"
        raise NotFoundError(f"revoking a token of {name}: there is no {identity}", hint=hint)
    append(connections, "token.revoked", {"id": identity, "person": name}, actor)


def delegate(connections: Connections, giver: str, taker: str, until: datetime, actor: Actor) -> str:
    """Lend one's roles until a time; the delegation's id."""
    people, now = read_people(connections), connections.clock.now()
    if people.require(giver) == people.require(taker):
        raise ConfigurationError(f"delegating to {taker}: that is the same person")
    if until <= now:
        raise ConfigurationError(f"delegating to {taker}: {utc_text(until)} has passed", hint="give a later --until")
    identity = str(uuid6.uuid7())
    body: dict[str, JsonValue] = {"id": identity, "giver": giver, "taker": taker, "until": utc_text(until)}
    append(connections, "delegation.given", {**body, "withdrawn_at": None}, actor)
    return identity


def withdraw_delegation(connections: Connections, giver: str, identity: str, actor: Actor) -> None:
    """End it before its time; NotFoundError when they gave no such delegation."""
    given = [one for one in read_people(connections).delegations if one.giver == giver]
    if identity not in [one.id for one in given if one.holds(connections.clock.now())]:
        raise NotFoundError(f"withdrawing a delegation of {giver}: there is no {identity}")
    append(connections, "delegation.withdrawn", {"id": identity}, actor)


def _fingerprints(person: Person) -> list[str]:
    return [one.fingerprint for one in person.keys if one.withdrawn_at is None]
