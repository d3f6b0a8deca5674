"""People: who this control plane knows, what they may do, and how they prove who they are."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from delivery.people.enrolling import (
    begin_code,
    delegate,
    enroll_key,
    finish_code,
    issue_token,
    revoke_token,
    withdraw_code,
    withdraw_delegation,
    withdraw_key,
)
from delivery.people.reading import read_people, read_tokens
from delivery.people.registering import Changes, add_person, change_person, remove_person
from delivery.people.roles import Permission
from shipline.control.access import Asking, Caller, Ports, needs, require_permission
from shipline.control.answers import require
from shipline.control.people_documents import allowed_signers, history_of, person_document

router = APIRouter(tags=["people"])
Texts = Annotated[list[Annotated[str, Field(max_length=300)]], Field(max_length=50)]


class NewPerson(BaseModel):
    """Somebody to add; without roles a viewer."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=100)
    roles: Texts = []
    emails: Texts = []
    logins: Texts = []


class ChangedPerson(BaseModel):
    """What is to be different from now on."""

    model_config = ConfigDict(extra="forbid")

    roles: Texts | None = None
    emails: Texts | None = None
    logins: Texts | None = None


class Key(BaseModel):
    """The line of a `.pub` file."""

    model_config = ConfigDict(extra="forbid")

    line: str = Field(max_length=10_000)


class Code(BaseModel):
    """What an authenticator shows."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    code: str = Field(max_length=20)


class TokenRequest(BaseModel):
    """Limits of a new token."""

    model_config = ConfigDict(extra="forbid")

    roles: Texts = []
    expires_at: datetime | None = None


class DelegationRequest(BaseModel):
    """To whom roles are lent, and until when."""

    model_config = ConfigDict(extra="forbid")

    taker: str = Field(max_length=100)
    until: datetime


def oneself_or_admin(name: str, asking: Asking) -> None:
    """Forbidden unless it is about whoever asks, or they administer."""
    if asking.local or asking.actor.subject != name:
        require_permission(asking, Permission.ADMINISTER)


Administering = needs(Permission.ADMINISTER)
OneselfOrAdmin = Depends(oneself_or_admin)


@router.get("/people", dependencies=[needs(Permission.READ)])
def list_people(ports: Ports) -> list[JsonValue]:
    """Everybody who has not been removed."""
    people, tokens = read_people(ports), read_tokens(ports.ledger)
    known = (one for one in people.everybody.values() if one.removed_at is None)
    return [person_document(one, people, tokens, ports.clock.now()) for one in known]


@router.post("/people", status_code=201, dependencies=[Administering])
def add(body: NewPerson, ports: Ports, caller: Caller) -> dict[str, JsonValue]:
    """Add somebody."""
    add_person(ports, body.name, Changes(body.roles, body.emails, body.logins), caller)
    return _shown(ports, body.name)


@router.get("/people/signers", dependencies=[needs(Permission.READ)])
def signers(ports: Ports) -> Response:
    """An allowed-signers file for `ssh-keygen -Y verify`; of withdrawn keys it says until when they held."""
    return Response(allowed_signers(read_people(ports)), media_type="text/plain; charset=utf-8")


@router.get("/people/{name}", dependencies=[needs(Permission.READ)])
def show(name: str, ports: Ports) -> dict[str, JsonValue]:
    """Somebody, and what was ever changed about them."""
    return {**_shown(ports, name), "history": history_of(ports.ledger, name)}


@router.patch("/people/{name}", dependencies=[Administering])
def change(name: str, body: ChangedPerson, ports: Ports, caller: Caller) -> dict[str, JsonValue]:
    """Change roles, addresses or logins; what is left out stays."""
    change_person(ports, name, Changes(body.roles, body.emails, body.logins), caller)
    return _shown(ports, name)


@router.delete("/people/{name}", dependencies=[Administering])
def remove(name: str, ports: Ports, caller: Caller) -> dict[str, JsonValue]:
    """Remove somebody, with tokens, keys and codes."""
    remove_person(ports, name, caller)
    return {"name": name, "removed": True}


@router.post("/people/{name}/keys", status_code=201, dependencies=[Administering])
def add_key(name: str, body: Key, ports: Ports, caller: Caller) -> dict[str, JsonValue]:
    """Enroll a key; by an admin only, so that a token that was stolen gets no better evidence."""
    key = enroll_key(ports, name, body.line, caller)
    return {"name": name, "fingerprint": key.fingerprint}


@router.delete("/people/{name}/keys", dependencies=[Administering])
def remove_key(name: str, fingerprint: Annotated[str, Query()], ports: Ports, caller: Caller) -> dict[str, JsonValue]:
    """Withdraw a key."""
    withdraw_key(ports, name, fingerprint, caller)
    return {"name": name, "fingerprint": fingerprint, "withdrawn": True}


@router.post("/people/{name}/code", status_code=201, dependencies=[Administering])
def start_code(name: str, ports: Ports, caller: Caller) -> dict[str, JsonValue]:
    """A secret for somebody's authenticator; it counts once a code made with it has been shown."""
    return {"name": name, "uri": begin_code(ports, name, caller).uri}


@router.post("/people/{name}/code/confirm", dependencies=[Administering])
def confirm_code(name: str, body: Code, ports: Ports, caller: Caller) -> dict[str, JsonValue]:
    """One-time codes count from now on."""
    require(finish_code(ports, name, body.code, caller))
    return {"name": name, "enrolled": True}


@router.delete("/people/{name}/code", dependencies=[Administering])
def remove_code(name: str, ports: Ports, caller: Caller) -> dict[str, JsonValue]:
    """No code of theirs counts any more."""
    withdraw_code(ports, name, caller)
    return {"name": name, "withdrawn": True}


@router.post("/people/{name}/tokens", status_code=201, dependencies=[OneselfOrAdmin])
def add_token(name: str, body: TokenRequest, ports: Ports, caller: Caller) -> dict[str, JsonValue]:
    """Issue a token; this answer is the only one that has it."""
    issued = issue_token(ports, name, body.roles, body.expires_at, caller)
    return {"name": name, "id": issued.id, "token": issued.token}


@router.delete("/people/{name}/tokens/{token}", dependencies=[OneselfOrAdmin])
def remove_token(name: str, token: str, ports: Ports, caller: Caller) -> dict[str, JsonValue]:
    """Revoke a token, by its id."""
    revoke_token(ports, name, token, caller)
    return {"name": name, "id": token, "revoked": True}


@router.post("/people/{name}/delegations", status_code=201, dependencies=[OneselfOrAdmin])
def add_delegation(name: str, body: DelegationRequest, ports: Ports, caller: Caller) -> dict[str, JsonValue]:
    """Lend somebody one's roles."""
    return {"name": name, "id": delegate(ports, name, body.taker, body.until, caller)}


@router.delete("/people/{name}/delegations/{delegation}", dependencies=[OneselfOrAdmin])
def remove_delegation(name: str, delegation: str, ports: Ports, caller: Caller) -> dict[str, JsonValue]:
    """End it before its time."""
    withdraw_delegation(ports, name, delegation, caller)
    return {"name": name, "id": delegation, "withdrawn": True}


def _shown(ports: Ports, name: str) -> dict[str, JsonValue]:
    people = read_people(ports)
    return person_document(people.require(name), people, read_tokens(ports.ledger), ports.clock.now())
