"""A small HTTP server: routes are functions from a query to a JSON document."""

import json
import os
import signal
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

Route = Callable[[Mapping[str, str]], object]


def version_of(service: str) -> dict[str, str]:
    """What runs here; a service learns its version from its configuration, not from its files."""
    return {"service": service, "version": os.environ.get("APP_VERSION", "unknown")}


def make_server(routes: Mapping[str, Route], port: int) -> ThreadingHTTPServer:
    """A server for these paths on 127.0.0.1; port 0 takes a free one."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            route = routes.get(address.path)
            if route is None:
                self._answer(HTTPStatus.NOT_FOUND, {"error": f"no {address.path} here"})
            else:
                self._answer(HTTPStatus.OK, route(dict(parse_qsl(address.query))))

        def _answer(self, status: HTTPStatus, document: object) -> None:
            content = json.dumps(document).encode() + b"\n"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    class Server(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = False  # open requests are finished before the process ends

    return Server(("127.0.0.1", port), Handler)


def serve(routes: Mapping[str, Route]) -> None:
    """Serve on PORT until SIGTERM, then finish what is open."""
    server = make_server(routes, int(os.environ["PORT"]))
    # shutdown() waits for serve_forever(), so it cannot be called on the thread that the signal interrupts.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    with server:
        server.serve_forever(poll_interval=0.05)
