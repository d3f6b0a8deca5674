import json

import pytest

from delivery.people.roles import Permission
from deployments.prefect_routes import prefect_routes
from shipline.web.refresh_routes import refreshed
from shipline.web.routes import (
    TABLE,
    RouteTable,
    asks_for_secrets,
    is_plain,
    resumed_flow_run,
    target,
    without_secrets,
)

RUN = "7d0a9f3e-2f7c-4a51-9f0e-0d1c2b3a4f5e"
PERMISSIONS = json.loads(TABLE.read_text())["routes"]
TO_CHANGE = ("set_state", "bulk_set_state", "bulk_delete", "create_flow_run", "increment", "decrement", "heartbeat")


@pytest.fixture(scope="module")
def table() -> RouteTable:
    return RouteTable.of_prefect()


def asked(route: str) -> tuple[str, str]:
    """Method and path of a request that a route is for."""
    method, _, path = route.partition(" ")
    return method, "/api" + path.replace("{", "").replace("}", "")


def test_every_route_of_the_installed_prefect_has_a_decision_and_no_other_has() -> None:
    refresh = "python -m deployments.prefect_routes | python -m shipline.web.refresh_routes, then decide"
    assert sorted(PERMISSIONS) == sorted(prefect_routes()), refresh


@pytest.mark.parametrize("route", PERMISSIONS)
def test_each_route_is_decided_as_the_table_says(table: RouteTable, route: str) -> None:
    assert table.permission(*asked(route)) == PERMISSIONS[route]


def test_one_route_is_for_those_who_approve_and_all_others_for_readers_or_nobody() -> None:
    special = {route: needed for route, needed in PERMISSIONS.items() if needed not in {None, Permission.READ}}
    assert special == {"POST /flow_runs/{id}/resume": Permission.APPROVE}


def test_nothing_that_changes_prefect_is_let_through() -> None:
    passed = [route for route, needed in PERMISSIONS.items() if needed == "read"]
    assert [route for route in passed if not route.startswith(("GET ", "POST ", "WEBSOCKET "))] == []
    assert [route for route in passed if route.endswith(("/", *TO_CHANGE)) and route.startswith("POST ")] == []
    assert [route for route in passed if route.startswith("WEBSOCKET ")] == [
        "WEBSOCKET /events/out",
        "WEBSOCKET /logs/out",
    ]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/api/flow_runs/{RUN}/input/approve-response"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/redoc"),
        ("GET", "/docs/oauth2-redirect"),
        ("GET", "/api/docs"),
        ("GET", "/api/openapi.json"),
        ("GET", "/api"),
        ("GET", "/api/"),
        ("GET", "/api/something/new"),
        ("GET", "/api/flow_runs/filter/more"),
        ("POST", "/v2/"),
        ("OPTIONS", "/api/flow_runs/filter"),
        ("HEAD", f"/api/flow_runs/{RUN}"),
        ("POST", f"/api/flow_runs/{RUN}/resume/"),
        ("POST", "/API/flow_runs/filter"),
        ("post", "/api/flow_runs/filter"),
    ],
)
def test_what_the_table_does_not_know_is_for_nobody(table: RouteTable, method: str, path: str) -> None:
    assert table.permission(method, path) is None


@pytest.mark.parametrize("path", ["/", "/v2/", f"/v2/runs/flow-run/{RUN}", "/assets/index.js", "/ui-settings"])
def test_pages_are_for_readers(table: RouteTable, path: str) -> None:
    assert table.permission("GET", path) is Permission.READ


def test_a_path_that_two_routes_fit_needs_both_to_agree() -> None:
    """Which of them Prefect takes depends on the order in which it knows them."""
    unclear = RouteTable({"GET /runs/{id}": "read", "GET /runs/secret": None, "GET /runs/{name}": "read"})
    assert unclear.permission("GET", "/api/runs/secret") is None
    assert unclear.permission("GET", "/api/runs/other") is Permission.READ


def test_a_new_route_is_for_nobody_until_somebody_decides() -> None:
    assert refreshed({"GET /a": "read", "GET /gone": "read"}, ["GET /a", "GET /new"]) == {
        "GET /a": "read",
        "GET /new": None,
    }


def test_the_flow_run_that_an_answer_wakes_is_told() -> None:
    assert resumed_flow_run("POST", f"/api/flow_runs/{RUN}/resume") == RUN
    assert resumed_flow_run("GET", f"/api/flow_runs/{RUN}/resume") is None
    assert resumed_flow_run("POST", f"/api/flow_runs/{RUN}/set_state") is None


@pytest.mark.parametrize(
    "path",
    [
        "http://elsewhere/api/flow_runs/filter",
        "//elsewhere/api",
        "/api//flow_runs/",
        "/v2/../api/flow_runs/",
        "/v2/..",
        "/./api",
        "/api/flow_runs%2ffilter",
        "/api\\flow_runs",
        "/api/flow_runs/filter\n",
        "*",
        "",
    ],
)
def test_a_path_that_can_be_read_in_two_ways_is_not_plain(path: str) -> None:
    assert not is_plain(path)


def test_names_with_spaces_dots_and_letters_of_any_alphabet_are_plain() -> None:
    assert is_plain("/api/work_pools/Grüße an.alle..hier/queues/filter")


def test_what_is_sent_on_is_written_from_what_was_decided_about() -> None:
    assert target("/api/work_pools/a b?c#d", "x=%41&y=&x=b c;d") == "/api/work_pools/a%20b%3Fc%23d?x=A&y=&x=b+c%3Bd"
    assert target("/v2/", "") == "/v2/"


@pytest.mark.parametrize(
    "query", ["include_secrets=true", "a=b&include_secrets=1", "include_secrets", "%69nclude_secrets=y"]
)
def test_secrets_are_asked_for_by_any_spelling(query: str) -> None:
    assert asks_for_secrets(query)


def test_a_body_never_asks_for_secrets() -> None:
    assert without_secrets({"include_secrets": True, "limit": 1}) == {"include_secrets": False, "limit": 1}
    assert without_secrets({"limit": 1}) == {"limit": 1}
    assert without_secrets([1]) == [1]
