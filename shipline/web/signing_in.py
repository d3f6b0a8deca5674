"""Signing in and out: the gateway's own pages and what they send."""

import asyncio
import logging
import secrets

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from shipline.web import pages
from shipline.web.bodies import read_form
from shipline.web.doorway import Doorway, Known, Wrong
from shipline.web.headers import safe_next
from shipline.web.identity import Person
from shipline.web.refusals import Refusal
from shipline.web.signing_in_by_openid import SigningInByOpenId

_logger = logging.getLogger("shipline.gateway")
_BY_HAND = "only the form of this page may send that"


class SigningIn:
    """Answers what is below `/shipline/`."""

    def __init__(self, doorway: Doorway, openid: SigningInByOpenId | None = None) -> None:
        """With the doorway whose people they are."""
        self._doorway, self._openid = doorway, openid
        self._form_cookie = f"{doorway.cookie}-form"

    async def answer(self, request: Request) -> Response:
        """One of our own pages; Refusal for what is none."""
        match request.method, request.scope["path"]:
            case "GET" | "HEAD", pages.SIGN_IN:
                return await self._form(request, request.query_params.get("next", ""))
            case "POST", pages.SIGN_IN:
                return await self._sign_in(request)
            case "GET" | "HEAD", pages.HERE:
                return await self._who(request)
            case "POST", pages.SIGN_OUT:
                return await self._sign_out(request)
            case "GET", pages.OPENID if self._openid:
                return await self._openid.begin(safe_next(request.query_params.get("next", "")))
            case "GET", pages.OPENID_BACK if self._openid:
                return await self._returned(request, self._openid)
        raise Refusal(404, "there is no such page")

    async def _form(self, request: Request, then: str, wrong: Wrong | None = None) -> Response:
        """The form, with a token that only this browser's next request can bring."""
        form = request.cookies.get(self._form_cookie) or secrets.token_urlsafe(16)
        codes = await asyncio.to_thread(self._doorway.identity.has_codes)
        provider = self._openid.name if self._openid else ""
        told = wrong.reason if wrong else ""
        page = pages.sign_in_page(form, safe_next(then), codes=codes, provider=provider, wrong=told)
        status = 200 if wrong is None else 429 if wrong.wait_seconds else 401
        headers = {"retry-after": str(wrong.wait_seconds)} if wrong and wrong.wait_seconds else None
        answer = HTMLResponse(page, status, headers)
        self._doorway.set_cookie(answer, self._form_cookie, form)
        return answer

    async def _sign_in(self, request: Request) -> Response:
        fields = await self._sent_by_our_form(request)
        then = safe_next(fields.get("next", ""))
        found = await asyncio.to_thread(self._shown, request, fields)
        if isinstance(found, Wrong):
            _logger.info("signing in from %s: %s", self._address(request), found.reason)
            return await self._form(request, then, found)
        return await self._signed_in(request, found, RedirectResponse(then, 303))

    async def _returned(self, request: Request, openid: SigningInByOpenId) -> Response:
        """From the provider, by a page of ours: a strict cookie does not come along with its own redirection."""
        found, then = await openid.finish(request)
        if isinstance(found, Wrong):
            _logger.info("signing in from %s: %s", self._address(request), found.reason)
            return await self._form(request, then, found)
        return await self._signed_in(request, found, HTMLResponse(pages.same_page(then)))

    async def _signed_in(self, request: Request, person: Person, answer: Response) -> Response:
        _logger.info("%s signed in from %s", person.name, self._address(request))
        secret = await asyncio.to_thread(self._doorway.sessions.open, person.key)
        self._doorway.set_cookie(answer, self._doorway.cookie, secret)
        return answer

    def _shown(self, request: Request, fields: dict[str, str]) -> Person | Wrong:
        """Whoever shows a token, or a name with its code."""
        address = self._address(request)
        if "token" in fields:
            return self._doorway.by_token(fields["token"].strip(), address)
        return self._doorway.by_code(fields.get("name", "").strip(), fields.get("code", "").strip(), address)

    async def _who(self, request: Request) -> Response:
        known = await asyncio.to_thread(self._doorway.of, request)
        if not isinstance(known, Known):
            return RedirectResponse(pages.sign_in_place(pages.HERE), 303)
        form = request.cookies.get(self._form_cookie) or secrets.token_urlsafe(16)
        answer = HTMLResponse(pages.person_page(known.person, form if known.secret else ""))
        self._doorway.set_cookie(answer, self._form_cookie, form)
        return answer

    async def _sign_out(self, request: Request) -> Response:
        await self._sent_by_our_form(request)
        secret = request.cookies.get(self._doorway.cookie, "")
        await asyncio.to_thread(self._doorway.sessions.close, secret)
        answer = RedirectResponse(pages.SIGN_IN, 303)
        self._doorway.set_cookie(answer, self._doorway.cookie, "", seconds=0)
        return answer

    async def _sent_by_our_form(self, request: Request) -> dict[str, str]:
        """Its fields; Refusal when another page, or nobody's form, has sent them."""
        if not self._doorway.is_ours(request.headers):
            raise Refusal(403, _BY_HAND)
        fields = await read_form(request)
        expected = request.cookies.get(self._form_cookie, "")
        if not expected or not secrets.compare_digest(fields.get("form", "").encode(), expected.encode()):
            raise Refusal(403, _BY_HAND)
        return fields

    def _address(self, request: Request) -> str:
        return self._doorway.address(request.headers, request.client.host if request.client else "")
