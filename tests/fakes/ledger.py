"""The ledger in memory: the same chain and projections as in PostgreSQL, gone with the process."""

import json
from collections.abc import Iterator, Sequence
from threading import RLock

from pydantic import JsonValue

from delivery.artifact import Digest
from delivery.errors import PermanentError, StaleFenceError
from delivery.ledger import GENESIS, Draft, Entry, chained
from delivery.ports import Guard
from delivery.projection import Fields, Merge, project
from tests.fakes.operations import InMemoryOperations

Documents = dict[tuple[str, str, str], Fields]


class InMemoryLedger:
    """Passes the contract of `delivery.ports.Ledger`; guards look at the leases of `operations`."""

    def __init__(self, operations: InMemoryOperations | None = None) -> None:
        self.operations = operations or InMemoryOperations()
        self._streams: dict[str, list[Entry]] = {}
        self._keys: dict[tuple[str, str], Entry] = {}
        self._documents: Documents = {}
        self._lock = RLock()

    def append(self, stream: str, drafts: Sequence[Draft], guard: Guard | None = None) -> list[Entry]:
        with self._lock:
            self._require(stream, guard)
            chain = list(self._streams.get(stream, []))
            keys = dict(self._keys)
            documents = dict(self._documents)
            answer = [_append_one(stream, chain, keys, documents, draft) for draft in drafts]
            if chain:
                self._streams[stream] = chain
            self._keys, self._documents = keys, documents
            return answer

    def entries(self, stream: str, after: int = 0) -> Iterator[Entry]:
        with self._lock:
            return iter([entry for entry in self._streams.get(stream, []) if entry.sequence > after])

    def streams(self) -> dict[str, tuple[int, Digest]]:
        with self._lock:
            return {stream: (chain[-1].sequence, chain[-1].digest) for stream, chain in sorted(self._streams.items())}

    def rows(
        self, table: str, order: str | None = None, limit: int | None = None, **equal: JsonValue
    ) -> list[dict[str, JsonValue]]:
        with self._lock:
            found = [
                (project_, key, document)
                for (name, project_, key), document in sorted(self._documents.items())
                if name == table
                and equal.get("project") in {None, project_}
                and all(_matches(document.get(field), wanted) for field, wanted in equal.items())
            ]
        if order:
            found = _ordered(found, order.removeprefix("-"), descending=order.startswith("-"))
        return [json.loads(json.dumps(document)) for _, _, document in found[:limit]]

    def rebuild(self) -> None:
        with self._lock:
            documents: Documents = {}
            for stream in sorted(self._streams):
                for entry in self._streams[stream]:
                    _merge(documents, project(entry))
            self._documents = documents

    def _require(self, stream: str, guard: Guard | None) -> None:
        if guard is None:
            return
        if guard.lease and not self.operations.holds(guard.lease):
            raise StaleFenceError(f"appending to '{stream}': lease '{guard.lease.name}' is no longer held")
        document = self._documents.get(("promotions", stream, guard.promotion or ""), {})
        if guard.promotion and document.get("phase") not in guard.phases:
            raise StaleFenceError(f"appending to '{stream}': promotion {guard.promotion} is {document.get('phase')}")


def _append_one(
    stream: str, chain: list[Entry], keys: dict[tuple[str, str], Entry], documents: Documents, draft: Draft
) -> Entry:
    known = keys.get((stream, draft.idempotency_key)) if draft.idempotency_key else None
    if known:
        return known
    previous = chain[-1].digest if chain else GENESIS
    try:
        entry = chained(stream, len(chain) + 1, previous, draft)
        merges = project(entry)
    except (KeyError, ValueError, TypeError) as error:
        raise PermanentError(f"appending {draft.kind} to '{stream}': its body is not complete: {error}") from error
    chain.append(entry)
    if draft.idempotency_key:
        keys[stream, draft.idempotency_key] = entry
    _merge(documents, merges)
    return entry


def _merge(documents: Documents, merges: Sequence[Merge]) -> None:
    for merge in merges:
        place = (merge.table, merge.project, merge.key)
        documents[place] = {**documents.get(place, {}), **_storable(merge.fields)}


def _storable(fields: Fields) -> Fields:
    """PostgreSQL's JSON has no U+0000; documents show U+FFFD in its place."""

    def clean(value: JsonValue) -> JsonValue:
        if isinstance(value, str):
            return value.replace("\0", "\ufffd")
        if isinstance(value, list):
            return [clean(one) for one in value]
        if isinstance(value, dict):
            return {str(clean(name)): clean(one) for name, one in value.items()}
        return value

    return {name: clean(value) for name, value in fields.items()}


def _matches(value: JsonValue, wanted: JsonValue) -> bool:
    choices = wanted if isinstance(wanted, list) else [wanted]
    return any(value == choice and isinstance(value, bool) == isinstance(choice, bool) for choice in choices)


def _ordered(found: list[tuple[str, str, Fields]], field: str, *, descending: bool) -> list[tuple[str, str, Fields]]:
    with_value = [one for one in found if one[2].get(field) is not None]
    without = [one for one in found if one[2].get(field) is None]

    def place(one: tuple[str, str, Fields]) -> tuple[bool, float, str, str, str]:
        value = one[2][field]
        is_number = isinstance(value, int | float)
        return (is_number, float(str(value)) if is_number else 0.0, str(value), one[0], one[1])

    return sorted(with_value, key=place, reverse=descending) + (without[::-1] if descending else without)
