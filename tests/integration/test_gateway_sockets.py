"""Websockets through the gateway, and people whom a trusted proxy names."""

import json
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.connection import Connection
from websockets.typing import Subprotocol

from shipline.web.settings import GatewaySettings
from tests.servers.gateway import RunningGateway, answer_of, flow_run_of, running_gateway, waiting_flow_run
from tests.servers.prefect import RunningPrefect

pytestmark = [pytest.mark.integration]
EVERYTHING = {
    "type": "filter",
    "filter": {"occurred": {"since": "2020-01-01T00:00:00Z", "until": "2099-01-01T00:00:00Z"}},
}
PROXIED = GatewaySettings(
    url="https://delivery.example.org", identity_header="x-forwarded-user", proxies=(ip_network("127.0.0.1"),)
)


@pytest.fixture(scope="module")
def gateway(prefect_server: RunningPrefect, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(prefect_server, tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="module")
def proxied(prefect_server: RunningPrefect, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway behind a proxy that says who is asking: we are the proxy."""
    with running_gateway(prefect_server, tmp_path_factory.mktemp("gateway"), PROXIED) as running:
        yield running


def listen(gateway: RunningGateway, path: str = "/api/events/out", **headers: str) -> ClientConnection:
    given: Any = {name.replace("_", "-"): value for name, value in headers.items()}
    url = gateway.url.replace("http", "ws", 1) + path
    return connect(url, subprotocols=[Subprotocol("prefect")], additional_headers=given, proxy=None)


def heard(gateway: RunningGateway, socket: Connection) -> dict[str, Any]:
    """The next message; something happens until Prefect has begun to listen."""
    for _ in range(20):
        waiting_flow_run(gateway.prefect)
        with suppress(TimeoutError):
            return dict(json.loads(socket.recv(timeout=3)))
    raise AssertionError("nothing was heard")


def session(browser: httpx.Client) -> str:
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def test_a_reader_hears_events_without_knowing_prefects_password(gateway: RunningGateway) -> None:
    with gateway.signed_in("ron-token") as browser:
        cookie = session(browser)
    with listen(gateway, Cookie=cookie, Origin=gateway.url) as socket:
        socket.send(json.dumps({"type": "auth", "token": ""}))
        assert json.loads(socket.recv(timeout=20))["type"] == "auth_success"
        socket.send(json.dumps(EVERYTHING))
        assert heard(gateway, socket)["type"] == "event"


@pytest.mark.parametrize(
    "path", ["/api/events/in", "/api/task_runs/subscriptions/scheduled", "/api/work_pools/a/workers/connect", "/v2/"]
)
def test_no_other_websocket_is_let_through(gateway: RunningGateway, path: str) -> None:
    with pytest.raises(InvalidStatus, match="403"), listen(gateway, path, Authorization="Bearer grace-token"):
        pass


def test_a_stranger_another_site_and_whoever_may_not_read_hear_nothing(gateway: RunningGateway) -> None:
    with gateway.signed_in("ron-token") as browser:
        cookie = session(browser)
    for headers in (
        {},
        {"Cookie": cookie},
        {"Cookie": cookie, "Origin": "https://evil.example"},
        {"Authorization": "Bearer eve-token"},
    ):
        with pytest.raises(InvalidStatus, match="403"), listen(gateway, **headers):
            pass


def test_a_trusted_proxy_says_who_answers(proxied: RunningGateway) -> None:
    flow_run = waiting_flow_run(proxied.prefect)
    given = {"run_input": {"decision": "approve"}}
    named = {"X-Forwarded-User": "grace", "Host": "delivery.example.org"}
    forged = proxied.ask("POST", f"/api/flow_runs/{flow_run}/resume", given, token="", headers=named)
    assert (forged.status_code, forged.json()) == (403, {"detail": "another site's page has asked for that"})
    ours = {**named, "Origin": "https://delivery.example.org"}
    answer = proxied.ask("POST", f"/api/flow_runs/{flow_run}/resume", given, token="", headers=ours)
    assert answer.json()["status"] == "ACCEPT"
    answered = answer_of(proxied.prefect, flow_run)
    assert answered
    assert answered["approver"] == "grace"
    assert flow_run_of(proxied.prefect, flow_run)["state_name"] == "Resuming"


def test_whoever_the_proxy_does_not_name_plainly_is_nobody(proxied: RunningGateway) -> None:
    for names in ([], ["mallory"], [""], ["grace", "ron"], ["grace, ron"]):
        headers = [("X-Forwarded-User", name) for name in names]
        answer = proxied.client.get(f"{proxied.url}/api/version", headers=headers)
        assert answer.status_code == httpx.codes.UNAUTHORIZED, names


def test_the_header_counts_from_trusted_proxies_only(gateway: RunningGateway, tmp_path: Path) -> None:
    headers = {"X-Forwarded-User": "grace"}
    assert gateway.ask("GET", "/api/version", token="", headers=headers).status_code == httpx.codes.UNAUTHORIZED
    elsewhere = GatewaySettings(identity_header="x-forwarded-user", proxies=(ip_network("10.0.0.0/8"),))
    with running_gateway(gateway.prefect, tmp_path, elsewhere) as other:
        assert other.ask("GET", "/api/version", token="", headers=headers).status_code == httpx.codes.UNAUTHORIZED


def test_failures_are_counted_for_whoever_sits_behind_the_proxy(proxied: RunningGateway) -> None:
    """And what they claim of who sits before them changes nothing: the last address is the proxy's own word."""
    for number in range(21):
        headers = {"X-Forwarded-For": f"1.2.3.{number}, 9.9.9.9"}
        answer = proxied.ask("GET", "/api/version", token="wrong", headers=headers)
    assert answer.status_code == httpx.codes.TOO_MANY_REQUESTS
    other = proxied.ask("GET", "/api/version", headers={"X-Forwarded-For": "8.8.8.8"})
    assert other.status_code == httpx.codes.OK


def test_with_a_certificate_before_it_cookies_never_travel_otherwise(proxied: RunningGateway) -> None:
    page = proxied.ask("GET", "/shipline/sign-in", token="", headers={"Host": "delivery.example.org"})
    (cookie,) = page.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-shipline-form=")
    assert all(word in cookie for word in ("Secure", "HttpOnly", "SameSite=strict", "Path=/"))
