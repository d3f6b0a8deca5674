"""Who may sign in: the port between the gateway and whatever knows people."""

from dataclasses import dataclass
from typing import Protocol

from delivery.gates.verdict import Verdict
from delivery.people.roles import Permission


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is known, as they are at this moment."""

    name: str
    permissions: frozenset[Permission]
    key: str
    """What they came in by, as it is kept while they are signed in: no more may be done by it later than now."""

    def may(self, permission: Permission) -> bool:
        """Whether this may be done by them."""
        return permission in self.permissions


class Identity(Protocol):
    """Who may sign in. Methods may block; they are called on threads, several at once."""

    def by_token(self, token: str) -> Person | None:
        """Whose API token it is; None when nobody's, or theirs no longer."""
        ...

    def by_code(self, name: str, code: str) -> Person | Verdict:
        """A person who shows their one-time code, which is used up by it; or why it does not count."""
        ...

    def by_name(self, name: str) -> Person | None:
        """Whom a trusted proxy names; None when they may not come in (any more)."""
        ...

    def by_key(self, key: str) -> Person | None:
        """Who came in by this, as they are now; None when they may not come in by it any more."""
        ...

    def look_at_code(self, name: str, code: str) -> Verdict:
        """Whether it is this person's one-time code. A wrong one is counted; a right one is not used up."""
        ...

    def has_codes(self) -> bool:
        """Whether anybody here has one-time codes."""
        ...
