"""Writing entries: the chain, the head and the projections in one statement.

A head is moved by compare-and-set: the statement names the digest that it follows, and writes nothing
when the head is another one by now. So one who writes a stream alone needs a single round trip; who
finds the head moved locks it first (`ledger`). A key that is known already fails the statement at the
unique index: a query for it would be planned while a new home's tables are empty, and then read
the whole stream until the server has counted the rows anew.
"""

from collections.abc import Sequence
from functools import lru_cache

from psycopg import RawCursor

from delivery.adapters.postgresql.engine import Driver
from delivery.adapters.postgresql.json_columns import storable
from delivery.adapters.postgresql.statements import Value, first_row
from delivery.artifact import Digest
from delivery.errors import PermanentError
from delivery.ledger import GENESIS, Draft, Entry, Unplaced, placed, unplaced
from delivery.projection import Fields, Merge, project

Head = tuple[int, Digest]
Place = tuple[str, str, str]
"""Of a document: table, project, key."""

BATCH = 50
"""Entries in one statement."""

_ENTRY = "(%s::bigint, %s, %s::bytea, %s, %s)"
_DOCUMENT = "(%s, %s, %s, %s::jsonb)"
_MERGING = "ON CONFLICT (table_name, project, key) DO UPDATE SET document = old.document || excluded.document"
_LOCK = b"SELECT sequence, digest FROM heads WHERE stream = $1 FOR UPDATE"
_COLUMNS = "table_name, project, key, document"


def begun(stream: str, drafts: Sequence[Draft]) -> list[Unplaced]:
    """What needs no head, so that nobody waits for it; PermanentError for what JSON cannot say."""
    found: list[Unplaced] = []
    for draft in drafts:
        try:
            found.append(unplaced(draft))
        except (ValueError, TypeError) as error:
            raise _incomplete(stream, draft.kind, error) from error
    return found


def prepared(stream: str, head: Head, drafts: Sequence[Unplaced]) -> tuple[list[Entry], dict[Place, Fields]]:
    """The entries that follow a head, and the documents they touch; PermanentError for an incomplete body."""
    entries: list[Entry] = []
    documents: dict[Place, Fields] = {}
    sequence, digest = head
    for draft in drafts:
        entry = placed(stream, sequence + 1, digest, draft)
        try:
            merge_into(documents, project(entry))
        except (KeyError, ValueError, TypeError) as error:
            raise _incomplete(stream, draft.kind, error) from error
        entries.append(entry)
        sequence, digest = entry.sequence, entry.digest
    return entries, documents


def _incomplete(stream: str, kind: str, error: Exception) -> PermanentError:
    return PermanentError(f"appending {kind} to '{stream}': its body is not complete: {error}")


def merge_into(documents: dict[Place, Fields], merges: Sequence[Merge]) -> None:
    """Gather merges: a statement may touch a document once."""
    for merge in merges:
        place = (merge.table, merge.project, merge.key)
        documents[place] = {**documents.get(place, {}), **merge.fields}


def write(connection: Driver, stream: str, head: Head, drafts: Sequence[Unplaced]) -> list[Entry] | None:
    """Append at this head at most `BATCH` drafts; None, and nothing written, when it moved.

    The driver's UniqueViolation, and nothing written, when a key is known.
    """
    entries, documents = prepared(stream, head, drafts)
    values: list[Value] = [str(entries[-1].sequence), entries[-1].digest, stream.encode(), head[1]]
    for entry, draft in zip(entries, drafts, strict=True):
        key = draft.idempotency_key
        values += [str(entry.sequence), key and key.encode(), entry.content, entry.previous, entry.digest]
    for place, fields in documents.items():
        values += [*(part.encode() for part in place), storable(fields)]
    return entries if first_row(connection, _statement(len(entries), len(documents)), values) else None


def lock_head(connection: Driver, stream: str) -> Head:
    """The head, locked until the transaction ends; made when this is the stream's first entry."""
    found = first_row(connection, _LOCK, [stream.encode()])
    if found is None:
        connection.execute(b"INSERT INTO heads VALUES (%s, 0, %s) ON CONFLICT DO NOTHING", (stream, GENESIS))
        found = first_row(connection, _LOCK, [stream.encode()])
    if found is None:
        raise PermanentError(f"appending to '{stream}': its head is missing")
    sequence, digest = found
    return int(sequence or 0), Digest((digest or b"").decode())


def merge_documents(connection: Driver, documents: dict[Place, Fields]) -> None:
    """Write documents, batch by batch, over what is there."""
    places = list(documents)
    for start in range(0, len(places), BATCH):
        part = {place: documents[place] for place in places[start : start + BATCH]}
        rows = ", ".join([_DOCUMENT] * len(part))
        statement = f"INSERT INTO projections AS old ({_COLUMNS}) VALUES {rows} {_MERGING}"  # noqa: S608  # our own text
        values = [value for place, fields in part.items() for value in (*place, storable(fields))]
        RawCursor(connection).execute(_numbered(statement), values)


@lru_cache(maxsize=256)
def _statement(entries: int, documents: int) -> bytes:
    """The one statement, for so many of each."""
    merged = f""", merged AS (
        INSERT INTO projections AS old ({_COLUMNS})
        SELECT new.* FROM moved, (VALUES {", ".join([_DOCUMENT] * documents)}) AS new {_MERGING})"""  # noqa: S608  # our own text
    return _numbered(f"""WITH moved AS (
        UPDATE heads SET sequence = %s::bigint, digest = %s WHERE stream = %s AND digest = %s RETURNING stream
    ), written AS (
        INSERT INTO entries (stream, sequence, idempotency_key, content, previous, digest)
        SELECT moved.stream, new.* FROM moved, (VALUES {", ".join([_ENTRY] * entries)}) AS new
    ){merged if documents else ""}
    SELECT stream FROM moved""")  # noqa: S608  # our own text


def _numbered(statement: str) -> bytes:
    """With the server's own placeholders: the driver need not look for others in thousands of letters."""
    return (statement % tuple(f"${number}" for number in range(1, statement.count("%s") + 1))).encode()
