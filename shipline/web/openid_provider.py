"""An OpenID Connect provider: what it says of itself, and the exchange of a code for a token."""

import time
from typing import Any
from urllib.parse import quote

import httpx

from delivery.errors import PermanentError, TransientError
from shipline.web.openid import Attempt
from shipline.web.openid_tokens import checked_claims
from shipline.web.settings import OpenIdSettings

_METADATA_SECONDS = 3600.0
_MOST_BYTES = 256 * 1024


class OpenIdProvider:
    """One provider. Thread-safe; its methods block."""

    def __init__(self, settings: OpenIdSettings, secret: str | None) -> None:
        """`secret` is what it knows us by; None for a public client."""
        self.settings, self._secret = settings, secret
        self._metadata: dict[str, Any] = {}
        self._read_at = 0.0

    def endpoint(self) -> str:
        """To which browsers are sent."""
        return str(self._described()["authorization_endpoint"])

    def claims(self, attempt: Attempt, code: str, back: str) -> dict[str, Any]:
        """What the provider says of whoever came back with a code; VerificationError when it does not hold."""
        described = self._described()
        asked = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "code_verifier": attempt.verifier,
        }
        answer = self._ask("POST", str(described["token_endpoint"]), **self._authenticated(asked, described))
        keys = self._ask("GET", str(described["jwks_uri"]))
        offered = described.get("id_token_signing_alg_values_supported")
        return checked_claims(self.settings, str(answer.get("id_token", "")), keys, offered, attempt.nonce)

    def _authenticated(self, asked: dict[str, str], described: dict[str, Any]) -> dict[str, Any]:
        """As the provider wants to know us; by HTTP's own means where it does not say."""
        known = {"client_id": self.settings.client_id}
        if self._secret is None:
            return {"data": {**asked, **known}}
        means = described.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if "client_secret_basic" not in means:
            return {"data": {**asked, **known, "client_secret": self._secret}}
        return {"data": asked, "auth": (quote(self.settings.client_id, safe=""), quote(self._secret, safe=""))}

    def _described(self) -> dict[str, Any]:
        if not self._metadata or time.monotonic() - self._read_at > _METADATA_SECONDS:
            found = self._ask("GET", f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self.settings.issuer:
                raise PermanentError(
                    f"asking {self.settings.issuer} about itself: it calls itself {found.get('issuer')}",
                    hint="SHIPLINE_GATEWAY_OIDC_ISSUER must be the same to the letter",
                )
            self._metadata, self._read_at = found, time.monotonic()
        return self._metadata

    def _ask(self, method: str, address: str, **given: Any) -> dict[str, Any]:  # noqa: ANN401  # httpx's
        doing = f"asking the identity provider to {method} {httpx.URL(address).copy_with(query=None)}"
        try:
            answer = httpx.request(method, address, timeout=10, **given)
            document = answer.json() if len(answer.content) <= _MOST_BYTES else None
        except (httpx.HTTPError, ValueError) as error:
            raise TransientError(f"{doing}: {error or type(error).__name__}") from error
        if not answer.is_success or not isinstance(document, dict):
            raise PermanentError(f"{doing}: it answered {answer.status_code}")
        return document
