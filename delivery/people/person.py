"""A person as the ledger knows them, and everybody together."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from delivery.errors import ConfigurationError, NotFoundError
from delivery.people.roles import Permission, permissions_of

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._@+-]{0,62}[a-z0-9])?")
_ROLE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_EMAIL = re.compile(r"[^\s@<>,\x00-\x20]{1,64}@[^\s@<>,\x00-\x20]{1,255}")
_LOGIN = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}:[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}")
_PRIVATE = re.compile(r"(?:\d+\+)?(?P<login>[a-z0-9-]+)@users\.noreply\.github\.com")
"""The address with which GitHub writes commits of people who keep theirs to themselves."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key with which a person signs."""

    line: str
    """Type and base64 as in `authorized_keys`, without comment."""
    fingerprint: str
    """`SHA256:...`, as `ssh-keygen -l` prints it."""
    enrolled_at: datetime
    withdrawn_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delegation:
    """Roles that somebody lends for a while."""

    id: str
    giver: str
    taker: str
    until: datetime
    withdrawn_at: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether it is in force then."""
        return at < self.until and (self.withdrawn_at is None or at < self.withdrawn_at)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody that this control plane knows."""

    name: str
    roles: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    """At forges: `github:alice`."""
    keys: tuple[PublicKey, ...] = ()
    code_enrolled_at: datetime | None = None
    """Since when one-time codes count; None when they do not."""
    removed_at: datetime | None = None

    @property
    def permissions(self) -> frozenset[Permission]:
        """What their own roles allow; nothing once they are removed."""
        return frozenset() if self.removed_at else permissions_of(self.roles)

    def wrote(self, email: str) -> bool:
        """Whether a commit with this address is theirs."""
        address = email.strip().casefold()
        private = _PRIVATE.fullmatch(address)
        by_login = private is not None and f"github:{private['login']}" in {one.casefold() for one in self.logins}
        return by_login or address in {one.casefold() for one in self.emails}


@dataclass(frozen=True, slots=True)
class People:
    """Everybody, also those who were removed."""

    everybody: Mapping[str, Person] = field(default_factory=dict)
    delegations: tuple[Delegation, ...] = ()

    def known(self, name: str) -> Person | None:
        """Somebody who has not been removed."""
        found = self.everybody.get(name)
        return None if found is None or found.removed_at else found

    def require(self, name: str) -> Person:
        """As `known`; NotFoundError when there is nobody."""
        found = self.known(name)
        if found is None:
            raise NotFoundError(f"no person '{name}'", hint="shipline people list; shipline people add NAME")
        return found

    def authors(self, email: str) -> tuple[Person, ...]:
        """Whose address it is; somebody who was removed wrote what they wrote."""
        return tuple(one for one in self.everybody.values() if one.wrote(email))

    def roles_of(self, name: str, at: datetime) -> dict[str, str]:
        """Roles that a person may use at a time, by role whose they are: their own, or lent by somebody."""
        found: dict[str, str] = {}
        lent = [one.giver for one in self.delegations if one.taker == name and one.holds(at)]
        for owner in (*sorted(lent), name):  # what is one's own goes before what is lent
            person = self.known(owner)
            found |= dict.fromkeys(person.roles if person else (), owner)
        return found if self.known(name) else {}


def check_name(name: str) -> str:
    """The name, or ConfigurationError."""
    return _checked("name", name, _NAME, "lower-case letters, digits and inner . _ @ + -, at most 64 characters")


def check_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """The roles, sorted and once each, or ConfigurationError."""
    needed = "lower-case letters, digits and inner hyphens, at most 40 characters"
    return tuple(sorted({_checked("role", role, _ROLE, needed) for role in roles}))


def check_emails(emails: Iterable[str]) -> tuple[str, ...]:
    """The addresses, or ConfigurationError."""
    return tuple(sorted({_checked("e-mail address", one.strip(), _EMAIL, "like alice@example.org") for one in emails}))


def check_logins(logins: Iterable[str]) -> tuple[str, ...]:
    """The logins, or ConfigurationError."""
    return tuple(sorted({_checked("login", one, _LOGIN, "FORGE:LOGIN, like github:alice") for one in logins}))


def _checked(what: str, text: str, allowed: re.Pattern[str], needed: str) -> str:
    if not allowed.fullmatch(text):
        raise ConfigurationError(f"describing a person: {what} {text[:80]!r} must be {needed}")
    return text
