import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from delivery.errors import VerificationError
from shipline.web.openid import ATTEMPT_SECONDS, Attempt, Attempts, authorization, name_in
from shipline.web.openid_tokens import checked_claims
from shipline.web.settings import OpenIdSettings

SETTINGS = OpenIdSettings("https://id.example.org", "shipline")
KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})
KEYS = {"keys": [KEY.as_dict(private=False)]}


def token(key: Any = KEY, algorithm: str = "RS256", **changed: Any) -> str:  # noqa: ANN401  # any kind of key
    now = int(time.time())
    claims = {"iss": SETTINGS.issuer, "aud": "shipline", "sub": "1", "nonce": "n", "iat": now, "exp": now + 60}
    given = {name: value for name, value in {**claims, **changed}.items() if value is not None}
    return jwt.encode({"alg": algorithm, "kid": "one"}, given, key, algorithms=[algorithm])


def checked(text: str, offered: list[str] | None = None) -> dict[str, Any]:
    return checked_claims(SETTINGS, text, KEYS, offered, "n")


def test_what_the_provider_signed_for_us_now_holds() -> None:
    assert checked(token(name="Ada"))["name"] == "Ada"
    assert checked(token(aud=["shipline", "another"], azp="shipline"))["sub"] == "1"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://id.example.org/"},
        {"aud": "another"},
        {"aud": ["another"]},
        {"azp": "another"},
        {"nonce": "m"},
        {"exp": int(time.time()) - 120},
        {"iat": int(time.time()) + 600},
        {"nbf": int(time.time()) + 600},
        *({name: None} for name in ("iss", "aud", "nonce", "exp", "iat", "sub")),
    ],
)
def test_what_is_another_ones_too_old_or_incomplete_does_not(changed: dict[str, Any]) -> None:
    with pytest.raises(VerificationError, match=r"checking the identity token of https://id\.example\.org"):
        checked(token(**changed))


def test_only_the_providers_own_key_signs() -> None:
    shared = OctKey.generate_key(256, {"kid": "one"})
    forged = [token(OTHER), token(shared, "HS256"), token().rpartition(".")[0] + ".", "", "a.b.c"]
    for text in forged:
        for offered in (None, ["RS256"], ["RS256", "HS256", "none"]):
            with pytest.raises(VerificationError):
                checked(text, offered)


def test_an_algorithm_that_the_provider_does_not_offer_is_not_taken() -> None:
    curve = ECKey.generate_key("P-256", {"kid": "one"})
    keys = {"keys": [curve.as_dict(private=False)]}
    text = token(curve, "ES256")
    assert checked_claims(SETTINGS, text, keys, ["ES256"], "n")["sub"] == "1"
    with pytest.raises(VerificationError):
        checked_claims(SETTINGS, text, keys, None, "n")


def test_an_attempt_is_for_one_browser_once_and_not_for_long() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    attempt = attempts.begin("/v2/")
    assert attempts.finish(attempt.state, attempt.state) == attempt
    assert attempts.finish(attempt.state, attempt.state) is None
    other = attempts.begin("/v2/")
    assert attempts.finish(other.state, "another") is None
    late = attempts.begin("/v2/")
    now[0] = ATTEMPT_SECONDS
    assert attempts.finish(late.state, late.state) is None


def test_attempts_are_bounded() -> None:
    attempts = Attempts()
    first, *_, last = [attempts.begin("/") for _ in range(1001)]
    assert attempts.finish(first.state, first.state) is None
    assert attempts.finish(last.state, last.state) == last


def test_the_browser_is_sent_with_what_only_this_attempt_knows() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    attempt = Attempt("s", "n", verifier, "/v2/", 0)
    assert attempt.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B
    sent = authorization(SETTINGS, "https://id.example.org/a?b=c", "https://us/back", attempt)
    assert sent.startswith("https://id.example.org/a?b=c&response_type=code&client_id=shipline&")
    assert verifier not in sent


@pytest.mark.parametrize(
    ("claim", "claims", "name"),
    [
        ("preferred_username", {"preferred_username": "ada"}, "ada"),
        ("preferred_username", {"preferred_username": ["ada"]}, None),
        ("preferred_username", {}, None),
        ("email", {"email": "ada@example.org", "email_verified": True}, "ada@example.org"),
        ("email", {"email": "ada@example.org", "email_verified": "true"}, None),
        ("email", {"email": "ada@example.org"}, None),
    ],
)
def test_a_name_is_what_the_claim_says(claim: str, claims: dict[str, Any], name: str | None) -> None:
    assert name_in(OpenIdSettings("https://id.example.org", "shipline", claim), claims) == name
