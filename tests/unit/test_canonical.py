import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from delivery.canonical import canonical_bytes

_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
)  # fmt: skip


@given(_VALUES)
def test_the_bytes_are_those_of_the_standard(value: JsonValue) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"b": 1, "a": [True, None]}, b'{"a":[true,null],"b":1}'),
        ("\x00\x1f\x7f", b'"\\u0000\\u001f\x7f"'),
        ('\u2028/"\\', b'"\xe2\x80\xa8/\\"\\\\"'),
        ({"\ufb33": 1, "\U0001f600": 2}, '{"\U0001f600":2,"\ufb33":1}'.encode()),
        (1.0, b"1"),
        (1e21, b"1e+21"),
        (2**53 - 1, b"9007199254740991"),
    ],
)
def test_the_hard_cases_are_written_as_the_standard_says(value: JsonValue, written: bytes) -> None:
    assert canonical_bytes(value) == written


@pytest.mark.parametrize("value", [2**53, -(2**53), float("nan"), float("inf"), "\ud800", {"\ud800": 1}, {"a": {1, 2}}])
def test_what_json_cannot_say_is_refused(value: JsonValue) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        canonical_bytes(value)
