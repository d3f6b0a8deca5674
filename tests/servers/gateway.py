"""A gateway before a real Prefect server, with people whom a test knows, and flow runs there that wait for one."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, cast

import httpx

from flows.approval_form import ApprovalForm
from shipline.control.serving import gateway_server
from shipline.control.settings import ControlSettings, listen_for_people
from shipline.web.opening import GatewayPlace, LazyGateway
from shipline.web.settings import GatewaySettings
from tests.fakes.people import PeopleOfATest
from tests.servers.prefect import RunningPrefect

_NUMBERS = count(1)
_KEY = "approve"


@dataclass(frozen=True, slots=True)
class RunningGateway:
    """Where it listens, whom it knows, and how to ask it."""

    prefect: RunningPrefect
    url: str
    people: PeopleOfATest
    client: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=30))

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        token: str = "grace-token",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """As a program that has somebody's token."""
        given = {"Authorization": f"Bearer {token}", **(headers or {})} if token else headers
        return self.client.request(method, f"{self.url}{path}", json=body, headers=given)

    def browser(self) -> httpx.Client:
        """Keeps cookies and says where its requests come from, as browsers do."""
        return httpx.Client(base_url=self.url, headers={"Origin": self.url}, trust_env=False, timeout=30)

    @contextmanager
    def signed_in(self, token: str = "grace-token") -> Iterator[httpx.Client]:
        """A browser in which somebody has signed in."""
        with self.browser() as browser:
            answer = sign_in(browser, token=token)
            assert answer.status_code == httpx.codes.SEE_OTHER, answer.text
            yield browser


def sign_in(browser: httpx.Client, then: str = "/v2/", **fields: str) -> httpx.Response:
    """Fill in the form and send it."""
    page = browser.get("/shipline/sign-in").text
    form = page.partition('name="form" value="')[2].partition('"')[0]
    return browser.post("/shipline/sign-in", data={"form": form, "next": then, **fields})


@contextmanager
def running_gateway(
    prefect: RunningPrefect, folder: Path, settings: GatewaySettings | None = None
) -> Iterator[RunningGateway]:
    """On a free port, in a thread of its own."""
    people = PeopleOfATest()
    with closing(listen_for_people(ControlSettings(), None)) as listening:
        port = int(listening.getsockname()[1])
        place = GatewayPlace(
            settings or GatewaySettings(),
            "127.0.0.1",
            port,
            folder,
            lambda: prefect.url,
            prefect.auth,
        )
        with _served(LazyGateway(place, people), listening):
            running = RunningGateway(prefect, f"http://127.0.0.1:{port}", people)
            with running.client:
                yield running


@contextmanager
def _served(gateway: LazyGateway, listening: socket.socket) -> Iterator[None]:
    server = gateway_server(gateway)
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve(sockets=[listening])
        await gateway.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield
    finally:
        loops[0].call_soon_threadsafe(server.stop)
        thread.join()


def waiting_flow_run(prefect: RunningPrefect) -> str:
    """A flow run that shows the approval form and waits; nobody works on it."""
    flow = created(prefect, "/flows/", {"name": "promote-release"})
    placed = {"name": f"shop.production-{next(_NUMBERS)}", "flow_id": flow, "entrypoint": "nothing:here"}
    deployment = created(prefect, "/deployments/", placed)
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}}
    flow_run = created(prefect, f"/deployments/{deployment}/create_flow_run", {"parameters": {}, "state": later})
    form = {"schema": ApprovalForm.model_json_schema(), "description": "## Promote shop"}
    for name, value in form.items():
        given = {"key": f"{_KEY}-{name}", "value": json.dumps(value)}
        assert prefect.ask("POST", f"/flow_runs/{flow_run}/input", given).is_success
    suspended = {"state": _suspended(), "force": True}  # it does not run
    assert prefect.ask("POST", f"/flow_runs/{flow_run}/set_state", suspended).json()["status"] == "ACCEPT"
    return flow_run


def created(prefect: RunningPrefect, path: str, body: object) -> str:
    """The id of what Prefect makes."""
    answer = prefect.ask("POST", path, body)
    assert answer.is_success, answer.text
    return str(answer.json()["id"])


def flow_run_of(prefect: RunningPrefect, flow_run: str) -> dict[str, Any]:
    """As Prefect has it."""
    return cast("dict[str, Any]", prefect.ask("GET", f"/flow_runs/{flow_run}").json())


def answer_of(prefect: RunningPrefect, flow_run: str) -> dict[str, str] | None:
    """What a person's answer is to the flow; None while there is none."""
    found = prefect.ask("GET", f"/flow_runs/{flow_run}/input/{_KEY}-response")
    return dict(found.json()) if found.is_success else None


def _suspended() -> dict[str, Any]:
    names = {name: f"{_KEY}-{name}" for name in ("schema", "description", "response")}
    details = {
        "pause_key": _KEY,
        "pause_reschedule": True,
        "pause_timeout": "2099-01-01T00:00:00Z",
        "run_input_keyset": names,
    }
    return {"type": "PAUSED", "name": "Suspended", "state_details": details}
