"""Leases and operations documents in PostgreSQL; the only clock is the database's."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from pydantic import JsonValue
from sqlalchemy import ColumnElement, Engine, Text, and_, bindparam, case, cast, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from delivery.adapters.postgresql import schema
from delivery.adapters.postgresql.engine import Url, connected, engine_of
from delivery.adapters.postgresql.json_columns import equals, storable
from delivery.ports import Claim, Lease, Row
from delivery.run import lease_name

_leases = schema.leases.c
_documents = schema.documents.c
_claims = schema.claims.c
_OF_RUNS = ("runs", "plans")
_NEW = insert(schema.documents).values(
    table_name=bindparam("table_name"),
    key=bindparam("key"),
    project=bindparam("project"),
    document=cast(bindparam("written", type_=Text), JSONB),
)
_SAVING = _NEW.on_conflict_do_update(
    index_elements=["table_name", "key"],
    set_={"project": _NEW.excluded.project, "document": _NEW.excluded.document},
)
"""For any number of rows: SQLAlchemy compiles it once."""


class PostgresqlOperations:
    """Reached as the application's role."""

    def __init__(self, database: Url | Engine, pool_size: int = 4) -> None:
        self._engine = engine_of(database, pool_size)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def acquire(self, name: str, holder: str, ttl: timedelta) -> Lease | None:
        new = insert(schema.leases).values(name=name, holder=holder, fence=1, until=_in(ttl))
        ours = and_(_leases.holder == holder, _leases.until > func.clock_timestamp())
        taken = new.on_conflict_do_update(
            index_elements=["name"],
            set_={"holder": holder, "fence": case((ours, _leases.fence), else_=_leases.fence + 1), "until": _in(ttl)},
            where=(_leases.until <= func.clock_timestamp()) | (_leases.holder == holder),
        )
        with connected(self._engine, f"taking lease '{name}'") as connection:
            row = connection.execute(taken.returning(_leases.fence, _leases.until)).one_or_none()
        return Lease(name, holder, row.fence, row.until) if row else None

    def renew(self, lease: Lease, ttl: timedelta) -> bool:
        renewed = update(schema.leases).where(_held(lease)).values(until=_in(ttl))
        with connected(self._engine, f"renewing lease '{lease.name}'") as connection:
            return connection.execute(renewed).rowcount == 1

    def hand_over(self, lease: Lease, holder: str, ttl: timedelta) -> Lease | None:
        given = update(schema.leases).where(_held(lease)).values(holder=holder, fence=lease.fence + 1, until=_in(ttl))
        with connected(self._engine, f"handing over lease '{lease.name}'") as connection:
            row = connection.execute(given.returning(_leases.fence, _leases.until)).one_or_none()
        return Lease(lease.name, holder, row.fence, row.until) if row else None

    def release(self, lease: Lease) -> None:
        """The row stays, so that the next fence is higher."""
        released = update(schema.leases).where(_held(lease)).values(until=func.clock_timestamp())
        with connected(self._engine, f"releasing lease '{lease.name}'") as connection:
            connection.execute(released)

    def leases(self, prefix: str = "") -> list[Lease]:
        query = (
            select(schema.leases)
            .where(_leases.until > func.statement_timestamp(), _leases.name.startswith(prefix, autoescape=True))
            .order_by(_leases.name)
        )
        with connected(self._engine, "reading the leases") as connection:
            return [Lease(row.name, row.holder, row.fence, row.until) for row in connection.execute(query)]

    def save(self, table: str, key: str, project: str, document: Row) -> None:
        self.save_all(table, project, {key: document})

    def save_all(self, table: str, project: str, documents: Mapping[str, Row]) -> None:
        if not documents:
            return
        rows = [
            {"table_name": table, "key": key, "project": project, "written": storable(document)}
            for key, document in documents.items()
        ]
        with connected(self._engine, f"saving {next(iter(documents))} in {table}") as connection:
            connection.execute(_SAVING, rows)

    def load(self, table: str, key: str) -> dict[str, JsonValue] | None:
        query = select(_documents.document).where(_documents.table_name == table, _documents.key == key)
        with connected(self._engine, f"reading {key} in {table}") as connection:
            return connection.execute(query).scalar_one_or_none()

    def find(
        self, table: str, project: str | None = None, limit: int = 1000, *, below: str = "", **equal: JsonValue
    ) -> list[dict[str, JsonValue]]:
        query = select(_documents.document).where(_documents.table_name == table)
        if below:
            query = query.where(*_below(below))
        if project is not None:
            query = query.where(_documents.project == project)
        for field, wanted in equal.items():
            query = query.where(equals(_documents.document, field, wanted))
        with connected(self._engine, f"reading {table}") as connection:
            return list(connection.execute(query.order_by(_documents.number.desc()).limit(limit)).scalars())

    def keys(self, table: str, before: str, limit: int = 1000) -> list[str]:
        query = select(_documents.key).where(_documents.table_name == table, _documents.key < before)
        with connected(self._engine, f"reading the keys of {table}") as connection:
            return list(connection.execute(query.order_by(_documents.key).limit(limit)).scalars())

    def forget(self, identity: str) -> None:
        own = _documents.table_name.in_(_OF_RUNS) & (_documents.key == identity)
        steps = and_(_documents.table_name == "steps", *_below(identity))
        lease = and_(_leases.name == lease_name(identity), _leases.until <= func.clock_timestamp())
        with connected(self._engine, f"forgetting {identity}") as connection:
            for gone in (
                delete(schema.documents).where(own),
                delete(schema.documents).where(steps),
                delete(schema.leases).where(lease),
            ):
                connection.execute(gone)

    def claim(self, claim: Claim) -> bool:
        new = insert(schema.claims).values(flow_run=claim.flow_run, state=claim.state, process=dict(claim.process))
        with connected(self._engine, f"claiming flow run {claim.flow_run}") as connection:
            return bool(connection.execute(new.on_conflict_do_nothing().returning(_claims.flow_run)).all())

    def claims(self) -> list[Claim]:
        with connected(self._engine, "reading the claims") as connection:
            rows = connection.execute(select(schema.claims))
            return [Claim(row.flow_run, row.state, row.process) for row in rows]

    def drop_claim(self, claim: Claim) -> bool:
        gone = delete(schema.claims).where(
            _claims.flow_run == claim.flow_run,
            _claims.state == claim.state,
            _claims.process == literal(dict(claim.process), JSONB),
        )
        with connected(self._engine, f"dropping the claim to flow run {claim.flow_run}") as connection:
            return bool(connection.execute(gone.returning(_claims.flow_run)).all())


def _below(key: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """A range of the key's index: "0" follows "/"."""
    return _documents.key > f"{key}/", _documents.key < f"{key}0"


def _in(ttl: timedelta) -> ColumnElement[datetime]:
    """Not `now()`: that is when a transaction began, which may have waited since."""
    return func.clock_timestamp() + literal(ttl)


def _held(lease: Lease) -> ColumnElement[bool]:
    return and_(
        _leases.name == lease.name,
        _leases.holder == lease.holder,
        _leases.fence == lease.fence,
        _leases.until > func.clock_timestamp(),
    )
