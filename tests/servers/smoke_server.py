"""A server for smoke suites: a table's answers, and some that only HTTP can give."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Table = dict[tuple[str, str], tuple[int, Any]]


@dataclass(slots=True)
class SmokeServer:
    table: Table
    address: str = ""
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    """How many times a path still answers 503."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "HttpServer"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        state = self.server.state
        state.asked.append((self.command, self.path, dict(self.headers), body))
        if state.failures.get(self.path, 0) > 0:
            state.failures[self.path] -= 1
            self.send(503, b"not yet")
            return
        special = SPECIAL.get(self.path)
        if special:
            special(self)
            return
        status, document = state.table.get((self.command, self.path), (404, None))
        self.send(status, b"" if document is None else json.dumps(document).encode())

    do_GET = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815  # the names that the base class looks for

    def send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def slow(self) -> None:
        time.sleep(0.4)
        self.send(200, b"{}")

    def drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b" ")
            time.sleep(0.05)

    def echo(self) -> None:
        self.send(200, json.dumps({"said": self.headers.get("Authorization")}).encode())

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # whoever asked has gone
            self.close_connection = True


SPECIAL: dict[str, Callable[[Handler], None]] = {
    "/slow": Handler.slow,
    "/drip": Handler.drip,
    "/echo": Handler.echo,
    "/large": lambda handler: handler.send(200, b"x" * 2_000_000),
    "/redirect": lambda handler: handler.send(302, b""),
    "/html": lambda handler: handler.send(200, b"<p>not JSON"),
}


class HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    state: SmokeServer


@contextmanager
def smoke_server(table: Table) -> Iterator[SmokeServer]:
    """A running server."""
    with HttpServer(("127.0.0.1", 0), Handler) as http:
        http.state = SmokeServer(table, f"http://127.0.0.1:{http.server_port}")
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield http.state
        http.shutdown()
