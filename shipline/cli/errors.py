"""Errors at the door: their exit code, their JSON, and what a person reads."""

import sys
from typing import Any

from delivery.errors import ConfigurationError, DeliveryError, NotFoundError, Problem, TransientError, VerificationError

DONE, FAILED, USAGE, ERRORED, REFUSED, TIMED_OUT, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

_BY_STATE = {
    "Failed": FAILED,
    "Errored": ERRORED,
    "Refused": REFUSED,
    "Superseded": REFUSED,
    "Aborted": REFUSED,
    "Cancelled": REFUSED,
}
_SHOWN_PROBLEMS = 10


class ApiError(DeliveryError):
    """The control plane answered with an error."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        error = body.get("error") or {}
        message = str(error.get("message") or f"the control plane answered {status}")
        super().__init__(message, hint=str(error.get("hint") or ""), where=str(error.get("where") or ""))
        self.status = status
        self.code = str(error.get("code") or status)
        self.problems = tuple(
            Problem(**{name: str(one.get(name) or "") for name in ("message", "hint", "where", "excerpt")})
            for one in body.get("problems") or ()
        )
        self.more = int(body.get("more") or 0)


class NotNowError(ApiError, TransientError):
    """The control plane answered that it cannot answer yet: it starts, or its database does not answer."""


class Interrupted(DeliveryError):  # noqa: N818  # a person ended it
    """Ctrl-C ended a command."""


def exit_code_of_state(state: str) -> int:
    """The exit code of a run's or promotion's state; what is under way or waits is no failure."""
    return _BY_STATE.get(state, DONE)


def exit_code(error: DeliveryError) -> int:
    """Which kind of end this error is."""
    if isinstance(error, ApiError):
        return _exit_code_of_status(error.status)
    if isinstance(error, Interrupted):
        return INTERRUPTED
    if isinstance(error, ConfigurationError):
        return USAGE
    return FAILED if isinstance(error, VerificationError) else ERRORED


def _exit_code_of_status(status: int) -> int:
    if status == 409:  # noqa: PLR2004  # HTTP's Conflict: a gate or a person said no
        return REFUSED
    return ERRORED if status >= 500 or status == 408 else USAGE  # noqa: PLR2004  # HTTP's classes


def document_of(error: DeliveryError) -> dict[str, Any]:
    """What `--json` prints instead of the answer."""
    about = {"code": _code(error), "message": error.message, "hint": error.hint, "where": error.where}
    problems = [{"where": one.where, "message": one.message, "hint": one.hint} for one in _problems(error)]
    return {"error": about, "problems": problems, "more": getattr(error, "more", 0)} if problems else {"error": about}


def words_of(error: DeliveryError) -> str:
    """A few lines for people: what was being done, the cause, what to do next; each problem once."""
    problems = _problems(error)
    if problems:
        return "\n".join([f"error: {_doing(error, problems[0])}", *_told(error, problems)])
    lines = [f"error: {f'{error.where}: ' if error.where else ''}{error.message}"]
    return "\n".join([*lines, f"hint: {error.hint}"] if error.hint else lines)


def _doing(error: DeliveryError, first: Problem) -> str:
    """What was being done, without the first problem that the message tells too."""
    doing, found, _ = error.message.partition(first.message)
    return doing.rstrip(": ") if found and doing else error.message


def _told(error: DeliveryError, problems: tuple[Problem, ...]) -> list[str]:
    lines = [problem_words(one) for one in problems[:_SHOWN_PROBLEMS]]
    rest = len(problems) - len(lines) + getattr(error, "more", 0)
    lines += [f"and {rest} more; see: shipline check"] if rest else []
    known = any(one.hint == error.hint for one in problems)
    return lines if known or not error.hint else [*lines, f"hint: {error.hint}"]


def problem_words(problem: Problem) -> str:
    """One problem with its place and its excerpt."""
    head = f"{problem.where}: {problem.message}" if problem.where else problem.message
    tail = [f"hint: {problem.hint}"] if problem.hint else []
    return "\n".join([head, *([problem.excerpt.rstrip("\n")] if problem.excerpt else []), *tail])


def unexpected(error: Exception) -> DeliveryError:
    """A defect, said in one line."""
    return DeliveryError(
        f"unexpected {type(error).__name__}: {error}",
        hint="run the command again with --debug and report what it prints",
    )


def complain(text: str) -> None:
    """Say it on standard error."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201  # this is where the command line prints


def _problems(error: DeliveryError) -> tuple[Problem, ...]:
    return error.problems if isinstance(error, ApiError | ConfigurationError) else ()


def _code(error: DeliveryError) -> str:
    if isinstance(error, ApiError):
        return error.code
    names: dict[type[DeliveryError], str] = {
        NotFoundError: "not_found",
        ConfigurationError: "configuration",
        Interrupted: "interrupted",
    }
    return names.get(type(error), "errored")
