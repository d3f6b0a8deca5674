"""Whoever comes slowly, in numbers, or with heads that two programs read differently."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shipline.control import serving
from shipline.web import bodies, impatience
from tests.servers.gateway import RunningGateway, running_gateway
from tests.servers.prefect import RunningPrefect

pytestmark = [pytest.mark.integration]
HEAD = "POST /api/flow_runs/count HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer grace-token\r\n"


@pytest.fixture
def gateway(
    prefect_server: RunningPrefect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningGateway]:
    monkeypatch.setattr(impatience, "HEAD_SECONDS", 1.0)
    monkeypatch.setattr(bodies, "_SECONDS", 1.0)
    monkeypatch.setattr(serving, "_MOST_CONNECTIONS", 5)
    with running_gateway(prefect_server, tmp_path) as running:
        yield running


def connected(gateway: RunningGateway) -> socket.socket:
    address = urlsplit(gateway.url)
    return socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10)


def said(connection: socket.socket) -> str:
    """All until the other side hangs up."""
    answer = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            answer += piece
    return answer.decode()


def asked(gateway: RunningGateway, *pieces: str) -> str:
    with connected(gateway) as connection:
        for piece in pieces:
            connection.sendall(piece.encode())
        return said(connection)


def test_a_connection_on_which_nobody_asks_anything_is_given_up(gateway: RunningGateway) -> None:
    begun = time.monotonic()
    assert asked(gateway) == ""
    assert 0.9 < time.monotonic() - begun < 5


def test_a_head_that_trickles_in_is_given_up(gateway: RunningGateway) -> None:
    begun = time.monotonic()
    with connected(gateway) as connection, suppress(OSError):
        for letter in HEAD:
            connection.sendall(letter.encode())
            time.sleep(0.1)
    assert time.monotonic() - begun < 5


def test_a_body_that_does_not_come_is_not_waited_for(gateway: RunningGateway) -> None:
    answer = asked(
        gateway, HEAD, "Content-Type: application/json\r\nContent-Length: 9\r\nConnection: close\r\n\r\n", "{"
    )
    assert answer.startswith("HTTP/1.1 408 ")


def test_more_than_so_many_connections_are_told_so(gateway: RunningGateway) -> None:
    held = [connected(gateway) for _ in range(5)]
    try:
        assert asked(gateway, HEAD, "Connection: close\r\n\r\n").startswith("HTTP/1.1 503 ")
    finally:
        for one in held:
            one.close()


@pytest.mark.parametrize(
    "odd",
    [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Transfer-Encoding: identity\r\n",
        "Host: evil.example\r\n",
        "Content-Length: +2\r\n",
        "X: a\nY: b\r\n\0",
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_refused_or_read_in_one(gateway: RunningGateway, odd: str) -> None:
    """Whatever comes behind it is never a second request to Prefect."""
    smuggled = "{}" + "0\r\n\r\nPOST /api/flow_runs/bulk_delete HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    answer = asked(gateway, HEAD, odd, "Content-Type: application/json\r\nConnection: close\r\n\r\n", smuggled)
    assert answer.startswith(("HTTP/1.1 400 ", "HTTP/1.1 501 "))
    assert answer.count("HTTP/1.1") == 1


@pytest.mark.parametrize("path", ["http://127.0.0.1/api/version", "//api/version", "/api/../api/version", "/api/%252e"])
def test_a_path_that_can_be_read_in_two_ways_is_refused(gateway: RunningGateway, path: str) -> None:
    head = HEAD.replace("POST /api/flow_runs/count", f"GET {path}")
    assert asked(gateway, head, "Connection: close\r\n\r\n").startswith("HTTP/1.1 400 ")
