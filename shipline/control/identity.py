"""Who may sign in at the gateway: the local user by the home's token, people of the ledger by what proves them."""

import getpass
import hashlib
import secrets

from delivery.connections import Connections
from delivery.gates.verdict import Verdict
from delivery.people import person as people
from delivery.people.code_checking import check_code, look_at_code
from delivery.people.reading import find_token, read_people, token_of
from delivery.people.roles import EVERYTHING, permissions_of
from delivery.people.token import PersonalToken
from shipline.control.entrance import holder, reads_like_a_token
from shipline.web.identity import Person

_TOKEN, _NAME = "token:", "person:"


class KnownPeople:
    """An Identity. A session lasts no longer, and opens no more, than the token it began with."""

    def __init__(self, ports: Connections, token: str) -> None:
        """`token` is the home's."""
        self._ports, self._token = ports, token.encode()
        key = f"local:{hashlib.sha256(self._token).hexdigest()}"
        self._local = Person(getpass.getuser(), EVERYTHING, key)

    def by_token(self, token: str) -> Person | None:
        """The home's own is compared in constant time, another one looked up by its digest."""
        if secrets.compare_digest(token.encode(), self._token):
            return self._local
        return self._holder(find_token(self._ports.ledger, token)) if reads_like_a_token(token) else None

    def by_code(self, name: str, code: str) -> Person | Verdict:
        """With the roles that they have, and those that were lent to them."""
        verdict = check_code(self._ports, name, code)
        return (
            (self.by_name(name) or Verdict("person", (f"{name} may do nothing here",))) if verdict.passed else verdict
        )

    def by_name(self, name: str) -> Person | None:
        """Never the local user, whoever else has that name."""
        known = read_people(self._ports)
        permissions = permissions_of(known.roles_of(name, self._ports.clock.now()))
        return Person(name, permissions, f"{_NAME}{name}") if permissions else None

    def by_key(self, key: str) -> Person | None:
        """A token that was revoked, a role that was taken, and another token of the home count at once."""
        if key.startswith(_TOKEN):
            return self._holder(token_of(self._ports.ledger, key.removeprefix(_TOKEN)))
        if key.startswith(_NAME):
            return self.by_name(key.removeprefix(_NAME))
        return self._local if key == self._local.key else None

    def look_at_code(self, name: str, code: str) -> Verdict:
        """The flow uses it up."""
        return look_at_code(self._ports, name, code)

    def has_codes(self) -> bool:
        """Whether an authenticator of somebody is enrolled."""
        return any(_has_code(one) for one in read_people(self._ports).everybody.values())

    def _holder(self, token: PersonalToken | None) -> Person | None:
        found = holder(self._ports, token)
        return Person(found.name, found.permissions, f"{_TOKEN}{found.token}") if found else None


def _has_code(person: people.Person) -> bool:
    return person.removed_at is None and person.code_enrolled_at is not None
