"""API tokens of people: shown once, kept as a hash, never with more than their person may do."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from delivery.artifact import Digest
from delivery.people.person import Person

PREFIX = "shipline_"
"""So that scanners for leaked secrets know one when they see it."""
_BYTES = 32


@dataclass(frozen=True, slots=True)
class PersonalToken:
    """One token, without what it reads like."""

    id: str
    person: str
    roles: tuple[str, ...]
    """Those of its person's roles that it is limited to; empty means all."""
    issued_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether it opens anything then."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)

    def roles_now(self, person: Person) -> tuple[str, ...]:
        """The roles that it stands for: a role taken from the person is taken from the token."""
        return tuple(role for role in person.roles if not self.roles or role in self.roles)


def new_token() -> str:
    """As random as a key."""
    return PREFIX + secrets.token_urlsafe(_BYTES)


def token_digest(token: str) -> Digest:
    """What is kept of it: 256 random bits need no salt and no slow hash."""
    return Digest("sha256:" + hashlib.sha256(token.encode()).hexdigest())
