import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import httpx
import pytest

from shipline.control.door import Message, Receive, Send
from shipline.control.entrance import Entrance
from shipline.control.guard import MOST_BYTES, Guard

TOKEN = {"Authorization": "Bearer right"}
IMPORT = "/api/v1/projects/shop/ledger/import"


@dataclass
class Behind:
    """An application that answers with the length of the body."""

    asked: int = 0

    async def __call__(self, _scope: Message, receive: Receive, send: Send) -> None:
        self.asked += 1
        size, more = 0, True
        while more:
            piece = await receive()
            size, more = size + len(piece.get("body", b"")), bool(piece.get("more_body"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(size).encode()})


@dataclass
class Body:
    """Sent without saying how long it is."""

    pieces: int
    sent: int = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        for _ in range(self.pieces):
            self.sent += 1
            yield b"x" * 65_536


def ask(
    method: str = "GET",
    path: str = "/api/v1/projects",
    headers: Mapping[str, str] = TOKEN,
    body: Body | bytes = b"",
    host: str = "127.0.0.1",
) -> httpx.Response:
    """One request to a guarded application that listens there."""
    guard = Guard(Behind(), Entrance("right"), host)

    async def asking() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://127.0.0.1:8000") as client:
            content = body.chunks() if isinstance(body, Body) else body
            return await client.request(method, path, headers=headers, content=content)

    return asyncio.run(asking())


def said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["message"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer rigt\u00e9"}])
def test_without_the_token_no_byte_of_the_body_is_read(headers: dict[str, str]) -> None:
    body = Body(pieces=100)
    encoded = {name: value.encode() for name, value in headers.items()}
    answer = ask("POST", headers=encoded, body=body)  # type: ignore[arg-type]  # what is no ASCII goes as bytes
    assert said(answer) == (401, "the API token is missing or wrong")
    assert body.sent == 0


def test_health_and_the_description_of_the_api_are_for_everybody() -> None:
    answers = [ask(path=f"/api/v1/{path}", headers={}).status_code for path in ("health", "openapi.json", "projects")]
    assert answers == [200, 200, 401]


def test_a_body_is_read_up_to_its_bound_and_handed_on_whole() -> None:
    assert ask("POST", body=b"x" * MOST_BYTES).text == str(MOST_BYTES)
    assert ask("POST", body=Body(pieces=16)).text == str(MOST_BYTES)
    assert ask("POST").text == "0"


def test_a_body_beyond_the_bound_is_refused_before_the_rest_is_read() -> None:
    body, message = Body(pieces=1000), f"reading the request: its body is longer than {MOST_BYTES} bytes"
    assert said(ask("POST", body=body)) == (413, message)
    assert body.sent == 17
    assert said(ask("POST", body=b"x" * (MOST_BYTES + 1))) == (413, message)
    health = Body(pieces=1000)
    assert said(ask("POST", "/api/v1/health", {}, health)) == (413, message)
    assert health.sent == 17


def test_what_brings_a_ledger_in_reads_more() -> None:
    assert ask("POST", IMPORT, body=Body(pieces=100)).text == str(100 * 65_536)
    assert ask("POST", IMPORT, {}, Body(pieces=100)).status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.parametrize("name", ["localhost:8000", "LOCALHOST", "127.0.0.1:9", "[::1]:8000", "ci.example.org.", ""])
def test_names_of_the_control_plane_are_answered_to(name: str) -> None:
    assert ask(headers={**TOKEN, "Host": name}, host="ci.example.org").status_code == httpx.codes.OK


@pytest.mark.parametrize("name", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost@evil"])
def test_a_name_that_somebody_else_points_here_is_refused_also_for_health(name: str) -> None:
    answer = ask(path="/api/v1/health", headers={"Host": name})
    told = name.partition(":")[0]
    assert said(answer) == (421, f"answering a request to '{told}': that is no name of this control plane")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # nothing listens
def test_where_it_listens_everywhere_it_has_every_name(host: str) -> None:
    assert ask(headers={**TOKEN, "Host": "ci.example.org"}, host=host).status_code == httpx.codes.OK
