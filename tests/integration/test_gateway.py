"""The gateway before a real Prefect server: what gets through, what does not, and every door past a gate."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shipline.web.routes import TABLE
from tests.servers.gateway import (
    RunningGateway,
    answer_of,
    created,
    flow_run_of,
    running_gateway,
    sign_in,
    waiting_flow_run,
)
from tests.servers.prefect import RunningPrefect

pytestmark = [pytest.mark.integration]
UNKNOWN = "7d0a9f3e-2f7c-4a51-9f0e-0d1c2b3a4f5e"
RESUMING = {"state": {"type": "SCHEDULED", "name": "Resuming"}}
ANSWER = {"key": "approve-response", "value": json.dumps({"decision": "approve", "approver": "x", "comment": ""})}
WAKES = {
    "name": "opens the gate",
    "trigger": {"type": "event", "posture": "Reactive", "expect": ["open"], "threshold": 1, "within": 0},
    "actions": [{"type": "resume-flow-run"}],
}
DOORS: dict[str, tuple[str, str, Any]] = {
    "set_state": ("POST", "/flow_runs/{run}/set_state", RESUMING),
    "set_state by force": ("POST", "/flow_runs/{run}/set_state", {**RESUMING, "force": True}),
    "set_state running": ("POST", "/flow_runs/{run}/set_state", {"state": {"type": "RUNNING"}}),
    "set_state completed": ("POST", "/flow_runs/{run}/set_state", {"state": {"type": "COMPLETED"}}),
    "an answer written": ("POST", "/flow_runs/{run}/input", ANSWER),
    "the schema removed": ("DELETE", "/flow_runs/{run}/input/approve-schema", None),
    "bulk_set_state": ("POST", "/flow_runs/bulk_set_state", {"flow_runs": {"id": {"any_": ["{run}"]}}, **RESUMING}),
    "bulk_delete": ("POST", "/flow_runs/bulk_delete", {"flow_runs": {"id": {"any_": ["{run}"]}}}),
    "an automation": ("POST", "/automations/", WAKES),
    "an automation replaced": ("PUT", f"/automations/{UNKNOWN}", WAKES),
    "an automation switched on": ("PATCH", f"/automations/{UNKNOWN}", {"enabled": True}),
    "an event": ("POST", "/events", [{"event": "open", "resource": {"prefect.resource.id": "x"}, "id": UNKNOWN}]),
    "other parameters": ("PATCH", "/flow_runs/{run}", {"parameters": {"promotion": "another"}}),
    "other labels": ("PATCH", "/flow_runs/{run}/labels", {"a": "b"}),
    "the flow run removed": ("DELETE", "/flow_runs/{run}", None),
    "a flow run": ("POST", "/flow_runs/", {"flow_id": UNKNOWN, "parameters": {}}),
    "a flow run of a deployment": (
        "POST",
        "/deployments/{deployment}/create_flow_run",
        {"parameters": {"promotion": "x"}, "enforce_parameter_schema": False},
    ),
    "many of a deployment": ("POST", "/deployments/{deployment}/create_flow_run/bulk", {"flow_runs": []}),
    "a deployment": ("POST", "/deployments/", {"name": "x", "flow_id": UNKNOWN, "entrypoint": "evil:flow"}),
    "a deployment changed": ("PATCH", "/deployments/{deployment}", {"entrypoint": "evil:flow"}),
    "a deployment removed": ("DELETE", "/deployments/{deployment}", None),
    "a deployment scheduled": ("POST", "/deployments/{deployment}/schedule", {}),
    "a deployment paused": ("POST", "/deployments/{deployment}/pause_deployment", None),
    "a task run": ("POST", "/task_runs/", {"flow_run_id": "{run}", "task_key": "a", "dynamic_key": "0"}),
    "a task run's state": ("POST", f"/task_runs/{UNKNOWN}/set_state", {"state": {"type": "COMPLETED"}}),
    "forged lines": ("POST", "/logs/", [{"name": "a", "level": 20, "message": "approved", "flow_run_id": "{run}"}]),
    "a variable": ("POST", "/variables/", {"name": "a", "value": "b"}),
    "a block": ("POST", "/block_documents/", {"name": "a", "data": {}}),
    "a work pool": ("PATCH", "/work_pools/nobody", {"is_paused": True}),
    "a worker": ("POST", "/work_pools/nobody/workers/heartbeat", {"name": "mine"}),
    "work of others": ("POST", "/work_pools/nobody/get_scheduled_flow_runs", {}),
    "a slot": ("POST", "/v2/concurrency_limits/increment", {"slots": 1, "names": ["a"]}),
    "where results are": ("PUT", "/admin/storage", {"block_document_id": UNKNOWN}),
    "results elsewhere": ("DELETE", "/admin/storage", None),
}


@pytest.fixture(scope="module")
def gateway(prefect_server: RunningPrefect, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(prefect_server, tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="module")
def waiting(prefect_server: RunningPrefect) -> str:
    """A flow run that nobody may get past its gate."""
    return waiting_flow_run(prefect_server)


def filled(door: tuple[str, str, Any], run: str, deployment: str) -> tuple[str, str, Any]:
    """The same with the names of what is there."""
    text = json.dumps(door).replace("{run}", run).replace("{deployment}", deployment)
    method, path, body = json.loads(text)
    return method, path, body


@pytest.mark.parametrize("door", DOORS)
def test_no_other_door_leads_past_a_gate(gateway: RunningGateway, waiting: str, door: str) -> None:
    before = flow_run_of(gateway.prefect, waiting)
    method, path, body = filled(DOORS[door], waiting, before["deployment_id"])
    answer = gateway.ask(method, f"/api{path}", body)
    said = f"{method} /api{path} is not let through"
    assert (answer.status_code, answer.json()) == (403, {"detail": said})
    assert flow_run_of(gateway.prefect, waiting) == before
    assert answer_of(gateway.prefect, waiting) is None


def test_every_route_that_is_for_nobody_is_refused_to_whoever_may_do_everything_else(gateway: RunningGateway) -> None:
    for route, needed in json.loads(TABLE.read_text())["routes"].items():
        method, _, path = route.partition(" ")
        if needed is None and method != "WEBSOCKET" and path != "/admin/settings":
            answer = gateway.ask(method, "/api" + path.replace("{", "").replace("}", ""))
            assert answer.status_code == httpx.codes.FORBIDDEN, route


def test_an_answer_goes_on_in_the_name_of_whoever_gave_it(gateway: RunningGateway) -> None:
    flow_run = waiting_flow_run(gateway.prefect)
    given = {"run_input": {"decision": "approve", "approver": "the boss", "comment": "seen"}}
    answer = gateway.ask("POST", f"/api/flow_runs/{flow_run}/resume", given)
    assert (answer.status_code, answer.json()["status"]) == (201, "ACCEPT")
    assert answer_of(gateway.prefect, flow_run) == {"decision": "approve", "approver": "grace", "comment": "seen"}
    assert flow_run_of(gateway.prefect, flow_run)["state_name"] == "Resuming"


@pytest.mark.parametrize("token", ["ron-token", "eve-token"])
def test_whoever_may_not_approve_is_told_so_and_the_gate_goes_on_waiting(
    gateway: RunningGateway, waiting: str, token: str
) -> None:
    given = {"run_input": {"decision": "approve", "approver": "grace", "comment": ""}}
    answer = gateway.ask("POST", f"/api/flow_runs/{waiting}/resume", given, token)
    name = gateway.people.tokens[token].name
    reason = {"type": "reject_details", "reason": f"{name} may not approve or reject"}
    assert (answer.status_code, answer.json()) == (200, {"state": None, "status": "REJECT", "details": reason})
    assert flow_run_of(gateway.prefect, waiting)["state_name"] == "Suspended"


def test_what_prefect_would_fill_in_after_we_have_looked_is_no_answer(gateway: RunningGateway, waiting: str) -> None:
    given = {"run_input": {"decision": {"__prefect_kind": "json", "value": '"approve"'}, "approver": "", "comment": ""}}
    answer = gateway.ask("POST", f"/api/flow_runs/{waiting}/resume", given)
    assert answer.json()["details"]["reason"] == "decision must be a text of at most 20 characters"
    other = gateway.ask("POST", f"/api/flow_runs/{waiting}/resume", {**given, "force": True})
    assert (other.status_code, other.json()) == (400, {"detail": "the body is not {run_input}"})
    assert flow_run_of(gateway.prefect, waiting)["state_name"] == "Suspended"


def test_a_code_is_looked_at_here_first_and_no_reader_sees_it(gateway: RunningGateway) -> None:
    flow_run = waiting_flow_run(gateway.prefect)
    gateway.people.codes["grace"] = "123456"
    wrong = gateway.ask(
        "POST", f"/api/flow_runs/{flow_run}/resume", {"run_input": {"decision": "approve", "code": "1"}}
    )
    assert wrong.json()["details"]["reason"] == "wrong one-time code"
    given = {"run_input": {"decision": "approve", "code": "123456"}}
    assert gateway.ask("POST", f"/api/flow_runs/{flow_run}/resume", given).json()["status"] == "ACCEPT"
    kept = {"decision": "approve", "approver": "grace", "comment": "", "code": "123456"}
    assert answer_of(gateway.prefect, flow_run) == kept
    inputs = f"/api/flow_runs/{flow_run}/input"
    assert gateway.ask("GET", f"{inputs}/approve-schema").status_code == httpx.codes.OK
    for method, path in (("GET", f"{inputs}/approve-response"), ("POST", f"{inputs}/filter")):
        assert gateway.ask(method, path, {}).status_code == httpx.codes.FORBIDDEN


def test_reading_needs_the_permission_to_read(gateway: RunningGateway) -> None:
    assert gateway.ask("POST", "/api/flow_runs/count", {}, "ron-token").json() >= 0
    refused = gateway.ask("POST", "/api/flow_runs/count", {}, "eve-token")
    said = "eve has no permission 'read', which POST /api/flow_runs/count needs"
    assert (refused.status_code, refused.json()) == (403, {"detail": said})


def test_nobody_gets_anything_without_saying_who_they_are(gateway: RunningGateway) -> None:
    for path in ("/", "/v2/", "/ui-settings", "/api/health", "/api/version", "/api/admin/settings"):
        answer = gateway.ask("GET", path, token="")
        assert (answer.status_code, answer.json()) == (401, {"detail": "sign in first"})
    wrong = gateway.ask("GET", "/api/version", token="ron-toke")
    assert (wrong.status_code, wrong.json()) == (401, {"detail": "that token is not known here"})
    user, _, password = gateway.prefect.auth.partition(":")
    basic = gateway.client.get(f"{gateway.url}/api/version", auth=(user, password))
    assert basic.status_code == httpx.codes.UNAUTHORIZED


def test_pages_ask_for_no_password_of_prefects_and_learn_nothing_of_its_settings(gateway: RunningGateway) -> None:
    assert gateway.ask("GET", "/ui-settings").json()["auth"] is None
    assert gateway.ask("GET", "/api/admin/settings").json() == {
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": False,
        "server": {"analytics_enabled": False, "ui": {"show_promotional_content": False}},
    }
    refused = [gateway.ask("GET", path).status_code for path in ("/docs", "/openapi.json", "/redoc", "/api/docs")]
    assert refused == [403, 403, 403, 403]


def test_what_blocks_keep_secret_is_not_shown(gateway: RunningGateway) -> None:
    prefect = gateway.prefect
    kind = created(prefect, "/block_types/", {"name": "Shop", "slug": "shop"})
    fields = {"title": "Shop", "type": "object", "properties": {"word": {"type": "string"}}, "secret_fields": ["word"]}
    schema = created(prefect, "/block_schemas/", {"block_type_id": kind, "fields": fields})
    kept = {"name": "a", "block_type_id": kind, "block_schema_id": schema, "data": {"word": "sesame"}}
    document = created(prefect, "/block_documents/", kept)
    wanted = {"include_secrets": True}
    assert "sesame" in prefect.ask("POST", "/block_documents/filter", wanted).text
    assert gateway.ask("POST", "/api/block_documents/filter", wanted).json()[0]["data"] == {"word": "********"}
    assert gateway.ask("GET", f"/api/block_documents/{document}").json()["data"] == {"word": "********"}
    for path in (f"/block_documents/{document}", "/block_types/slug/shop/block_documents"):
        assert gateway.ask("GET", f"/api{path}?include_secrets=true").status_code == httpx.codes.FORBIDDEN


def test_a_person_signs_in_reads_and_signs_out(gateway: RunningGateway) -> None:
    with gateway.browser() as browser:
        answer = sign_in(browser, "/v2/runs?tab=x", token="ron-token")
        assert (answer.status_code, answer.headers["location"]) == (303, "/v2/runs?tab=x")
        cookie = next(one for one in answer.headers.get_list("set-cookie") if "-form" not in one)
        assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"))
        assert browser.post("/api/flow_runs/count", json={}).json() >= 0
        page = browser.get("/shipline/").text
        assert "Signed in as <b>ron</b>, who may read." in page
        form = page.partition('name="form" value="')[2].partition('"')[0]
        out = browser.post("/shipline/sign-out", data={"form": form})
        assert (out.status_code, out.headers["location"]) == (303, "/shipline/sign-in")
        browser.headers["cookie"] = cookie.partition(";")[0]
        assert browser.post("/api/flow_runs/count", json={}).status_code == httpx.codes.UNAUTHORIZED


def test_a_person_signs_in_with_a_code_that_counts_once(gateway: RunningGateway) -> None:
    gateway.people.codes["ron"] = "777"
    with gateway.browser() as browser:
        assert sign_in(browser, name="ron", code="777").status_code == httpx.codes.SEE_OTHER
        again = sign_in(browser, name="ron", code="777")
        assert again.status_code == httpx.codes.UNAUTHORIZED
        assert "wrong one-time code" in again.text


def test_whoever_may_not_come_in_any_more_is_out_at_once(gateway: RunningGateway) -> None:
    with gateway.signed_in("ron-token") as browser:
        person = gateway.people.tokens.pop("ron-token")
        try:
            assert browser.get("/api/version").status_code == httpx.codes.UNAUTHORIZED
        finally:
            gateway.people.tokens["ron-token"] = person


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null", ""])
def test_another_sites_page_can_neither_answer_nor_sign_anybody_in(
    gateway: RunningGateway, waiting: str, origin: str
) -> None:
    given = {"run_input": {"decision": "approve"}}
    with gateway.signed_in() as browser:
        browser.headers["origin"] = origin
        forged = browser.post(f"/api/flow_runs/{waiting}/resume", json=given)
        assert (forged.status_code, forged.json()) == (403, {"detail": "another site's page has asked for that"})
        assert sign_in(browser, token="ron-token").status_code == httpx.codes.FORBIDDEN
        assert browser.post("/shipline/sign-out", data={}).status_code == httpx.codes.FORBIDDEN
    assert flow_run_of(gateway.prefect, waiting)["state_name"] == "Suspended"


def test_only_the_form_of_this_browser_signs_in(gateway: RunningGateway) -> None:
    with gateway.browser() as browser:
        forged = browser.post("/shipline/sign-in", data={"form": "guessed", "token": "ron-token"})
        assert (forged.status_code, forged.json()) == (403, {"detail": "only the form of this page may send that"})


def test_a_stranger_is_led_to_the_form_and_back(gateway: RunningGateway) -> None:
    page = {"Accept": "text/html"}
    answer = gateway.ask("GET", "/v2/runs?a=b", token="", headers=page)
    assert (answer.status_code, answer.headers["location"]) == (303, "/shipline/sign-in?next=/v2/runs%3Fa%3Db")
    elsewhere = gateway.ask("GET", "/v2/runs?a=b", token="", headers={**page, "Sec-Fetch-Site": "cross-site"})
    assert '<meta http-equiv="refresh" content="0;url=/v2/runs?a=b">' in elsewhere.text
    with gateway.browser() as browser:
        assert sign_in(browser, "//evil.example/", token="ron-token").headers["location"] == "/v2/"


def test_pages_may_call_nobody_else_and_nobody_shows_them_in_theirs(gateway: RunningGateway) -> None:
    for path in ("/v2/", "/", "/shipline/sign-in", "/api/version"):
        headers = gateway.ask("GET", path).headers
        policy = headers["content-security-policy"]
        assert all(part in policy for part in ("default-src 'self'", "frame-ancestors 'none'", "form-action 'self'"))
        assert "http" not in policy
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")


def test_what_prefect_tells_of_itself_and_other_sites_stays_here(gateway: RunningGateway) -> None:
    answer = gateway.ask("GET", "/api/version", headers={"Origin": "https://evil.example"})
    assert {"server", "access-control-allow-origin", "set-cookie"} & answer.headers.keys() == set()
    assert answer.headers["cache-control"] == "no-store"


def test_a_name_that_somebody_else_points_here_is_refused(gateway: RunningGateway) -> None:
    answer = gateway.ask("GET", "/shipline/sign-in", token="", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()) == (421, {"detail": "'evil.example' is no name of this gateway"})


def test_a_body_is_bounded_and_has_to_be_json(gateway: RunningGateway) -> None:
    long = gateway.ask("POST", "/api/flow_runs/filter", "x" * 1_100_000)
    assert (long.status_code, long.json()) == (413, {"detail": "the body is longer than 1048576 bytes"})
    form = {"Authorization": "Bearer grace-token", "Content-Type": "text/plain"}
    for content in (b"a=b", b"[" * 100_000):
        wrong = gateway.client.post(f"{gateway.url}/api/flow_runs/filter", content=content, headers=form)
        assert (wrong.status_code, wrong.json()) == (400, {"detail": "the body is not JSON"})


def test_wrong_tokens_are_counted_and_then_wait(prefect_server: RunningPrefect, tmp_path: Path) -> None:
    with running_gateway(prefect_server, tmp_path) as gateway:
        seen = [gateway.ask("GET", "/api/version", token="wrong").status_code for _ in range(21)]
        assert seen == [401] * 20 + [429]
        right = gateway.ask("GET", "/api/version")
        assert (right.status_code, int(right.headers["retry-after"]) <= 6) == (429, True)
        assert "too many wrong attempts" in right.json()["detail"]
