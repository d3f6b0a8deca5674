"""The JSON Schema of `shipline.yaml`, for editors, and the reference page made of the same models.

Run as a program it writes both files: `python -m delivery.config_schema docs/reference`.
"""

import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, JsonValue

from delivery.config import Configuration
from delivery.config_findings import expected_of
from delivery.config_types import keys_of

SCHEMA_NAME = "shipline.schema.json"
REFERENCE_NAME = "configuration.md"

Schema = dict[str, JsonValue]


def schema() -> Schema:
    """JSON Schema 2020-12, descriptions included; unknown keys and names are refused everywhere."""
    made = Configuration.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_tidied_section(made)}


def schema_text() -> str:
    """The schema as it is committed."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def reference_text() -> str:
    """The reference page: a table per section, in the order in which a reader meets them."""
    lines = ["# `shipline.yaml`", "", "Made from the models by `python -m delivery.config_schema`; do not edit.", ""]
    for model in _models(Configuration, []):
        lines += _section_lines(model)
    return "\n".join(lines).rstrip() + "\n"


def write(folder: Path) -> None:
    """Write both files."""
    folder.joinpath(SCHEMA_NAME).write_text(schema_text(), encoding="utf-8")
    folder.joinpath(REFERENCE_NAME).write_text(reference_text(), encoding="utf-8")


def _tidied(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return _tidied_section(value)
    return [_tidied(one) for one in value] if isinstance(value, list) else value


def _tidied_section(section: Schema) -> Schema:
    """Without titles that only repeat names, and with what no pattern names refused."""
    kept: Schema = {}
    for key, value in section.items():
        if key in {"properties", "$defs"} and isinstance(value, dict):
            kept[key] = {name: _tidied(one) for name, one in value.items()}
        elif key == "title" and isinstance(value, str):
            continue
        else:
            kept[key] = value if key in {"default", "const", "enum"} else _tidied(value)
    if "patternProperties" in kept:
        kept.setdefault("additionalProperties", False)
    return kept


def _models(model: type[BaseModel], seen: list[type[BaseModel]]) -> list[type[BaseModel]]:
    """The model and everything it is made of, each once, outermost first."""
    if model in seen:
        return seen
    seen.append(model)
    for field in keys_of(model).values():
        for inner in _inner_models(field.annotation):
            _models(inner, seen)
    return seen


def _inner_models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _inner_models(argument)


def _section_lines(model: type[BaseModel]) -> list[str]:
    lines = [f"## {model.__name__}", "", inspect.cleandoc(model.__doc__ or ""), ""]
    lines += ["| key | what | default | meaning |", "|--|--|--|--|"]
    for name, field in keys_of(model).items():
        default = (
            "**required**"
            if field.is_required()
            else f"`{_default_text(field.get_default(call_default_factory=True))}`"
        )
        meaning = " ".join((field.description or "").split()).replace("|", "\\|")
        lines.append(f"| `{name}` | {_kind(field.annotation)} | {default} | {meaning} |")
    return [*lines, ""]


def _kind(annotation: object) -> str:
    inner = sorted({one.__name__ for one in _inner_models(annotation)})
    words = expected_of(annotation)
    if not inner:
        return words
    plain = "a text or " if words.startswith("a text or ") else ""
    links = plain + " or ".join(f"[{name}](#{name.lower()})" for name in inner)
    return f"{links} by name" if words.startswith("a section of") else f"{links} list" if "a list" in words else links


def _default_text(value: object) -> str:
    if value is None:
        return "none"
    plain = value.model_dump(mode="json", exclude_defaults=True) if isinstance(value, BaseModel) else value
    return json.dumps(plain).replace("|", "\\|")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
