"""The gateway's own pages: signing in, and who one is."""

from html import escape
from urllib.parse import quote

from shipline.web.identity import Person

HERE = "/shipline/"
SIGN_IN = "/shipline/sign-in"
SIGN_OUT = "/shipline/sign-out"
OPENID = "/shipline/openid"
OPENID_BACK = "/shipline/openid/back"
_FORM = """<form method="post" action="{place}">
<input type="hidden" name="form" value="{form}">
<input type="hidden" name="next" value="{then}">
{fields}
</form>"""
_BY_KEY = """<label>API token <input name="token" type="password" autocomplete="current-password" required></label>
<button>Sign in</button>"""
_BY_CODE = """<label>Name <input name="name" autocomplete="username" required></label>
<label>One-time code <input name="code" inputmode="numeric" autocomplete="one-time-code" required></label>
<button>Sign in with a code</button>"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
{head}<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:12vh auto;padding:0 1rem;color:#1c1f24}}
form{{margin:1.5rem 0}} label{{display:block;margin:.75rem 0}} input{{display:block;width:100%;font:inherit;
padding:.5rem;box-sizing:border-box;border:1px solid #9aa3af;border-radius:.3rem}} button{{font:inherit;
padding:.5rem 1rem}} .wrong{{color:#a11}}</style></head><body><h1>Shipline</h1>
{body}
</body></html>
"""


def sign_in_page(form: str, then: str, *, codes: bool, provider: str = "", wrong: str = "") -> str:
    """The ways to sign in; `form` is what the browser has to bring back, `then` where it goes on, `provider` a name."""
    told = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
    kinds = (_BY_KEY, _BY_CODE) if codes else (_BY_KEY,)
    forms = [_form(SIGN_IN, form, then, fields) for fields in kinds]
    if provider:
        link = f"{OPENID}?next={quote(then, safe='/')}"
        forms.insert(0, f'<p><a href="{escape(link)}">Sign in with {escape(provider)}</a></p>')
    hint = "<p>The token of this installation stands in <code>credentials/api-token</code> of its home.</p>"
    return _page("Sign in", "\n".join((told, *forms, "" if codes else hint)))


def person_page(person: Person, form: str) -> str:
    """Who is signed in, and the way out."""
    may = ", ".join(sorted(person.permissions)) or "nothing"
    out = _form(SIGN_OUT, form, "/", "<button>Sign out</button>") if form else ""
    return _page(
        "Shipline",
        f"<p>Signed in as <b>{escape(person.name)}</b>, who may {escape(may)}.</p>"
        f'<p><a href="/v2/">Prefect\'s pages</a></p>{out}',
    )


def same_page(place: str) -> str:
    """Asks for the same page again, from here: a link elsewhere brings no cookie along, our own page does."""
    again = f'<meta http-equiv="refresh" content="0;url={escape(place)}">'
    return _page("Shipline", f'<p><a href="{escape(place)}">Go on</a></p>', again)


def waiting_page(words: str) -> str:
    """Looks again by itself."""
    return _page("Shipline", f"<p>{escape(words)}</p>", '<meta http-equiv="refresh" content="2">')


def told_page(words: str) -> str:
    """One sentence."""
    return _page("Shipline", f"<p>{escape(words)}</p>")


def sign_in_place(then: str) -> str:
    """The address of the form, for somebody who wanted to be elsewhere."""
    return f"{SIGN_IN}?next={quote(then, safe='/')}"


def _form(place: str, form: str, then: str, fields: str) -> str:
    return _FORM.format(place=place, form=escape(form), then=escape(then), fields=fields)


def _page(title: str, body: str, head: str = "") -> str:
    return _PAGE.format(title=escape(title), body=body, head=head)
