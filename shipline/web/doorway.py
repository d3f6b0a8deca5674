"""Who stands at the door: the person behind a request, and whether a page of ours has sent it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response

from delivery.gates.verdict import Verdict
from shipline.web.headers import is_ours
from shipline.web.identity import Identity, Person
from shipline.web.rates import FailureLimit, neighbourhood
from shipline.web.sessions import SESSION_SECONDS, Sessions
from shipline.web.settings import GatewaySettings

_SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why somebody was not let in."""

    reason: str
    wait_seconds: int = 0
    """How long nothing they try is looked at; 0 when they may try at once."""


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody who came in."""

    person: Person
    ambient: bool
    """Whether the browser says so by itself: then it must be known that a page of ours has asked."""
    secret: str = ""
    """Of their session, if that is how they came in."""


class Doorway:
    """Thread-safe; its methods may block."""

    def __init__(self, settings: GatewaySettings, identity: Identity, sessions: Sessions, cookie: str) -> None:
        """`cookie` is the name of the session's."""
        self.settings, self.identity, self.sessions, self.cookie = settings, identity, sessions, cookie
        self._addresses = FailureLimit(at_once=20, every_seconds=6)
        self._names = FailureLimit(at_once=5, every_seconds=30)

    def of(self, asking: HTTPConnection) -> Known | Wrong | None:
        """Whoever asks."""
        return self.known(asking.headers, asking.cookies, asking.client.host if asking.client else "")

    def known(self, headers: Headers, cookies: Mapping[str, str], peer: str) -> Known | Wrong | None:
        """Who asks: by bearer token, by a trusted proxy's word, or by session; None when nobody says who they are."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            found = self.by_token(token.strip(), self.address(headers, peer))
            return found if isinstance(found, Wrong) else Known(found, ambient=False)
        if self.settings.identity_header and self.settings.trusts(peer):
            return self._named(headers.getlist(self.settings.identity_header))
        secret = cookies.get(self.cookie, "")
        session = self.sessions.find(secret)
        person = self.identity.by_key(session.key) if session else None
        return Known(person, ambient=True, secret=secret) if person else None

    def by_token(self, token: str, address: str) -> Person | Wrong:
        """The person whose token it is; wrong ones are counted by address."""
        place = neighbourhood(address)
        if wait := self._addresses.wait_seconds(place):
            return _slower(wait)
        self._addresses.take(place)
        person = self.identity.by_token(token) if token else None
        if person is None:
            return Wrong("that token is not known here")
        self._addresses.give_back(place)
        return person

    def by_code(self, name: str, code: str, address: str) -> Person | Wrong:
        """The person who showed their code; wrong ones are counted by address and by name."""
        place = neighbourhood(address)
        if wait := max(self._addresses.wait_seconds(place), self._names.wait_seconds(name)):
            return _slower(wait)
        self._addresses.take(place)
        self._names.take(name)
        found = self.identity.by_code(name, code)
        if isinstance(found, Verdict):
            return Wrong("; ".join(found.reasons))
        self._addresses.give_back(place)
        self._names.give_back(name)
        return found

    def address(self, headers: Headers, peer: str) -> str:
        """Where a person sits: what the nearest proxy says, if that one is trusted."""
        if not self.settings.trusts(peer):
            return peer
        return headers.get("x-forwarded-for", "").rpartition(",")[2].strip() or peer

    def set_cookie(self, answer: Response, name: str, value: str, seconds: int = SESSION_SECONDS) -> None:
        """One that only comes along from our own pages, and only encrypted where we are reached so."""
        secure = (self.settings.url or "").startswith("https://")
        answer.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="strict")

    def asked_by_us(self, method: str, headers: Headers, known: Known) -> bool:
        """Whether this request can only come from a page of ours, where the browser would send any with its cookies."""
        if method in _SAFE or not known.ambient:
            return True
        return self.is_ours(headers)

    def is_ours(self, headers: Headers) -> bool:
        """Whether the page that asks is ours, by what every browser says of it."""
        return is_ours(headers.get("origin", "").lower(), headers.get("host", "").lower(), self.settings.url)

    def _named(self, names: list[str]) -> Known | None:
        """Whom the proxy names; two names are nobody's."""
        person = self.identity.by_name(names[0].strip()) if len(names) == 1 else None
        return Known(person, ambient=True) if person else None


def _slower(seconds: float) -> Wrong:
    wait = max(1, ceil(seconds))
    return Wrong(f"too many wrong attempts: try again in {wait} s", wait)
