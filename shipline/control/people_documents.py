"""People as the HTTP API shows them."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from pydantic import JsonValue

from delivery.adapters.ssh_keygen import NAMESPACE
from delivery.ledger import CONTROL, utc_text
from delivery.people.person import Delegation, People, Person, PublicKey
from delivery.people.token import PersonalToken
from delivery.ports import Ledger


def person_document(
    person: Person, people: People, tokens: Iterable[PersonalToken], now: datetime
) -> dict[str, JsonValue]:
    """`{name, roles, permissions, emails, logins, keys, code, tokens, lends, borrows}`."""
    return {
        "name": person.name,
        "roles": list(person.roles),
        "permissions": [*sorted(one.value for one in person.permissions)],
        "emails": list(person.emails),
        "logins": list(person.logins),
        "keys": [_key(one) for one in person.keys if one.withdrawn_at is None],
        "code": person.code_enrolled_at is not None,
        "tokens": [_token(one) for one in tokens if one.person == person.name and one.holds(now)],
        "lends": [_delegation(one) for one in people.delegations if one.giver == person.name and one.holds(now)],
        "borrows": [_delegation(one) for one in people.delegations if one.taker == person.name and one.holds(now)],
    }


def history_of(ledger: Ledger, name: str) -> list[JsonValue]:
    """What the ledger tells about somebody, oldest first; no hash of a token, which helps nobody."""
    return list(_history(ledger, name))


def allowed_signers(people: People) -> str:
    """Everybody's keys, one a line, as `ssh-keygen -Y verify` reads them."""
    lines = [_signer(person, key) for person in people.everybody.values() for key in person.keys]
    return "".join(f"{line}\n" for line in lines)


def _history(ledger: Ledger, name: str) -> Iterator[JsonValue]:
    for entry in ledger.entries(CONTROL):
        content = json.loads(entry.content)
        body = content["body"]
        if name in {body.get("name"), body.get("person"), body.get("giver"), body.get("taker")}:
            told = {field: value for field, value in body.items() if field != "digest"}
            yield {"at": content["at"], "kind": content["kind"], "by": content["actor"]["subject"], **told}


def _signer(person: Person, key: PublicKey) -> str:
    """OpenSSH's times are local unless they end in Z, and know no fractions."""
    until = f',valid-before="{_compact(key.withdrawn_at)}"' if key.withdrawn_at else ""
    options = f'namespaces="{NAMESPACE}",valid-after="{_compact(key.enrolled_at)}"{until}'
    return f"{person.name} {options} {key.line}"


def _compact(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%d%H%M%SZ}"


def _key(key: PublicKey) -> JsonValue:
    return {"fingerprint": key.fingerprint, "line": key.line, "enrolled_at": utc_text(key.enrolled_at)}


def _token(token: PersonalToken) -> JsonValue:
    expires = utc_text(token.expires_at) if token.expires_at else None
    return {
        "id": token.id,
        "roles": list(token.roles),
        "issued_at": utc_text(token.issued_at),
        "expires_at": expires,
    }


def _delegation(one: Delegation) -> JsonValue:
    return {"id": one.id, "giver": one.giver, "taker": one.taker, "until": utc_text(one.until)}
