"""Connections: a small pool for each process, and one place where the driver's errors become ours."""

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, cast

import psycopg
from psycopg.rows import TupleRow
from sqlalchemy import URL, Connection, Dialect, Engine, PoolProxiedConnection, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from delivery.errors import DeliveryError, PermanentError, TransientError

Driver = psycopg.Connection[TupleRow]

Url = str | Callable[[], str]
"""A function is asked for each new connection: an embedded server may move to another port."""

_CONNECT_SECONDS = 10
_STATEMENT_MILLISECONDS = 30_000
_IDLE_SECONDS = 0.05
"""A silent connection that rested longer is tried before it is used: appending in a loop pays nothing for it."""
_TRY_AGAIN = frozenset({"40001", "40P01", "55P03", "57014", "25P03", "25P04"})
"""Serialization, deadlock, lock and statement time-outs, idle in transaction for too long."""
_TRY_AGAIN_CLASSES = frozenset({"08", "53", "57", "58"})
"""Connection, resources such as disk and memory, operator intervention (restart), system errors."""


def engine_of(database: Url | Engine, pool_size: int = 4) -> Engine:
    """An engine that is shared, or one of its own: each connection takes the server some 6 MB."""
    return database if isinstance(database, Engine) else make_engine(database, pool_size)


def make_engine(url: Url, pool_size: int = 4) -> Engine:
    """An engine whose connections commit each statement, and that survives restarts of the server.

    A statement has 30 s; so has a transaction that does nothing.
    """
    address = url if callable(url) else lambda: url
    options = (
        f"-c statement_timeout={_STATEMENT_MILLISECONDS} "
        f"-c idle_in_transaction_session_timeout={_STATEMENT_MILLISECONDS} -c timezone=UTC"
    )
    engine = create_engine(
        _sqlalchemy_url(address()),
        isolation_level="AUTOCOMMIT",
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=_CONNECT_SECONDS,
        pool_reset_on_return=None,  # every transaction here ends with its `with`
        connect_args={
            "connect_timeout": _CONNECT_SECONDS,
            "application_name": "shipline",
            "options": options,
            "prepare_threshold": 2,
        },
    )
    event.listen(engine, "do_connect", partial(_at_present, address))
    event.listen(engine, "checkin", _rested)
    event.listen(engine, "checkout", _alive)
    return engine


@contextmanager
def connected(engine: Engine, doing: str) -> Iterator[Connection]:
    """A connection of the pool; what goes wrong with it is raised as ours."""
    with translating(doing), engine.connect() as connection:
        try:
            yield connection
        except psycopg.OperationalError:
            connection.invalidate()
            raise


class Lender:
    """Lends the driver's own connection and keeps one at hand: the pool's care would take an eighth of an append."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: list[tuple[PoolProxiedConnection, float]] = []
        """At most one but for a race, and since when it rests."""

    @contextmanager
    def lent(self, doing: str) -> Iterator[Driver]:
        """One that lives; dropped when it is lost meanwhile, and what went wrong is raised as ours."""
        with translating(doing):
            connection = self._taken()
            try:
                yield cast("Driver", connection.driver_connection)
            except psycopg.OperationalError:
                connection.invalidate()
                raise
            finally:
                self._give_back(connection)

    def close(self) -> None:
        """Give the kept one to the pool."""
        while self._kept:
            self._kept.pop()[0].close()

    def _taken(self) -> PoolProxiedConnection:
        with suppress(IndexError):
            connection, since = self._kept.pop()
            if _lives(cast("Driver", connection.driver_connection), time.monotonic() - since):
                return connection
            connection.invalidate()
        return self._engine.raw_connection()

    def _give_back(self, connection: PoolProxiedConnection) -> None:
        if connection.is_valid and not self._kept:
            self._kept.append((connection, time.monotonic()))
        else:
            connection.close()


@contextmanager
def transaction(engine: Engine, doing: str) -> Iterator[Driver]:
    """The driver's own connection in one transaction, rolled back on any error."""
    with connected(engine, doing) as connection:
        own = cast("Driver", connection.connection.driver_connection)
        with own.transaction():
            yield own


@contextmanager
def translating(doing: str) -> Iterator[None]:
    """Raise the driver's errors as ours: what may pass later is transient, what cannot is permanent."""
    try:
        yield
    except DBAPIError as error:
        raise _translated(doing, error.orig) from error
    except psycopg.Error as error:
        raise _translated(doing, error) from error
    except PoolTimeoutError as error:
        raise TransientError(f"{doing}: every connection to PostgreSQL is in use") from error
    except SQLAlchemyError as error:
        raise PermanentError(f"{doing}: {error}") from error


def _translated(doing: str, error: BaseException | None) -> DeliveryError:
    state = getattr(error, "sqlstate", None)
    cause = str(error).partition("\n")[0].strip().rstrip(".")
    lost = state is None and isinstance(error, psycopg.OperationalError)
    if lost or state in _TRY_AGAIN or (state or "")[:2] in _TRY_AGAIN_CLASSES:
        return TransientError(f"{doing}: {cause}", hint="is PostgreSQL running? `shipline doctor` tells")
    return PermanentError(f"{doing}: {cause}")


def _sqlalchemy_url(url: str) -> URL:
    return make_url(url).set(drivername="postgresql+psycopg")


def _at_present(
    address: Callable[[], str], dialect: Dialect, _entry: ConnectionPoolEntry, _args: list[Any], given: dict[str, Any]
) -> None:
    """Where the server is now, instead of where it was when the engine was made."""
    _, place = dialect.create_connect_args(_sqlalchemy_url(address()))
    given.update(place)


def _rested(_connection: Any, entry: ConnectionPoolEntry) -> None:  # noqa: ANN401  # what the event hands over
    entry.info["rests_since"] = time.monotonic()


def _alive(connection: Driver, entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
    """A connection that died while it rested makes the pool drop what it has and connect anew."""
    if not _lives(connection, time.monotonic() - entry.info.get("rests_since", float("-inf"))):
        raise DisconnectionError


def _lives(connection: Driver, rested: float) -> bool:
    try:
        if rested >= _IDLE_SECONDS or _spoken_to(connection):
            connection.execute("")
    except psycopg.Error:
        return False
    return True


def _spoken_to(connection: Driver) -> bool:
    """Whether the server has said something unasked: its end, mostly, for it may restart within milliseconds."""
    looking = select.poll()
    looking.register(connection.fileno(), select.POLLIN)
    return bool(looking.poll(0))
