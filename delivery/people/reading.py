"""People as the ledger's projections tell of them."""

from collections import defaultdict
from datetime import datetime

from pydantic import JsonValue, TypeAdapter

from delivery.connections import Connections
from delivery.people.person import Delegation, People, Person, PublicKey
from delivery.people.token import PersonalToken, token_digest
from delivery.ports import Ledger

_MOMENT: TypeAdapter[datetime] = TypeAdapter(datetime)
Row = dict[str, JsonValue]


def read_people(connections: Connections) -> People:
    """Everybody as they stand now."""
    ledger = connections.ledger
    keys: dict[str, list[PublicKey]] = defaultdict(list)
    for row in ledger.rows("keys", order="enrolled_at"):
        keys[str(row["person"])].append(_key(row))
    everybody = {str(row["name"]): _person(row, keys) for row in ledger.rows("people", order="name")}
    return People(everybody, tuple(_delegation(row) for row in ledger.rows("delegations", order="id")))


def find_token(ledger: Ledger, token: str) -> PersonalToken | None:
    """What was issued and reads like this; it may have expired or been revoked."""
    rows = ledger.rows("tokens", digest=token_digest(token))
    return _token(rows[0]) if rows else None


def token_of(ledger: Ledger, identity: str) -> PersonalToken | None:
    """The one with this id; it may have expired or been revoked."""
    rows = ledger.rows("tokens", id=identity)
    return _token(rows[0]) if rows else None


def read_tokens(ledger: Ledger) -> list[PersonalToken]:
    """Every token that was ever issued."""
    return [_token(row) for row in ledger.rows("tokens", order="id")]


def _person(row: Row, keys: dict[str, list[PublicKey]]) -> Person:
    name = str(row["name"])
    return Person(
        name,
        roles=_texts(row, "roles"),
        emails=_texts(row, "emails"),
        logins=_texts(row, "logins"),
        keys=tuple(keys[name]),
        code_enrolled_at=_moment(row, "code_enrolled_at"),
        removed_at=_moment(row, "removed_at"),
    )


def _key(row: Row) -> PublicKey:
    enrolled_at = _MOMENT.validate_python(row["enrolled_at"])
    return PublicKey(str(row["line"]), str(row["fingerprint"]), enrolled_at, _moment(row, "withdrawn_at"))


def _delegation(row: Row) -> Delegation:
    until = _MOMENT.validate_python(row["until"])
    return Delegation(str(row["id"]), str(row["giver"]), str(row["taker"]), until, _moment(row, "withdrawn_at"))


def _token(row: Row) -> PersonalToken:
    issued_at = _MOMENT.validate_python(row["issued_at"])
    ends = _moment(row, "expires_at"), _moment(row, "revoked_at")
    return PersonalToken(str(row["id"]), str(row["person"]), _texts(row, "roles"), issued_at, *ends)


def _texts(row: Row, name: str) -> tuple[str, ...]:
    found = row.get(name)
    return tuple(str(one) for one in found) if isinstance(found, list) else ()


def _moment(row: Row, name: str) -> datetime | None:
    return _MOMENT.validate_python(row[name]) if row.get(name) else None
