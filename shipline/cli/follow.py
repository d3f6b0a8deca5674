"""Waiting for a run or promotion: its log lines as they come, its steps as they start and end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from delivery.errors import TransientError
from shipline.cli.client import LogPiece, segments
from shipline.cli.errors import TIMED_OUT, ApiError, Interrupted, complain, exit_code_of_state
from shipline.cli.feed import Feed, feed
from shipline.cli.output import Document, duration
from shipline.cli.session import Session

_ENDED = frozenset({"Completed", "Failed", "Errored", "Skipped", "Cached", "Cancelled"})
_WROTE = frozenset({"Completed", "Failed", "Errored"})
_AT_WORK = frozenset({"RollingOut", "Verifying", "RollingBack"})
_POLL_SECONDS = 0.05
_SLOWEST_POLL_SECONDS = 0.25
_PATIENCE_SECONDS = 60
"""How long the control plane may be away (killed and started again) before following gives up."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait: past a person's decision or not, and how many seconds at most."""

    through_decisions: bool = False
    seconds: float | None = None

    def ends(self, document: Document) -> bool:
        """Whether this state is what was waited for."""
        if document["state"] == "Waiting":
            return not self.through_decisions
        return bool(document["finished"])

    def exit_code(self, document: Document) -> int:
        """The exit code for where the waiting stopped."""
        return exit_code_of_state(document["state"]) if self.ends(document) else TIMED_OUT


def tell_how_to_follow(document: Document, patience: Patience) -> None:
    """What to type when time was up before it came to anything."""
    if patience.exit_code(document) == TIMED_OUT:
        complain(f"still {document['state']}; follow it with: shipline logs {document['id']} --follow")


def follow_run(session: Session, run: str, patience: Patience) -> Document:
    """The run once it is done, a person is needed or the time is up."""
    with _going_on(run, "run"), feed(session) as told_to:
        told = _Told(session, run, told_to)
        for document in _looks(session, segments("runs", run), patience):
            told.look(document)
    return document


def follow_promotion(session: Session, promotion: str, patience: Patience) -> Document:
    """The promotion once it is final, a person is needed or the time is up."""
    state = ""
    with _going_on(promotion, "promotion"), feed(session) as told_to:
        log = Log(session, promotion)
        for document in _looks(session, segments("promotions", promotion), patience):
            before, state = state, document["state"]
            ended = before in _AT_WORK and state not in _AT_WORK
            if ended:
                log.tell(told_to.line, document["environment"], ended=True)
            if before != state:
                told_to.line(f"{document['environment']}: {state}{_why(document)}")
            log.tell(told_to.line, document["environment"], ended=patience.ends(document))
    return document


@dataclass(slots=True)
class Log:
    """One log, read on from where it was left."""

    session: Session
    run: str
    step: str | None = None
    absent_is_empty: bool = True
    """A step that ended without a line has no log."""
    offset: int = 0
    finished: bool = False
    _rest: bytes = b""

    def tell(self, line: Callable[[str], None], name: str, *, ended: bool = False) -> None:
        """Give the whole lines that are new, each under a name; once it has ended also one without an end."""
        for one in self.lines(ended=ended):
            line(f"{name} | {one}" if name else one)

    def lines(self, *, ended: bool) -> Iterator[str]:
        """The whole lines that are new."""
        while True:
            piece = self._piece()
            self.offset, self.finished = piece.next_offset, piece.finished
            *whole, self._rest = (self._rest + piece.content).split(b"\n")
            yield from (one.decode(errors="replace").rstrip() for one in whole)
            if piece.finished or not piece.content:
                break
        if ended and self._rest:
            yield self._rest.decode(errors="replace").rstrip()
            self._rest = b""

    def _piece(self) -> LogPiece:
        try:
            piece: LogPiece = patiently(self.session, lambda: self.session.api.log(self.run, self.step, self.offset))
        except ApiError as error:
            if error.status != 404 or not self.absent_is_empty:  # noqa: PLR2004  # HTTP's Not Found
                raise
            return LogPiece(b"", self.offset, finished=True)
        return piece


@dataclass(slots=True)
class _Told:
    """What has been told about a run so far."""

    session: Session
    run: str
    feed: Feed
    steps: dict[str, str] = field(default_factory=dict)
    promotions: dict[str, str] = field(default_factory=dict)
    logs: dict[str, Log] = field(default_factory=dict)
    place: int = 1
    """In the queue: the first place is nothing to talk about."""

    def look(self, document: Document) -> None:
        """Tell what is new in the run's document."""
        self._look_at_place(document.get("queue") or {})
        for step in document["steps"]:
            self._look_at_step(step)
        for promotion in document["promotions"]:
            self._look_at_promotion(promotion)
        self.feed.show_steps(document["steps"])

    def _look_at_promotion(self, promotion: Document) -> None:
        """Its state when that is new, and what it says as long as it is worked on."""
        identity, environment, state = promotion["id"], promotion["environment"], promotion["state"]
        before, self.promotions[identity] = self.promotions.get(identity), state
        if before in _AT_WORK and state not in _AT_WORK:
            self._log(identity).tell(self.feed.line, environment, ended=True)
        if before != state:
            self.feed.line(f"{environment}: {state}{_why(promotion)}")
        if state in _AT_WORK:
            self._log(identity).tell(self.feed.line, environment)

    def _log(self, identity: str) -> Log:
        return self.logs.setdefault(identity, Log(self.session, identity))

    def _look_at_place(self, queue: Document) -> None:
        if queue and queue["place"] != self.place:
            self.place = queue["place"]
            self.feed.line(f"waits in place {self.place} of {queue['of']}")

    def _look_at_step(self, step: Document) -> None:
        name, state = step_id(step), step["state"]
        before = self.steps.get(name)
        if before in _ENDED:
            return
        self.steps[name] = state
        if state == "Running" and before != "Running":
            self.feed.line(f"{name}: started")
        if state == "Running" or state in _WROTE:
            log = self.logs.setdefault(name, Log(self.session, self.run, name))
            log.tell(self.feed.line, name, ended=state in _ENDED)
        if state in _ENDED:
            self.feed.line(f"{name}: {state}{_spent(step)}{_why(step)}")


def step_id(step: Document) -> str:
    """`name` or `name@service`."""
    return f"{step['name']}@{step['service']}" if step.get("service") else str(step["name"])


def _spent(step: Document) -> str:
    took = step["state"] in _WROTE and step.get("seconds") is not None
    return f" after {duration(step['seconds'])}" if took else ""


def _why(document: Document) -> str:
    reason = document.get("because") or document.get("reason") or ""
    return f" ({reason})" if reason else ""


def _looks(session: Session, path: str, patience: Patience) -> Iterator[Document]:
    """The document again and again until it is what was waited for or time is up; slower when nothing moves."""
    end = None if patience.seconds is None else time.monotonic() + patience.seconds
    pause, last = _POLL_SECONDS, None
    while True:
        document: Document = patiently(session, lambda: session.api.get(path))
        yield document
        if patience.ends(document) or (end is not None and time.monotonic() >= end):
            return
        pause = _POLL_SECONDS if document != last else min(pause * 1.2, _SLOWEST_POLL_SECONDS)
        last = document
        time.sleep(pause if end is None else max(0.0, min(pause, end - time.monotonic())))


def patiently(session: Session, ask: Callable[[], Any]) -> Any:  # noqa: ANN401  # JSON
    """Ask, and while the control plane is away look for it again for a while."""
    until = time.monotonic() + _PATIENCE_SECONDS
    told = False
    while True:
        try:
            return ask()
        except TransientError as error:
            if time.monotonic() >= until:
                raise
            if not told:
                complain(f"{error.message}; looking for it again")
                told = True
            time.sleep(1)
            session.api.renew()


@contextmanager
def _going_on(identity: str, what: str) -> Iterator[None]:
    """Ctrl-C ends the looking, not what is looked at; so does a control plane that stays away."""
    follow = f"follow it with: shipline logs {identity} --follow"
    try:
        yield
    except KeyboardInterrupt:
        hint = f"{follow}; stop it with: shipline abort {identity} --reason TEXT"
        raise Interrupted(f"interrupted: the {what} goes on", hint=hint) from None
    except TransientError as error:
        message = f"{error.message}; the {what} goes on as soon as it is there again"
        raise TransientError(message, hint=f"start it with: shipline up; then {follow}") from error
