"""The ledger in PostgreSQL."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice, takewhile

from psycopg.errors import InvalidSqlStatementName, UniqueViolation
from psycopg.rows import TupleRow
from pydantic import JsonValue
from sqlalchemy import ColumnElement, Connection, Engine, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB

from delivery.adapters.postgresql import schema
from delivery.adapters.postgresql.appending import (
    BATCH,
    Head,
    begun,
    lock_head,
    merge_documents,
    merge_into,
    write,
)
from delivery.adapters.postgresql.engine import Driver, Lender, Url, connected, engine_of, transaction
from delivery.adapters.postgresql.json_columns import equals_any
from delivery.adapters.postgresql.statements import forget
from delivery.artifact import Digest
from delivery.errors import PermanentError, StaleFenceError, VerificationError
from delivery.ledger import GENESIS, Draft, Entry, Unplaced
from delivery.ports import Guard, Lease, SegmentStore
from delivery.projection import project

_PAGE = 1000


class PostgresqlLedger:
    """Entries and projections, reached as the application's role."""

    def __init__(self, database: Url | Engine, pool_size: int = 4, segments: SegmentStore | None = None) -> None:
        """`segments` hold the contents that have left the database."""
        self._engine = engine_of(database, pool_size)
        self._segments = segments
        self._lender = Lender(self._engine)
        self._alone: dict[str, Head] = {}
        """Heads of streams that nobody else has appended to since we did: a guess, checked by every write."""
        self._left: dict[str, Head] = {}
        """Heads as we last left them."""

    def close(self) -> None:
        """Give the connections back."""
        self._lender.close()
        self._engine.dispose()

    def append(self, stream: str, drafts: Sequence[Draft], guard: Guard | None = None) -> list[Entry]:
        written = begun(stream, drafts)
        with self._lender.lent(f"appending to '{stream}'") as own:
            try:
                alone = None if guard else self._append_alone(own, stream, written)
                return alone or self._append_locked(own, stream, written, guard)
            except (UniqueViolation, InvalidSqlStatementName):
                forget(own)
                return self._append_locked(own, stream, written, guard, repeated=True)

    def entries(self, stream: str, after: int = 0) -> Iterator[Entry]:
        """Page by page: entries never change, so no transaction needs to stay open between two."""
        columns = schema.entries.c
        query = select(columns.sequence, columns.content, columns.previous, columns.digest).order_by(columns.sequence)
        while True:
            page = query.where(columns.stream == stream, columns.sequence > after).limit(_PAGE)
            with connected(self._engine, f"reading the entries of '{stream}'") as connection:
                rows = connection.execute(page).all()
            if rows and rows[0].content is None:
                for entry in self._detached(stream, after):
                    yield entry
                    after = entry.sequence
                continue
            kept = list(takewhile(lambda row: row.content is not None, rows))
            for row in kept:
                yield Entry(stream, row.sequence, bytes(row.content), Digest(row.previous), Digest(row.digest))
            if len(rows) < _PAGE and len(kept) == len(rows):
                return
            after = kept[-1].sequence

    def streams(self) -> dict[str, tuple[int, Digest]]:
        """Also streams whose head is missing: such a one has head 0."""
        with connected(self._engine, "reading the heads of the ledger") as connection:
            heads = {
                row.stream: (row.sequence, Digest(row.digest))
                for row in connection.execute(select(schema.heads).where(schema.heads.c.sequence > 0))
            }
            found = {stream: heads.get(stream, (0, GENESIS)) for stream in _streams_with_entries(connection)}
        return dict(sorted({**found, **heads}.items()))

    def rows(
        self, table: str, order: str | None = None, limit: int | None = None, **equal: JsonValue
    ) -> list[dict[str, JsonValue]]:
        columns = schema.projections.c
        query = select(columns.document).where(columns.table_name == table)
        owner = equal.get("project")
        if isinstance(owner, str):  # by the key's index: a project is too much of all documents for theirs
            query = query.where(columns.project == owner, columns.document["project"].astext == owner)
            del equal["project"]
        for field, wanted in equal.items():
            query = query.where(equals_any(columns.document, field, wanted))
        query = query.order_by(*_order(order)).limit(limit)
        with connected(self._engine, f"reading {table}") as connection:
            return list(connection.execute(query).scalars())

    def rebuild(self) -> None:
        with transaction(self._engine, "rebuilding the projections") as own:
            own.execute("SET LOCAL statement_timeout = 0")
            # appending waits, reading goes on with what was
            own.execute("LOCK TABLE heads IN EXCLUSIVE MODE")
            own.execute("DELETE FROM projections")
            for stream in self.streams():
                entries = self.entries(stream)  # on another connection: what is committed, and nothing is added
                while page := list(islice(entries, _PAGE)):
                    documents: dict[tuple[str, str, str], dict[str, JsonValue]] = {}
                    for entry in page:
                        merge_into(documents, project(entry))
                    merge_documents(own, documents)

    def _append_alone(self, own: Driver, stream: str, drafts: Sequence[Unplaced]) -> list[Entry] | None:
        head = self._alone.pop(stream, None)
        if head is None or not 0 < len(drafts) <= BATCH or _repeats(drafts):
            return None
        entries = write(own, stream, head, drafts)
        if entries:
            self._alone[stream] = self._left[stream] = (entries[-1].sequence, entries[-1].digest)
        return entries

    def _append_locked(
        self, own: Driver, stream: str, drafts: Sequence[Unplaced], guard: Guard | None, *, repeated: bool = False
    ) -> list[Entry]:
        with own.transaction():
            found = lock_head(own, stream)
            _require(own, stream, guard)
            known = self._known(own, stream, drafts) if repeated else {}
            answer, left = _append_new(own, stream, found, drafts, known)
        self._remember(stream, found, left)
        return answer

    def _detached(self, stream: str, after: int) -> Iterator[Entry]:
        """What has left the database, from the next entry on; VerificationError when that is not to be had."""
        found = self._segments.entries(stream, after) if self._segments else iter(())
        first = next(found, None)
        if first is None or first.sequence != after + 1:
            message = f"reading the entries of '{stream}': entry {after + 1} is in a closed segment that is not there"
            raise VerificationError(message, hint="bring its files back from a copy of the home")
        return chain([first], found)

    def _known(self, own: Driver, stream: str, drafts: Sequence[Unplaced]) -> dict[str | None, Entry]:
        found = {row[0]: row[1:] for row in _known_rows(own, stream, drafts)}
        return {key: self._whole(stream, *row) for key, row in found.items()}

    def _whole(self, stream: str, sequence: int, content: bytes | None, previous: str, digest: str) -> Entry:
        if content is None:
            return next(self._detached(stream, sequence - 1))
        return Entry(stream, sequence, bytes(content), Digest(previous), Digest(digest))

    def _remember(self, stream: str, found: Head, left: Head) -> None:
        """Whoever found the head as it left it is alone on the stream, for now."""
        if self._left.get(stream) == found:
            self._alone[stream] = left
        self._left[stream] = left


def _append_new(
    own: Driver, stream: str, head: Head, drafts: Sequence[Unplaced], known: Mapping[str | None, Entry]
) -> tuple[list[Entry], Head]:
    """The entry of every draft, new or known, and the head they leave."""
    places: list[Entry | int] = []
    new: list[Unplaced] = []
    first: dict[str, int] = {}
    for draft in drafts:
        key = draft.idempotency_key
        if key in known:
            places.append(known[key])
        elif key in first:
            places.append(first[key])
        else:
            if key:
                first[key] = len(new)
            places.append(len(new))
            new.append(draft)
    written: list[Entry] = []
    for start in range(0, len(new), BATCH):
        part = write(own, stream, head, new[start : start + BATCH])
        if part is None:
            raise PermanentError(f"appending to '{stream}': its head does not follow its entries")
        written += part
        head = (part[-1].sequence, part[-1].digest)
    return [written[place] if isinstance(place, int) else place for place in places], head


def _known_rows(own: Driver, stream: str, drafts: Sequence[Unplaced]) -> list[TupleRow]:
    keys = [draft.idempotency_key for draft in drafts if draft.idempotency_key]
    if not keys:
        return []
    found = own.execute(
        "SELECT idempotency_key, sequence, content, previous, digest FROM entries"
        " WHERE stream = %s AND idempotency_key = ANY(%s)",
        (stream, keys),
        prepare=False,  # planned for the rows that are there by now
    )
    return found.fetchall()


def _repeats(drafts: Sequence[Unplaced]) -> bool:
    keys = [draft.idempotency_key for draft in drafts if draft.idempotency_key]
    return len(set(keys)) < len(keys)


def _require(own: Driver, stream: str, guard: Guard | None) -> None:
    if guard is None:
        return
    if guard.lease and not _holds(own, guard.lease):
        raise StaleFenceError(f"appending to '{stream}': lease '{guard.lease.name}' is no longer held")
    if guard.promotion:
        phase = _phase(own, stream, guard.promotion)
        if phase not in guard.phases:
            raise StaleFenceError(f"appending to '{stream}': promotion {guard.promotion} is {phase}")


def _holds(own: Driver, lease: Lease) -> bool:
    """The lease's row stays locked until the append is committed: nobody takes it over in between."""
    query = (
        "SELECT 1 FROM leases WHERE name = %s AND holder = %s AND fence = %s AND until > clock_timestamp() FOR SHARE"
    )
    return own.execute(query, (lease.name, lease.holder, lease.fence)).fetchone() is not None


def _phase(own: Driver, stream: str, promotion: str) -> str | None:
    query = "SELECT document ->> 'phase' FROM projections WHERE table_name = 'promotions' AND project = %s AND key = %s"
    found = own.execute(query, (stream, promotion)).fetchone()
    return found[0] if found else None


def _order(order: str | None) -> tuple[ColumnElement[object], ...]:
    """Missing values last, whichever way; what is equal by its key."""
    columns = schema.projections.c
    if not order:
        return (columns.project.asc(), columns.key.asc())
    value = func.nullif(columns.document[order.removeprefix("-")], literal(None, JSONB(none_as_null=False)))
    if order.startswith("-"):
        return (value.desc().nulls_last(), columns.project.desc(), columns.key.desc())
    return (value.asc().nulls_last(), columns.project.asc(), columns.key.asc())


def _streams_with_entries(connection: Connection) -> list[str]:
    """From one stream to the next through the index, however many entries each has."""
    entries = schema.entries.c
    walk = select(func.min(entries.stream).label("stream")).cte("walk", recursive=True)
    following = select(func.min(entries.stream)).where(entries.stream > walk.c.stream).scalar_subquery()
    walk = walk.union_all(select(following).where(walk.c.stream.is_not(None)))
    return list(connection.execute(select(walk.c.stream).where(walk.c.stream.is_not(None))).scalars())
