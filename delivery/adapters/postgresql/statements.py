"""Prepared statements by means of the driver's libpq: a cursor would take a third of an append's processor time."""

from collections.abc import Sequence
from itertools import count
from weakref import WeakKeyDictionary

from psycopg.errors import InvalidSqlStatementName, error_from_result
from psycopg.generators import execute
from psycopg.pq import ExecStatus

from delivery.adapters.postgresql.engine import Driver

Value = str | bytes | None
Row = list[bytes | None]

_MOST = 64
"""Statements that a connection keeps."""
_SUCCEEDED = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK})

_numbers = count()
_names: WeakKeyDictionary[Driver, dict[bytes, bytes]] = WeakKeyDictionary()
"""Of what every connection has prepared."""


def first_row(own: Driver, statement: bytes, values: Sequence[Value]) -> Row | None:
    """The first row as text, None without one.

    Values are in the server's forms: its binary form as bytes (of text that is UTF-8), its text form, without U+0000.

    InvalidSqlStatementName once after a rollback, for it makes the driver drop what is prepared: try again.
    """
    names = _names.setdefault(own, {})
    sent = [value.encode() if isinstance(value, str) else value for value in values]
    try:
        name = names.get(statement) or _prepared(own, statement, names)
        own.pgconn.send_query_prepared(name, sent, [isinstance(value, bytes) for value in values])
        return _answer(own)
    except InvalidSqlStatementName:
        names.clear()
        raise


def forget(own: Driver) -> None:
    """After a rollback: the driver may have dropped what is prepared on its connection, ours with its own."""
    _names.pop(own, None)


def _prepared(own: Driver, statement: bytes, names: dict[bytes, bytes]) -> bytes:
    if len(names) >= _MOST:
        oldest = next(iter(names))
        own.execute(b"DEALLOCATE " + names.pop(oldest))
    name = b"shipline_%d" % next(_numbers)
    own.pgconn.send_prepare(name, statement)
    _answer(own)
    names[statement] = name
    return name


def _answer(own: Driver) -> Row | None:
    """Waits as the driver does, so that Ctrl-C cancels the statement."""
    result = own.wait(execute(own.pgconn))[-1]
    if result.status not in _SUCCEEDED:
        raise error_from_result(result)
    return [result.get_value(0, column) for column in range(result.nfields)] if result.ntuples else None
