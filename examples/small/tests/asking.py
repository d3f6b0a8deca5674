"""Asking a service that runs in this process."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from shared.serving import Route, make_server

Ask = tuple[int, object]


class Client:
    """A client of one running service."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> Ask:
        """The status and the JSON document of an answer."""
        try:
            with urllib.request.urlopen(self._address + path, timeout=5) as answer:  # noqa: S310  # our own address
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


@contextmanager
def running(routes: Mapping[str, Route]) -> Iterator[Client]:
    """A service on a free port, stopped at the end."""
    with make_server(routes, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Client(server.server_port)
        finally:
            server.shutdown()
            thread.join()
