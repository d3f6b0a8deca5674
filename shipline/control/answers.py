"""How errors and refusals leave the HTTP API: one shape, and a status that tells them apart."""

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from delivery.errors import ConfigurationError, DeliveryError, NotFoundError, Problem, TransientError
from delivery.gates.verdict import Verdict

log = logging.getLogger(__name__)


class Refused(Exception):  # noqa: N818  # a refusal is not an error; FastAPI needs it raised
    """A gate or a person said no: answered with 409 and the reasons."""

    status = 409
    code = "refused"

    def __init__(self, verdict: Verdict, hint: str = "") -> None:
        """Keep what was said."""
        super().__init__("; ".join(verdict.reasons))
        self.hint = hint


def require(verdict: Verdict, hint: str = "") -> None:
    """Go on when the verdict passed, otherwise answer with its refusal."""
    if not verdict.passed:
        raise Refused(verdict, hint)


def install(app: FastAPI) -> None:
    """Answer every error of ours in the one shape."""
    app.add_exception_handler(DeliveryError, _delivery_error)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)


def answer(status: int, code: str, message: str, hint: str = "", where: str = "", **more: Any) -> JSONResponse:  # noqa: ANN401  # JSON
    """An error document."""
    error = {"code": code, "message": message, "hint": hint, "where": where}
    return JSONResponse({"error": error, **more}, status_code=status)


async def _delivery_error(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, DeliveryError):
        raise error
    status, code = _kind(error)
    problems = getattr(error, "problems", ())
    found = {"problems": [_problem(one) for one in problems], "more": getattr(error, "more", 0)} if problems else {}
    return answer(status, code, error.message, error.hint, error.where, **found)


def _kind(error: DeliveryError) -> tuple[int, str]:
    match error:
        case NotFoundError():
            return 404, "not_found"
        case ConfigurationError():
            return 422, "configuration"
        case TransientError():
            return 503, "transient"
        case _:
            return 500, "permanent"


def _problem(problem: Problem) -> dict[str, str]:
    return {
        "where": problem.where,
        "message": problem.message,
        "hint": problem.hint,
        "excerpt": problem.excerpt,
    }


async def _refused(_request: Request, refusal: Exception) -> JSONResponse:
    if not isinstance(refusal, Refused):
        raise refusal
    return answer(refusal.status, refusal.code, str(refusal), refusal.hint)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    said = "; ".join(f"{_named(one['loc'])}: {one['msg']}" for one in found)
    return answer(422, "request", f"reading the request: {said}")


def _named(place: Sequence[object]) -> str:
    """A field as the command line's option calls it; deeper ones by their path."""
    kind, *names = (str(part) for part in place)
    if kind in {"query", "body"} and len(names) == 1:
        option = names[0].removesuffix("_at").replace("_", "-")
        return f"{names[0]} (--{option})"
    return ".".join((kind, *names))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("answering %s %s", request.method, request.url.path, exc_info=error)
    message = f"answering {request.method} {request.url.path}: {type(error).__name__}"
    return answer(500, "unexpected", message, "the control plane's log tells more; see: shipline doctor")
