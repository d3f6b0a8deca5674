"""Signing in at the gateway with a real OpenID Connect provider."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from shipline.web.settings import GatewaySettings, OpenIdSettings
from tests.servers.gateway import RunningGateway, running_gateway
from tests.servers.openid_provider import RunningProvider, running_provider
from tests.servers.prefect import RunningPrefect

pytestmark = [pytest.mark.integration]
ANOTHER = "that was begun in another browser, or too long ago"


@pytest.fixture(scope="module")
def provider() -> Iterator[RunningProvider]:
    with running_provider() as running:
        running.knows("1", preferred_username="ron", email="ron@example.org", email_verified=True)
        running.knows("2", preferred_username="mallory", email="grace@example.org")
        yield running


@pytest.fixture(scope="module")
def gateway(
    prefect_server: RunningPrefect, provider: RunningProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    settings = GatewaySettings(openid=OpenIdSettings(provider.issuer, "shipline"))
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "oidc-client-secret").write_text("a secret of two\n")
    with running_gateway(prefect_server, folder, settings) as running:
        yield running


def begun(browser: httpx.Client, then: str = "/v2/runs") -> str:
    """Where somebody is sent who wants to sign in with the provider."""
    answer = browser.get("/shipline/openid", params={"next": then})
    assert answer.status_code == httpx.codes.SEE_OTHER, answer.text
    return str(answer.headers["location"])


def test_a_person_signs_in_with_the_provider(gateway: RunningGateway, provider: RunningProvider) -> None:
    with gateway.browser() as browser:
        assert "Sign in with 127.0.0.1</a>" in browser.get("/shipline/sign-in").text
        asked = begun(browser)
        sent = {name: values[0] for name, values in parse_qs(urlsplit(asked).query).items()}
        assert sent["redirect_uri"] == f"{gateway.url}/shipline/openid/back"
        assert (sent["code_challenge_method"], len(sent["code_challenge"])) == ("S256", 43)
        back = browser.get(provider.authorized(asked, "1"))
        assert '<meta http-equiv="refresh" content="0;url=/v2/runs">' in back.text
        assert browser.post("/api/flow_runs/count", json={}).status_code == httpx.codes.OK
        assert "Signed in as <b>ron</b>" in browser.get("/shipline/").text


def test_an_answer_counts_once_and_in_the_browser_that_began(
    gateway: RunningGateway, provider: RunningProvider
) -> None:
    with gateway.browser() as browser, gateway.browser() as other:
        back = provider.authorized(begun(browser), "1")
        stolen = other.get(back)
        assert (stolen.status_code, ANOTHER in stolen.text) == (401, True)
        late = browser.get(back)
        assert (late.status_code, ANOTHER in late.text) == (401, True)
        again = provider.authorized(begun(browser), "1")
        assert browser.get(again).status_code == httpx.codes.OK
        assert browser.get(again).status_code == httpx.codes.UNAUTHORIZED
    for forged in ("", "?state=x&code=y", "?code=y"):
        assert gateway.ask("GET", f"/shipline/openid/back{forged}", token="").status_code == httpx.codes.UNAUTHORIZED


def test_whoever_the_provider_names_is_somebody_here_or_stays_outside(
    gateway: RunningGateway, provider: RunningProvider
) -> None:
    with gateway.browser() as browser:
        refused = browser.get(provider.authorized(begun(browser), "2"))
        assert (refused.status_code, "127.0.0.1 says mallory, who is nobody here" in refused.text) == (401, True)
        assert browser.get("/api/version").status_code == httpx.codes.UNAUTHORIZED


def test_a_no_of_the_provider_is_told(gateway: RunningGateway, provider: RunningProvider) -> None:
    with gateway.browser() as browser:
        asked = begun(browser)
        state = parse_qs(urlsplit(asked).query)["state"][0]
        refused = browser.get(f"{provider.denied(asked)}&state={state}")  # which this provider forgets
        assert (refused.status_code, "127.0.0.1 says no: access_denied" in refused.text) == (401, True)


def test_a_code_that_is_not_the_providers_opens_nothing(gateway: RunningGateway, provider: RunningProvider) -> None:
    with gateway.browser() as browser:
        back = urlsplit(provider.authorized(begun(browser), "1"))
        state = parse_qs(back.query)["state"][0]
        refused = browser.get(f"{back.path}?state={state}&code=guessed")
        assert (refused.status_code, "127.0.0.1 did not say who that is" in refused.text) == (401, True)


def test_an_address_that_nobody_verified_is_nobodys_name(
    gateway: RunningGateway, provider: RunningProvider, tmp_path: Path
) -> None:
    (tmp_path / "oidc-client-secret").write_text("a secret of two\n")
    by_email = GatewaySettings(openid=OpenIdSettings(provider.issuer, "shipline", claim="email"))
    with running_gateway(gateway.prefect, tmp_path, by_email) as other, other.browser() as browser:
        grace = other.people.tokens["grace-token"]
        other.people.tokens["grace-token"] = replace(grace, name="grace@example.org")
        refused = browser.get(provider.authorized(begun(browser), "2"))
        assert (refused.status_code, "127.0.0.1 names nobody" in refused.text) == (401, True)


def test_without_a_provider_there_is_no_such_page_and_one_that_is_away_is_told(
    prefect_server: RunningPrefect, tmp_path: Path
) -> None:
    with running_gateway(prefect_server, tmp_path) as alone:
        assert alone.ask("GET", "/shipline/openid").status_code == httpx.codes.NOT_FOUND
        assert "Sign in with" not in alone.ask("GET", "/shipline/sign-in").text.replace("Sign in with a code", "")
    away = GatewaySettings(openid=OpenIdSettings("http://127.0.0.1:1", "shipline"))
    with running_gateway(prefect_server, tmp_path, away) as lonely:
        answer = lonely.ask("GET", "/shipline/openid")
        assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert "asking the identity provider to GET http://127.0.0.1:1/.well-known/openid-configuration" in answer.text
