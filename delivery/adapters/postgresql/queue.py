"""The queue in PostgreSQL."""

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, and_, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from delivery.adapters.postgresql import schema
from delivery.adapters.postgresql.engine import Url, connected, engine_of
from delivery.queue import Priority, Queued

_queue = schema.queue.c
_ANEW = ("project", "environment", "priority", "asked_at", "flow_run", "fed_at", "begun_at")
_KEPT = [column for column in _queue if column.name != "left_at"]


class PostgresqlQueue:
    """Reached as the application's role."""

    def __init__(self, database: Url | Engine, pool_size: int = 4) -> None:
        self._engine = engine_of(database, pool_size)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def put(self, queued: Queued) -> None:
        new = insert(schema.queue).values(**asdict(queued))
        again = new.on_conflict_do_update(
            index_elements=["subject", "standing"],
            set_={**{name: new.excluded[name] for name in _ANEW}, "left_at": None},
            where=_queue.left_at.is_not(None),
        )
        with connected(self._engine, f"queueing {queued.subject}") as connection:
            connection.execute(again)

    def feed(self, queued: Queued) -> None:
        fed = update(schema.queue).where(_is(queued))
        kept = fed.values(flow_run=queued.flow_run, fed_at=queued.fed_at, starts=queued.starts)
        with connected(self._engine, f"keeping which flow run takes up {queued.subject}") as connection:
            connection.execute(kept)

    def begin(self, subject: str, at: datetime) -> None:
        begun = update(schema.queue).where(
            _queue.subject == subject, _queue.left_at.is_(None), _queue.begun_at.is_(None)
        )
        with connected(self._engine, f"keeping when {subject} began") as connection:
            connection.execute(begun.values(begun_at=at))

    def leave(self, queued: Queued) -> None:
        left = update(schema.queue).where(_is(queued), _queue.left_at.is_(None)).values(left_at=func.clock_timestamp())
        with connected(self._engine, f"taking {queued.subject} out of the queue") as connection:
            connection.execute(left)

    def entries(self) -> list[Queued]:
        query = select(*_KEPT).where(_queue.left_at.is_(None)).order_by(_queue.asked_at, _queue.subject)
        with connected(self._engine, "reading the queue") as connection:
            rows = connection.execute(query).mappings()
            return [Queued(**{**row, "priority": Priority(row["priority"])}) for row in rows]

    def flow_run(self, subject: str) -> str | None:
        query = select(_queue.flow_run).where(_queue.subject == subject, _queue.flow_run.is_not(None))
        with connected(self._engine, f"looking who took up {subject}") as connection:
            return connection.execute(query.order_by(_queue.fed_at.desc()).limit(1)).scalar_one_or_none()

    def waits(self, since: datetime) -> list[float]:
        seconds = func.extract("epoch", _queue.begun_at - _queue.asked_at)
        query = select(seconds).where(_queue.begun_at >= since).order_by(seconds)
        with connected(self._engine, "reading how long the queue's entries waited") as connection:
            return [float(one) for one in connection.execute(query).scalars()]

    def forget(self, before: datetime) -> None:
        old = delete(schema.queue).where(_queue.left_at.is_not(None), _queue.asked_at < before)
        with connected(self._engine, "forgetting what left the queue") as connection:
            connection.execute(old)


def _is(queued: Queued) -> ColumnElement[bool]:
    return and_(_queue.subject == queued.subject, _queue.standing == queued.standing)
