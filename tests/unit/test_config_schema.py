"""The JSON Schema: valid, current, and of one mind with the reader."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from delivery.config_reading import read_configuration
from delivery.config_schema import REFERENCE_NAME, SCHEMA_NAME, reference_text, schema, schema_text

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
EXAMPLES = sorted(ROOT.glob("examples/**/shipline.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(schema())
HINT = "run `python -m delivery.config_schema docs/reference`"


def test_the_schema_is_valid_and_says_its_dialect() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_committed_files_are_current() -> None:
    assert (REFERENCE / SCHEMA_NAME).read_text(encoding="utf-8") == schema_text(), HINT
    assert (REFERENCE / REFERENCE_NAME).read_text(encoding="utf-8") == reference_text(), HINT


def test_docstrings_are_descriptions_for_editors() -> None:
    definitions = json.loads(schema_text())["$defs"]
    assert definitions["Step"]["description"] == "One command that tests a revision."
    assert definitions["Step"]["properties"]["needs"]["description"] == "Steps that must have succeeded first."


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_the_examples_are_valid_for_schema_and_reader(path: Path) -> None:
    assert list(VALIDATOR.iter_errors(yaml.safe_load(path.read_text(encoding="utf-8")))) == []
    read_configuration(path.read_bytes())


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"version": 2},
        {"version": 1, "servces": {}},
        {"version": 1, "steps": {"Unit": {"command": "x"}}},
        {"version": 1, "steps": {"unit": {}}},
        {"version": 1, "steps": {"unit": {"command": []}}},
        {"version": 1, "steps": {"unit": {"command": "x", "environment": {"A": 1}}}},
        {"version": 1, "steps": {"unit": {"command": "x", "secrets": {"A": "plain"}}}},
        {"version": 1, "steps": {"unit": {"command": "x", "timeout_seconds": 0}}},
        {"version": 1, "environments": {"dev": {"tier": "prod"}}},
    ],
    ids=json.dumps,
)
def test_what_the_reader_refuses_by_type_the_schema_refuses_too(document: dict[str, object]) -> None:
    assert not VALIDATOR.is_valid(document)
