"""JSON documents in columns: how they are written, and how one asks for equal fields."""

import json
import re
from collections.abc import Mapping

from pydantic import JsonValue
from sqlalchemy import ColumnElement, and_, false, literal, or_
from sqlalchemy.dialects.postgresql import JSONB

_encode = json.JSONEncoder(ensure_ascii=False).encode
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def storable(fields: Mapping[str, JsonValue]) -> str:
    """JSON that PostgreSQL takes: it has no U+0000 and no half surrogates, which show as U+FFFD and `?`."""
    text = _encode(fields)
    if "\\u0000" in text:
        text = _NUL.sub(r"\1\\ufffd", text)
    return text.encode(errors="replace").decode()


def equals(document: ColumnElement[JsonValue], field: str, wanted: JsonValue) -> ColumnElement[bool]:
    """Whether a top-level field is exactly this; nothing equals null. The index answers all but null."""
    value = document[field]
    if wanted is None:
        return or_(value.is_(None), value == literal(None, JSONB(none_as_null=False)))
    contains = document.op("@>", is_comparison=True)(literal({field: wanted}, JSONB))
    if isinstance(wanted, dict | list):
        return and_(contains, value == literal(wanted, JSONB))
    return contains


def equals_any(document: ColumnElement[JsonValue], field: str, wanted: JsonValue) -> ColumnElement[bool]:
    """As `equals`, but a list means any of its members."""
    if not isinstance(wanted, list):
        return equals(document, field, wanted)
    return or_(false(), *(equals(document, field, one) for one in wanted))
