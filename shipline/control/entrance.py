"""Who asks: the local user by the home's token, a person by one of theirs; everybody else is nobody."""

import asyncio
import getpass
import secrets
from dataclasses import dataclass

from delivery.actor import Actor
from delivery.connections import Connections
from delivery.people.reading import find_token, read_people
from delivery.people.roles import EVERYTHING, Permission, permissions_of
from delivery.people.token import PREFIX, PersonalToken

ADMITTED = "shipline.admitted"
"""Where a request's scope says who asks."""
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody, and what they may ask for."""

    actor: Actor
    permissions: frozenset[Permission]

    @property
    def local(self) -> bool:
        """Whether it is the local user, who may do everything here anyhow."""
        return self.actor.kind == "local-user"


class Entrance:
    """Knows the home's token from the start, and those of people once the database answers."""

    def __init__(self, token: str, ports: Connections | None = None) -> None:
        self._token = token.encode()
        self.ports = ports

    async def admit(self, authorization: bytes) -> Admitted | None:
        """Who shows this header; the local user is known at once."""
        return self._local(authorization) or await asyncio.to_thread(self._person, authorization)

    def admit_now(self, authorization: bytes) -> Admitted | None:
        """The same, on a thread."""
        return self._local(authorization) or self._person(authorization)

    def _local(self, authorization: bytes) -> Admitted | None:
        if not secrets.compare_digest(_shown(authorization), self._token):
            return None
        return Admitted(Actor("local-user", getpass.getuser(), "api-token"), EVERYTHING)

    def _person(self, authorization: bytes) -> Admitted | None:
        """Only what reads like a token of ours is looked up, by its hash."""
        shown = _shown(authorization).decode("latin-1")
        if self.ports is None or not reads_like_a_token(shown):
            return None
        found = holder(self.ports, find_token(self.ports.ledger, shown))
        return Admitted(Actor("person", found.name, "api-token"), found.permissions) if found else None


@dataclass(frozen=True, slots=True)
class Holder:
    """A person by one of their tokens, and what they may do by it."""

    name: str
    permissions: frozenset[Permission]
    token: str
    """Its id."""


def holder(ports: Connections, token: PersonalToken | None) -> Holder | None:
    """Whose it is now; None when it opens nothing (any more)."""
    person = read_people(ports).known(token.person) if token else None
    if token is None or person is None or not token.holds(ports.clock.now()):
        return None
    permissions = permissions_of(token.roles_now(person))
    return Holder(person.name, permissions, token.id) if permissions else None


def reads_like_a_token(text: str) -> bool:
    """Whether it is worth looking up."""
    return text.startswith(PREFIX) and len(text) <= _LONGEST


def _shown(authorization: bytes) -> bytes:
    return authorization.removeprefix(b"Bearer ")
