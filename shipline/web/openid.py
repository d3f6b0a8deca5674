"""Signing in by OpenID Connect: the attempts that are under way, and what is asked of people's browsers.

The authorization code flow with PKCE, state and nonce; pure but for its randomness.
"""

import base64
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from shipline.web.settings import OpenIdSettings

ATTEMPT_SECONDS = 600
_MOST = 1000
"""Attempts at once: the oldest makes place."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One browser on its way to the provider and back."""

    state: str
    """Comes back with the browser, in the address and in a cookie."""
    nonce: str
    """Comes back in the token."""
    verifier: str
    """Only whoever has begun can exchange the code."""
    then: str
    """Where the person goes on."""
    until: float

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")


class Attempts:
    """Those that are under way. Used from one event loop."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kept: OrderedDict[str, Attempt] = OrderedDict()

    def begin(self, then: str) -> Attempt:
        """A new one."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        attempt = Attempt(state, nonce, verifier, then, self._now() + ATTEMPT_SECONDS)
        self._kept[attempt.state] = attempt
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return attempt

    def finish(self, state: str, cookie: str) -> Attempt | None:
        """The one with this state, if this browser began it and it is not too late; it is over in any case."""
        attempt = self._kept.pop(state, None)
        own = attempt is not None and secrets.compare_digest(cookie.encode(), state.encode())
        return attempt if attempt and own and attempt.until > self._now() else None


def authorization(settings: OpenIdSettings, endpoint: str, back: str, attempt: Attempt) -> str:
    """The provider's address to which the browser is sent; `back` is ours, to which it returns."""
    asked = {
        "response_type": "code",
        "client_id": settings.client_id,
        "redirect_uri": back,
        "scope": "openid profile email",
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": attempt.challenge,
        "code_challenge_method": "S256",
    }
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"


def name_in(settings: OpenIdSettings, claims: Mapping[str, Any]) -> str | None:
    """Whom a checked token names; None when it names nobody, or by an address that nobody has checked."""
    name = claims.get(settings.claim)
    if settings.claim == "email" and claims.get("email_verified") is not True:
        return None
    return name if isinstance(name, str) and name else None
