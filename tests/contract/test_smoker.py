"""What every smoker does: the one with a table, and the one over HTTP."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from delivery.adapters.http_smoke import HttpSmoker
from delivery.config import Smoke
from delivery.errors import NotFoundError
from delivery.ports import Smoker
from delivery.verification import SmokeReport
from tests.fakes.smoker import TableSmoker
from tests.servers.smoke_server import SmokeServer, Table, smoke_server

TOKEN = "hunter2-but-longer"
RECORD = {"data": {"id": "r1", "tags": ["a", {"b": None}], "count": 3, "ready": True}}
TABLE: Table = {
    ("GET", "/"): (200, {"hello": "world"}),
    ("POST", "/records"): (201, RECORD),
    ("GET", "/records/r1"): (200, RECORD),
    ("DELETE", "/records/r1"): (204, None),
}


@pytest.fixture(scope="module")
def server() -> Iterator[SmokeServer]:
    with smoke_server(TABLE) as made:
        yield made


@pytest.fixture(params=["table", "http"])
def smoker(request: pytest.FixtureRequest) -> Smoker:
    return TableSmoker(TABLE) if request.param == "table" else HttpSmoker()


def secret(reference: str) -> str:
    if reference != "secret:TOKEN":
        raise NotFoundError(f"resolving {reference}: it is not set")
    return TOKEN


def run(smoker: Smoker, server: SmokeServer, *requests: dict[str, Any]) -> SmokeReport:
    return smoker.run(Smoke.model_validate({"requests": list(requests)}), {"web": server.address}, secret)


def test_a_suite_creates_reads_and_deletes(smoker: Smoker, server: SmokeServer) -> None:
    report = run(
        smoker,
        server,
        {"path": "/", "matches": {"/hello": "world"}},
        {"method": "POST", "path": "/records", "body": {"a": 1}, "status": 201, "keep": {"ID": "/data/id"}},
        {"name": "read", "path": "/records/{ID}", "matches": {"/data/tags/1/b": None, "/data/count": 3}, "repeat": 3},
        {"method": "DELETE", "path": "/records/{ID}", "status": [200, 204]},
    )
    assert report.reasons == ()
    assert report.passed
    assert [(one.name, one.status, one.attempts) for one in report.results] == [
        ("GET /", 200, 1),
        ("POST /records", 201, 1),
        ("read", 200, 3),
        ("DELETE /records/{ID}", 204, 1),
    ]
    assert all(one.seconds > 0 for one in report.results)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"path": "/nothing"}, "GET /nothing: expected status 200, got 404"),
        ({"path": "/", "status": [201, 202]}, "GET /: expected status 201 or 202, got 200"),
        ({"path": "/", "matches": {"/hello": "moon"}}, 'GET /: expected "moon" at /hello, got "world"'),
        ({"path": "/", "matches": {"/bye": 1}}, "GET /: expected something at /bye, there is nothing"),
        ({"path": "/", "keep": {"X": "/bye"}}, "GET /: expected something at /bye, there is nothing"),
        ({"path": "/records/r1", "matches": {"/data/ready": 1}}, "expected 1 at /data/ready, got true"),
        ({"path": "/{X}"}, "GET /{X}: {X} was not kept by an earlier request"),
        ({"path": "/", "headers": {"A": "secret:OTHER"}}, "GET /: resolving secret:OTHER: it is not set"),
    ],
)
def test_what_does_not_do_is_said_in_a_sentence(
    smoker: Smoker, server: SmokeServer, request_: dict[str, Any], reason: str
) -> None:
    report = run(smoker, server, request_)
    assert not report.passed
    assert [one.endswith(reason) for one in report.reasons] == [True], report.reasons


def test_every_request_is_asked_also_after_one_that_failed(smoker: Smoker, server: SmokeServer) -> None:
    report = run(smoker, server, {"path": "/nothing"}, {"path": "/"})
    assert [one.passed for one in report.results] == [False, True]


def test_a_service_that_is_not_there_fails_its_request(smoker: Smoker, server: SmokeServer) -> None:
    suite = Smoke.model_validate({"requests": [{"service": "api", "path": "/"}, {"path": "/"}]})
    addresses = {"web": server.address, "worker": server.address}
    assert [(one.passed, one.attempts) for one in smoker.run(suite, addresses, secret).results] == [(False, 0)] * 2


def test_headers_bodies_and_secrets_are_sent(server: SmokeServer) -> None:
    post = {"method": "POST", "path": "/records", "status": 201, "keep": {"ID": "/data/id"}}
    sent = {"Authorization": "secret:TOKEN", "X-Id": "{ID}"}
    again = {"method": "POST", "path": "/records", "status": 201, "headers": sent, "body": {"of": ["{ID}", 1, None]}}
    assert run(HttpSmoker(), server, post, again).passed
    method, path, headers, body = server.asked[-1]
    assert (method, path, headers["Authorization"], headers["X-Id"]) == ("POST", "/records", TOKEN, "r1")
    assert json.loads(body) == {"of": ["r1", 1, None]}


def test_a_secret_that_comes_back_is_not_told(server: SmokeServer) -> None:
    echo = {"path": "/echo", "headers": {"Authorization": "secret:TOKEN"}, "matches": {"/said": "other"}}
    report = run(HttpSmoker(), server, echo)
    assert report.reasons == ('GET /echo: expected "other" at /said, got "***"',)


@pytest.mark.parametrize("shown", [1, 9, 17])
def test_a_secret_that_the_end_of_what_is_told_goes_through_is_not_told_in_part(shown: int) -> None:
    before = "x" * (199 - shown)
    request = {"path": "/", "headers": {"Authorization": "secret:TOKEN"}, "matches": {"/said": "other"}}
    with smoke_server({("GET", "/"): (200, {"said": f"{before}{TOKEN} and so on"})}) as server:
        report = run(HttpSmoker(), server, request)
    hidden = f'"{before}*** and so on"'
    told = hidden if len(hidden) <= 200 else f"{hidden[:200]}..."
    assert report.reasons == (f'GET /: expected "other" at /said, got {told}',)


def test_what_is_kept_of_an_answer_is_kept_whole() -> None:
    """A secret that the end of it went through could not be hidden any more when it comes back."""
    numbers = list(range(100))
    with smoke_server({("GET", "/"): (200, {"numbers": numbers}), ("POST", "/"): (200, None)}) as server:
        run(
            HttpSmoker(),
            server,
            {"path": "/", "keep": {"NUMBERS": "/numbers"}},
            {"method": "POST", "path": "/", "body": "{NUMBERS}"},
        )
    assert json.loads(json.loads(server.asked[-1][3])) == numbers


def test_a_wrong_answer_is_asked_again_as_often_as_allowed(server: SmokeServer) -> None:
    server.failures["/"] = 2
    report = run(HttpSmoker(), server, {"path": "/", "retries": 2})
    assert [(one.passed, one.attempts) for one in report.results] == [(True, 3)]
    server.failures["/"] = 2
    report = run(HttpSmoker(), server, {"path": "/", "retries": 1})
    assert [(one.passed, one.attempts, one.status) for one in report.results] == [(False, 2, 503)]
    server.failures.clear()


def test_every_repetition_must_do(server: SmokeServer) -> None:
    server.failures["/"] = 1
    report = run(HttpSmoker(), server, {"path": "/", "repeat": 3})
    assert not report.passed
    server.failures.clear()


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"path": "/slow", "timeout_seconds": 0.1}, "GET /slow: no answer within 0.1 s"),
        ({"path": "/drip", "timeout_seconds": 0.2}, "GET /drip: no answer within 0.2 s"),
        ({"path": "/large"}, "GET /large: expected at most 1048576 bytes, got more"),
        ({"path": "/html", "matches": {"/a": 1}}, "GET /html: expected JSON, got something else"),
        ({"path": "/redirect"}, "GET /redirect: expected status 200, got 302"),
        ({"path": "/", "headers": {"X": "line\nbreak"}}, "GET /: no answer: illegal header value b'line\\nbreak'"),
    ],
)
def test_answers_that_cannot_be_used_fail_and_nothing_hangs(
    server: SmokeServer, request_: dict[str, Any], reason: str
) -> None:
    began = time.monotonic()
    assert run(HttpSmoker(), server, request_).reasons == (reason,)
    assert time.monotonic() - began < 2


def test_an_answer_that_takes_too_long_fails_with_both_times(server: SmokeServer) -> None:
    report = run(HttpSmoker(), server, {"path": "/slow", "maximum_seconds": 0.2})
    assert report.reasons[0].startswith("GET /slow: expected an answer within 0.2 s, it took 0.4")


def test_nobody_there_is_a_failure_and_no_error() -> None:
    suite = Smoke.model_validate({"requests": [{"path": "/"}]})
    report = HttpSmoker().run(suite, {"web": "http://127.0.0.1:1"}, secret)
    assert report.reasons == ("GET /: no answer: [errno 111] connection refused",)
