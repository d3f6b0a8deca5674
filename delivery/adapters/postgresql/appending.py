"""Writing entries: the chain, the head and the projections in one statement.

A head is moved by compare-and-set: the statement names the digest that it follows, and writes nothing
when the head is another one by now or a key is known already. So one who writes a stream alone needs
a single round trip; who finds the head moved locks it first (`ledger`).
"""

from collections.abc import Sequence
from functools import lru_cache

from delivery.adapters.postgresql.engine import Driver
from delivery.adapters.postgresql.json_columns import storable
from delivery.artifact import Digest
from delivery.errors import PermanentError
from delivery.ledger import GENESIS, Draft, Entry, chained
from delivery.projection import Fields, Merge, project

Head = tuple[int, Digest]
Place = tuple[str, str, str]
"""Of a document: table, project, key."""

BATCH = 50
"""Entries in one statement."""

_ENTRY = "(%s::bigint, %s, %s::bytea, %s, %s)"
_DOCUMENT = "(%s, %s, %s, %s::jsonb)"
_MERGING = "ON CONFLICT (table_name, project, key) DO UPDATE SET document = old.document || excluded.document"
_COLUMNS = "table_name, project, key, document"


def prepared(stream: str, head: Head, drafts: Sequence[Draft]) -> tuple[list[Entry], dict[Place, Fields]]:
    """The entries that follow a head, and the documents they touch; PermanentError for an incomplete body."""
    entries: list[Entry] = []
    documents: dict[Place, Fields] = {}
    sequence, digest = head
    for draft in drafts:
        try:
            entry = chained(stream, sequence + 1, digest, draft)
            merge_into(documents, project(entry))
        except (KeyError, ValueError, TypeError) as error:
            raise PermanentError(f"appending {draft.kind} to '{stream}': its body is not complete: {error}") from error
        entries.append(entry)
        sequence, digest = entry.sequence, entry.digest
    return entries, documents


def merge_into(documents: dict[Place, Fields], merges: Sequence[Merge]) -> None:
    """Gather merges: a statement may touch a document once."""
    for merge in merges:
        place = (merge.table, merge.project, merge.key)
        documents[place] = {**documents.get(place, {}), **merge.fields}


def write(connection: Driver, stream: str, head: Head, drafts: Sequence[Draft]) -> list[Entry] | None:
    """Append at this head at most `BATCH` drafts; None, and nothing written, when it moved or a key is known."""
    entries, documents = prepared(stream, head, drafts)
    keys = [draft.idempotency_key for draft in drafts if draft.idempotency_key]
    values: list[object] = [entries[-1].sequence, entries[-1].digest, stream, head[1]]
    if keys:
        values += [stream, *keys]
    for entry, draft in zip(entries, drafts, strict=True):
        values += [entry.sequence, draft.idempotency_key, entry.content, entry.previous, entry.digest]
    values += _document_values(documents)
    statement = _statement(len(keys), len(entries), len(documents))
    written = connection.execute(statement.encode(), values).fetchone()
    return entries if written else None


def lock_head(connection: Driver, stream: str) -> Head:
    """The head, locked until the transaction ends; made when this is the stream's first entry."""
    query = b"SELECT sequence, digest FROM heads WHERE stream = %s FOR UPDATE"
    found = connection.execute(query, (stream,)).fetchone()
    if found is None:
        connection.execute(b"INSERT INTO heads VALUES (%s, 0, %s) ON CONFLICT DO NOTHING", (stream, GENESIS))
        found = connection.execute(query, (stream,)).fetchone()
    if found is None:
        raise PermanentError(f"appending to '{stream}': its head is missing")
    return int(found[0]), Digest(found[1])


def merge_documents(connection: Driver, documents: dict[Place, Fields]) -> None:
    """Write documents, batch by batch, over what is there."""
    places = list(documents)
    for start in range(0, len(places), BATCH):
        part = {place: documents[place] for place in places[start : start + BATCH]}
        rows = ", ".join([_DOCUMENT] * len(part))
        statement = f"INSERT INTO projections AS old ({_COLUMNS}) VALUES {rows} {_MERGING}"  # noqa: S608  # our own text
        connection.execute(statement.encode(), _document_values(part))


def _document_values(documents: dict[Place, Fields]) -> list[object]:
    values: list[object] = []
    for place, fields in documents.items():
        values += [*place, storable(fields)]
    return values


@lru_cache(maxsize=256)
def _statement(keys: int, entries: int, documents: int) -> str:
    """The one statement, for so many of each."""
    marks = ", ".join(["%s"] * keys)
    known = (
        f"AND NOT EXISTS (SELECT FROM entries WHERE stream = %s AND idempotency_key IN ({marks}))" if keys else ""
    )  # our own text
    rows = ", ".join([_DOCUMENT] * documents)
    merged = f""", merged AS (
        INSERT INTO projections AS old ({_COLUMNS})
        SELECT new.* FROM moved, (VALUES {rows}) AS new {_MERGING})"""  # noqa: S608  # our own text
    return f"""WITH moved AS (
        UPDATE heads SET sequence = %s, digest = %s WHERE stream = %s AND digest = %s {known} RETURNING stream
    ), written AS (
        INSERT INTO entries (stream, sequence, idempotency_key, content, previous, digest)
        SELECT moved.stream, new.* FROM moved, (VALUES {", ".join([_ENTRY] * entries)}) AS new
    ){merged if documents else ""}
    SELECT stream FROM moved"""  # noqa: S608  # our own text
