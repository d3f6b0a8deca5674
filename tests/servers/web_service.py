"""A small service to deploy: stands alone in its artifact, starts in some 50 ms, misbehaves when asked to.

`BEHAVIOUR`: `crash` (ends at once), `crash-soon`, `unhealthy` (its health check says 503) or `unfit` (/held fails).
Asked for /crash, it ends. With `GATES`, a path, it adds its version to GATES.starts when it starts, is well only
once GATES.well.open is there, and answers /held (asked for in GATES.held) only once GATES.held.open is. With `STARTS`,
a path, it adds a line to that file when it starts: which process of which environment it is, and its version.
"""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BEHAVIOUR = os.environ.get("BEHAVIOUR", "")
GATES = os.environ.get("GATES", "")
STARTS = os.environ.get("STARTS", "")
VERSION = (Path(__file__).parent / "version").read_text()


def mark(gate: str) -> None:
    with Path(f"{GATES}.{gate}").open("a") as marks:
        marks.write(f"{VERSION}\n")


def is_open(gate: str) -> bool:
    return not GATES or Path(f"{GATES}.{gate}.open").exists()


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    well = False

    def do_GET(self) -> None:
        if self.path == "/health":
            Service.well = BEHAVIOUR != "unhealthy" and (Service.well or is_open("well"))
            self.answer(200 if Service.well else 503, "well")
        elif self.path == "/held":
            self.held()
        elif self.path == "/crash":
            os._exit(7)
        elif self.path == "/environment":
            self.answer(200, dict(os.environ))
        else:
            time.sleep(1.0 if self.path == "/slow" else 0)
            self.answer(200, {"version": VERSION, "pid": os.getpid()})

    def held(self) -> None:
        if BEHAVIOUR != "unfit" and GATES:
            mark("held")
        while BEHAVIOUR != "unfit" and not is_open("held"):
            time.sleep(0.1)
        self.answer(500 if BEHAVIOUR == "unfit" else 200, "held")

    def answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


if GATES:
    mark("starts")
if STARTS:
    with Path(STARTS).open("a") as starts:
        starts.write(json.dumps({"process": os.environ["SHIPLINE_PROCESS"], "version": VERSION.strip()}) + "\n")
if BEHAVIOUR == "crash":
    sys.exit(f"cannot start with {os.environ.get('PASSWORD', 'nothing')}")
if BEHAVIOUR == "crash-soon":
    threading.Timer(1.0, os._exit, [7]).start()
Server(("127.0.0.1", int(os.environ["PORT"])), Service).serve_forever()
