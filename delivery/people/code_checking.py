"""One-time codes against what is remembered of them: one at a time for each person, and kept before it counts."""

import hashlib
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from pydantic import TypeAdapter

from delivery.connections import Connections
from delivery.errors import TransientError
from delivery.gates.verdict import Verdict
from delivery.people.one_time_code import CodeState, judge_code
from delivery.people.reading import read_people

SCOPE = "control.people"
"""Of the secrets; no project can be called so."""
_STATES: TypeAdapter[CodeState] = TypeAdapter(CodeState)
_LEASE = timedelta(seconds=10)
_PATIENCE_SECONDS = 5.0
_WRONG = Verdict("one-time code", ("wrong one-time code",))


def check_code(connections: Connections, name: str, code: str) -> Verdict:
    """Whether a person's code counts; once it has, it does not again.

    Said alike of somebody unknown, and of somebody without codes: who is enrolled is nobody's business.
    """
    enrolled = _is_enrolled(connections, name)
    return check_against(connections, name, secret_name(name), code) if enrolled else _WRONG


def look_at_code(connections: Connections, name: str, code: str) -> Verdict:
    """The same before it is used: a wrong one is remembered, a right one still counts once."""
    enrolled = _is_enrolled(connections, name)
    return check_against(connections, name, secret_name(name), code, use=False) if enrolled else _WRONG


def _is_enrolled(connections: Connections, name: str) -> bool:
    person = read_people(connections).known(name)
    return person is not None and person.code_enrolled_at is not None


def check_against(connections: Connections, name: str, secret: str, code: str, *, use: bool = True) -> Verdict:
    """With a secret that may not be enrolled yet; `use` whether a right code is spent by it."""
    operations, at = connections.operations, connections.clock.now()
    with _alone(connections, name):
        state = _STATES.validate_python(operations.load("codes", name) or {})
        value = connections.secrets.resolve(f"secret:{secret}", SCOPE, None, "one-time code")
        verdict, judged = judge_code(state, value, code, at)
        if use or not verdict.passed:
            operations.save("codes", name, SCOPE, _STATES.dump_python(judged, mode="json"))
    return verdict


def secret_name(name: str, *, pending: bool = False) -> str:
    """Where a person's secret is kept: names of people may hold what names of secrets may not."""
    return f"{'pending' if pending else 'code'}-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


@contextmanager
def _alone(connections: Connections, name: str) -> Iterator[None]:
    """Guesses that come side by side are judged one after the other."""
    holder, until = uuid.uuid4().hex, time.monotonic() + _PATIENCE_SECONDS
    lease = connections.operations.acquire(f"code:{name}", holder, _LEASE)
    while lease is None and time.monotonic() < until:
        time.sleep(0.05)
        lease = connections.operations.acquire(f"code:{name}", holder, _LEASE)
    if lease is None:
        raise TransientError(f"checking a one-time code of {name}: others are being checked", hint="try again")
    try:
        yield
    finally:
        connections.operations.release(lease)
