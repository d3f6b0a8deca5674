"""No form of a secret gets through, however the output is cut."""

import base64
import json
import shlex
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from delivery.masking import Mask, mask_text, secret_forms

SECRET = "p@ss w/rd'n\"2+ü"
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n"


def masked(chunks: list[bytes], *values: str) -> bytes:
    mask = Mask(values)
    return b"".join([*(mask.feed(chunk) for chunk in chunks), mask.flush()])


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        shlex.quote(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        "\n".join(SECRET),
    ],
)
def test_every_form_is_hidden(form: str) -> None:
    shown = mask_text(f"before {form} after", [SECRET])
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert "***" in shown
    assert len(shown) < len("before *** after") + 5


@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("after", range(4))
def test_base64_is_hidden_at_every_alignment(before: int, after: int) -> None:
    secret = "correct horse battery"
    text = base64.b64encode(b"u" * before + secret.encode() + b"v" * after).decode()
    shown = mask_text(text, [secret])
    assert "***" in shown
    assert len(shown) <= before * 4 / 3 + after * 4 / 3 + 3 + 9


def test_base64_wrapped_over_lines_is_hidden() -> None:
    secret = "s" + "ecret" * 30
    wrapped = base64.encodebytes(f"user:{secret}".encode()).decode()
    assert mask_text(wrapped, [secret]).count("\n") <= 1


def test_each_line_of_a_key_is_hidden_and_the_whole_too() -> None:
    assert mask_text("x MIIEvQIBADANBg y", [KEY]) == "x *** y"
    assert mask_text(f"a{KEY}b", [KEY]) == "a***\nb"
    assert "MIIE" not in mask_text(KEY.replace("\n", "\r\n"), [KEY])


def test_overlapping_secrets_are_hidden_together() -> None:
    assert mask_text("xabcdefy", ["abcd", "cdef"]) == "x***y"
    assert masked([b"xabcd", b"efy"], "abcd", "cdef") == b"x***y"


def test_a_secret_between_two_pieces_of_a_long_text_is_hidden() -> None:
    before = "x" * (1024 * 1024 - 5)
    assert mask_text(f"{before}hunter2secret.", ["hunter2secret"]) == f"{before}***."


def test_too_short_values_are_not_looked_for() -> None:
    assert mask_text("abc abc", ["abc", ""]) == "abc abc"


def test_without_secrets_everything_passes_at_once() -> None:
    assert Mask([]).feed(b"\xff\n") == b"\xff\n"


def test_ordinary_output_is_not_held_back() -> None:
    assert Mask(["hunter2secret"]).feed(b"collected 12 items\n") == b"collected 12 items\n"


def test_the_beginning_of_a_secret_waits_for_the_rest() -> None:
    mask = Mask(["hunter2secret"])
    assert mask.feed(b"token hunter2") == b"token "
    assert mask.feed(b"secret.") == b"***."
    assert mask.feed(b"and hunter") + mask.feed(b"s\n") + mask.flush() == b"and hunters\n"


def test_what_is_held_back_is_bounded() -> None:
    mask = Mask(["hunter2secret"])
    mask.feed(b"hunter2")
    for _ in range(1000):
        mask.feed(b"\n" * 1000)
    assert len(mask._held) < 1000


def test_an_endless_repetition_is_hidden_as_it_comes() -> None:
    mask = Mask(["aaaaaaaa"])
    shown = b"".join(mask.feed(b"a" * 10) for _ in range(100))
    assert shown == b"***"
    assert len(mask._held) < 100


def test_a_secret_of_stars_is_not_written_by_its_own_mask() -> None:
    assert b"****" not in masked([b"****", b"*"], "****")
    assert b"a***" not in masked([b"aa***"], "a***")


SECRETS = st.text(st.sampled_from("ab*#.-\n\r '/+é%"), min_size=4, max_size=12)


@given(
    secret=SECRETS,
    other=SECRETS,
    noise=st.lists(st.binary(max_size=6) | st.sampled_from([b"\n", b"a", b"*", b"ab"]), min_size=1, max_size=6),
    cuts=st.lists(st.integers(0, 200), max_size=8),
)
@example(secret="ababcd", other="wxyz", noise=[b"ab" + b"\n" * 400 + b"ab", b""], cuts=[2, 402])
def test_no_secret_appears_whatever_the_chunks(secret: str, other: str, noise: list[bytes], cuts: list[int]) -> None:
    values = [secret, other]
    text = b"".join(part + value.encode() for part, value in zip(noise, values * 3, strict=False))
    places = sorted({0, *(cut for cut in cuts if cut < len(text)), len(text)})
    shown = masked([text[start:end] for start, end in pairwise(places)], *values)
    for value in values:
        raw = value.encode()
        if len(value.replace("\n", "").replace("\r", "")) >= 4:
            assert raw not in shown


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=8))
def test_what_holds_no_secret_comes_through_unchanged(text: bytes, cuts: list[int]) -> None:
    places = sorted({0, *(cut for cut in cuts if cut < len(text)), len(text)})
    chunks = [text[start:end] for start, end in pairwise(places)]
    assert masked(chunks, "not-in-there-for-sure") == text


@given(
    values=st.lists(SECRETS, min_size=1, max_size=2),
    picks=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 20)), min_size=1, max_size=5),
    breaks=st.integers(0, 200),
    size=st.integers(1, 12),
)
@example(values=["'%ééb", "b\ré\r\r/"], picks=[(20, 20), (99, 20)], breaks=200, size=1)
def test_forms_and_parts_of_forms_are_masked_alike_in_pieces_and_in_one(
    values: list[str], picks: list[tuple[int, int]], breaks: int, size: int
) -> None:
    """Only line breaks may differ: many in a row are squeezed while half a secret is held back."""
    forms = secret_forms(values) or (b"none",)
    text = (b"\n" * breaks).join(forms[which % len(forms)][:length] for which, length in picks)
    shown = masked([text[at : at + size] for at in range(0, len(text), size)], *values)
    assert [form for form in secret_forms(values) if form in shown] == []
    assert shown.translate(None, b"\r\n") == masked([text], *values).translate(None, b"\r\n")


@pytest.mark.parametrize("half", [0xD800, 0xDCFF])
def test_half_a_character_hides_no_secret_and_harms_nothing(half: int) -> None:
    assert SECRET not in mask_text(f"{chr(half)} {SECRET}", [SECRET])
