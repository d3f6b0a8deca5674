"""Signing in with an OpenID Connect provider: to it, and back with what it says."""

import asyncio
import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from delivery.errors import DeliveryError
from shipline.web.doorway import Doorway, Wrong
from shipline.web.identity import Person
from shipline.web.openid import ATTEMPT_SECONDS, Attempt, Attempts, authorization, name_in
from shipline.web.pages import OPENID_BACK

if TYPE_CHECKING:
    from shipline.web.openid_provider import OpenIdProvider

_logger = logging.getLogger("shipline.gateway")
_ANOTHER = "that was begun in another browser, or too long ago"


class SigningInByOpenId:
    """Used from one event loop."""

    def __init__(self, doorway: Doorway, provider: "OpenIdProvider", back: str) -> None:
        """`back` is our address, to which the provider sends browsers back."""
        self._doorway, self._provider, self._back = doorway, provider, back
        self._attempts = Attempts()
        self._cookie = f"{doorway.cookie.replace('__Host-', '__Secure-')}-openid"

    @property
    def name(self) -> str:
        """Of the provider, for people."""
        return str(urlsplit(self._provider.settings.issuer).hostname)

    async def begin(self, then: str) -> Response:
        """To the provider, with a cookie by which this browser is known when it is back."""
        endpoint = await asyncio.to_thread(self._provider.endpoint)
        attempt = self._attempts.begin(then)
        answer = RedirectResponse(authorization(self._provider.settings, endpoint, self._back, attempt), 303)
        secure = self._back.startswith("https://")
        answer.set_cookie(
            self._cookie,
            attempt.state,
            max_age=ATTEMPT_SECONDS,
            path=OPENID_BACK,
            secure=secure,
            httponly=True,
            samesite="lax",  # it has to come along from the provider's page
        )
        return answer

    async def finish(self, request: Request) -> tuple[Person | Wrong, str]:
        """Who came back, or why that does not count, and where they go on."""
        said = request.query_params
        attempt = self._attempts.finish(said.get("state", ""), request.cookies.get(self._cookie, ""))
        if attempt is None or said.get("iss", self._provider.settings.issuer) != self._provider.settings.issuer:
            return Wrong(_ANOTHER), ""
        if "code" not in said:
            return Wrong(f"{self.name} says no: {said.get('error', 'without a reason')[:100]}"), attempt.then
        return await asyncio.to_thread(self._person, attempt, said["code"]), attempt.then

    def _person(self, attempt: Attempt, code: str) -> Person | Wrong:
        try:
            claims = self._provider.claims(attempt, code, self._back)
        except DeliveryError as error:
            _logger.warning("%s", error.message)
            return Wrong(f"{self.name} did not say who that is")
        name = name_in(self._provider.settings, claims)
        person = self._doorway.identity.by_name(name) if name else None
        if person is None:
            return Wrong(f"{self.name} says {name}, who is nobody here" if name else f"{self.name} names nobody")
        return person
