from ipaddress import ip_network

import pytest

from delivery.errors import ConfigurationError
from shipline.web.headers import answered_headers, asked_headers, is_ours, local_place, safe_next
from shipline.web.settings import GatewaySettings

HEADER, PROXIES, URL = (f"SHIPLINE_GATEWAY_{name}" for name in ("IDENTITY_HEADER", "PROXIES", "URL"))


def test_nothing_set_believes_nobody() -> None:
    settings = GatewaySettings.from_environment({})
    assert settings == GatewaySettings()
    assert not settings.trusts("127.0.0.1")


def test_proxies_are_addresses_and_networks() -> None:
    settings = GatewaySettings.from_environment({HEADER: "X-Forwarded-User", PROXIES: "10.0.0.5, 10.1.0.0/24,::1"})
    assert settings.identity_header == "x-forwarded-user"
    assert settings.proxies == (ip_network("10.0.0.5"), ip_network("10.1.0.0/24"), ip_network("::1"))
    seen = {one: settings.trusts(one) for one in ("10.0.0.5", "::ffff:10.0.0.5", "10.1.0.7", "10.0.0.6", "::1", "")}
    assert seen == {
        "10.0.0.5": True,
        "::ffff:10.0.0.5": True,
        "10.1.0.7": True,
        "10.0.0.6": False,
        "::1": True,
        "": False,
    }


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({HEADER: "X-User"}, "one needs the other"),
        ({PROXIES: "10.0.0.5"}, "one needs the other"),
        ({HEADER: "X-User", PROXIES: "10.0.0.5/24"}, "has host bits set"),
        ({HEADER: "X-User", PROXIES: "proxy"}, "does not appear to be"),
        ({URL: "delivery.example.org"}, "must be like https://delivery.example.org"),
        ({URL: "https://delivery.example.org/here"}, "must be like"),
        ({URL: "https://me:secret@delivery.example.org"}, "must be like"),
        ({URL: "ftp://delivery.example.org"}, "must be like"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(environment: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match="SHIPLINE_GATEWAY_.*" + said):
        GatewaySettings.from_environment(environment)


def test_the_address_for_people_is_an_origin() -> None:
    assert GatewaySettings.from_environment({URL: "https://Delivery.example.org:8443/"}).url == (
        "https://delivery.example.org:8443"
    )


def test_prefect_is_told_only_what_it_needs() -> None:
    sent = [
        ("accept", "application/json"),
        ("authorization", "Bearer secret"),
        ("cookie", "a=b"),
        ("x-forwarded-for", "1.2.3.4"),
        ("connection", "upgrade"),
        ("transfer-encoding", "chunked"),
        ("content-length", "9"),
        ("host", "here"),
        ("origin", "https://here"),
        ("x-prefect-api-version", "0.8.4"),
    ]
    assert asked_headers(sent) == [("accept", "application/json"), ("x-prefect-api-version", "0.8.4")]


def test_browsers_are_told_only_what_they_need() -> None:
    answered = [
        ("content-type", "text/html"),
        ("set-cookie", "a=b"),
        ("access-control-allow-origin", "*"),
        ("connection", "keep-alive"),
        ("server", "uvicorn"),
        ("location", "http://127.0.0.1:4200/v2/?a=b"),
    ]
    assert answered_headers(answered, "http://127.0.0.1:4200") == [
        ("content-type", "text/html"),
        ("location", "/v2/?a=b"),
    ]


@pytest.mark.parametrize(
    ("place", "local"),
    [
        ("/v2/", "/v2/"),
        ("http://up:1/x", "/x"),
        ("http://elsewhere/x", "/"),
        ("//elsewhere/x", "/"),
        ("///elsewhere/x", "/elsewhere/x"),
    ],
)
def test_no_redirection_leads_away(place: str, local: str) -> None:
    assert local_place(place, "http://up:1") == local


@pytest.mark.parametrize(
    "place", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\nb", "", "evil", "/shipline/sign-out"]
)
def test_after_signing_in_nobody_is_led_away(place: str) -> None:
    assert safe_next(place) == "/v2/"


def test_after_signing_in_one_is_where_one_wanted_to_be() -> None:
    assert safe_next("/v2/runs?tab=Logs&a=%20b") == "/v2/runs?tab=Logs&a=%20b"


@pytest.mark.parametrize(
    ("origin", "host", "public", "ours"),
    [
        ("http://127.0.0.1:4300", "127.0.0.1:4300", None, True),
        ("http://127.0.0.1:4301", "127.0.0.1:4300", None, False),
        ("http://localhost:4300", "127.0.0.1:4300", None, False),
        ("https://ci.example.org", "127.0.0.1:4300", "https://ci.example.org", True),
        ("http://ci.example.org", "127.0.0.1:4300", "https://ci.example.org", False),
        ("null", "127.0.0.1:4300", None, False),
        ("", "", None, False),
        ("://", "", None, False),
    ],
)
def test_a_page_is_ours_by_its_origin(origin: str, host: str, public: str | None, ours: bool) -> None:  # noqa: FBT001
    assert is_ours(origin, host, public) == ours
