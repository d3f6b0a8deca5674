"""A person approves in Prefect's own pages, in a real browser."""

import getpass
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.e2e.conftest import Make
from tests.e2e.project import Project, built, configuration, environment

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(BROWSER is None, reason="no chromium here: apt-get install chromium"),
]
PATIENCE_MILLISECONDS = 60_000


@pytest.fixture
def page() -> Iterator[Page]:
    """A browser that nobody has signed in with."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=list(QUIET))
        try:
            opened = browser.new_page(viewport={"width": 1400, "height": 1000})
            opened.set_default_timeout(PATIENCE_MILLISECONDS)
            yield opened
        finally:
            browser.close()


def test_a_promotion_is_approved_in_prefects_pages(make: Make, page: Page, tmp_path: Path) -> None:
    project = make("browser", configuration(environments={"staging": environment(approvals=1)}))
    run = project.ask("run")
    waiting = project.waiting("staging")
    page.goto(waiting["url"])
    sign_in(project, page)
    page.get_by_role("button", name="Open menu").click()
    page.get_by_role("menuitem", name="Resume").click()
    form = page.get_by_role("dialog")
    form.get_by_text("Approver").wait_for()
    page.screenshot(path=tmp_path / "form.png")
    for shown in (waiting["release"], built(run)["web"], "An approval is for this candidate only"):
        assert shown in form.inner_text()

    form.get_by_role("button", name="Select Decision").click()
    page.get_by_role("option", name="approve").click()
    form.get_by_label("Approver").fill("somebody else")
    form.get_by_label("Comment").fill("seen in dev")
    form.get_by_role("button", name="Resume").click()
    project.succeeds(waiting["id"])
    (promoted,) = project.ask("history", "staging")
    assert (promoted["state"], promoted["approvals"]) == ("Succeeded", [getpass.getuser()])
    assert project.digests("staging") == built(run)


def sign_in(project: Project, page: Page) -> None:
    """With what stands in the home: Prefect's pages ask for no password of their own."""
    page.get_by_label("API token").fill((project.installation.home.credentials / "api-token").read_text().strip())
    page.get_by_role("button", name="Sign in", exact=True).click()
