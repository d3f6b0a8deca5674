"""Bodies of requests: read within a bound and a time, and written anew before they go on."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from shipline.web.refusals import Refusal
from shipline.web.routes import without_secrets

MOST_BYTES = 1024 * 1024
_SECONDS = 30.0
_FORM_BYTES = 16 * 1024


async def read_body(request: Request, most: int = MOST_BYTES) -> bytes:
    """The whole body; Refusal when it is too long or too slow."""
    content = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for piece in request.stream():
                content += piece
                if len(content) > most:
                    raise Refusal(413, f"the body is longer than {most} bytes")
    except (TimeoutError, ClientDisconnect) as error:
        raise Refusal(408, "the request did not come to its end in time") from error
    return bytes(content)


async def read_json(request: Request) -> Any:  # noqa: ANN401  # JSON
    """The body's document; None when there is none; Refusal when it is no JSON."""
    content = await read_body(request)
    try:
        return json.loads(content) if content.strip() else None
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "the body is not JSON") from error


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form of ours; of a field that comes twice the last one."""
    content = await read_body(request, _FORM_BYTES)
    return dict(parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True))


def question(document: Any) -> bytes:  # noqa: ANN401  # JSON
    """What Prefect is asked: written by us, so that it reads what we have read, and shows nothing secret."""
    return b"" if document is None else json.dumps(without_secrets(document)).encode()
