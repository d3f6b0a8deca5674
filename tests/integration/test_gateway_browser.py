"""People in front of Prefect's own pages, in a real browser: who may approve and who may not."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.servers.gateway import RunningGateway, answer_of, flow_run_of, running_gateway, waiting_flow_run
from tests.servers.prefect import RunningPrefect

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium here: apt-get install chromium"),
]
PATIENCE_MILLISECONDS = 60_000


@pytest.fixture(scope="module")
def gateway(prefect_server: RunningPrefect, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(prefect_server, tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """Of a browser in which nobody has signed in."""
    with chromium.new_context(viewport={"width": 1400, "height": 1000}) as context:
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        yield context.new_page()


def open_form(page: Page, gateway: RunningGateway, flow_run: str, token: str) -> None:
    """From a link to the form of a flow run that waits, by way of signing in."""
    page.goto(f"{gateway.url}/v2/runs/flow-run/{flow_run}")
    page.get_by_label("API token").fill(token)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Open menu").click()
    page.get_by_role("menuitem", name="Resume").click()
    page.get_by_role("dialog").get_by_text("Approver").wait_for()


def approve(page: Page) -> None:
    """As somebody who says that they are the boss."""
    form = page.get_by_role("dialog")
    form.get_by_role("button", name="Select Decision").click()
    page.get_by_role("option", name="approve").click()
    form.get_by_label("Approver").fill("the boss")
    form.get_by_role("button", name="Resume").click()


def test_whoever_may_approve_does_so_under_their_own_name(gateway: RunningGateway, page: Page, tmp_path: Path) -> None:
    flow_run = waiting_flow_run(gateway.prefect)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_form(page, gateway, flow_run, "grace-token")
    page.screenshot(path=tmp_path / "form.png")
    approve(page)
    page.get_by_text("Resuming").first.wait_for()
    assert answer_of(gateway.prefect, flow_run) == {"decision": "approve", "approver": "grace", "comment": ""}
    assert [url for url in asked if not url.startswith((gateway.url, "data:", "blob:"))] == []


def test_whoever_may_not_approve_reads_why_and_the_gate_goes_on_waiting(gateway: RunningGateway, page: Page) -> None:
    flow_run = waiting_flow_run(gateway.prefect)
    open_form(page, gateway, flow_run, "ron-token")
    approve(page)
    page.get_by_text("ron may not approve or reject").first.wait_for()
    assert flow_run_of(gateway.prefect, flow_run)["state_name"] == "Suspended"
    assert answer_of(gateway.prefect, flow_run) is None


def test_both_kinds_of_prefects_pages_come_up_for_a_reader(gateway: RunningGateway, page: Page) -> None:
    page.goto(f"{gateway.url}/v2/runs")
    page.get_by_label("API token").fill("ron-token")
    page.get_by_role("button", name="Sign in", exact=True).click()
    for place in ("/v2/runs", "/runs"):
        page.goto(f"{gateway.url}{place}")
        page.get_by_text("Deployments", exact=True).first.wait_for()
