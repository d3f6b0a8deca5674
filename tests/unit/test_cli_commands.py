"""The commands as a whole: help, examples, the reference, and what they import."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from shipline.cli import main
from shipline.cli.reference import ENUMERATIONS, commands, reference

ROOT = Path(__file__).parents[2]
ALL = dict(commands())
PROMISED = {
    "change": ["added", "modified", "deleted", "renamed"],
    "step action": ["run", "skip", "reuse"],
    "step state": ["Completed", "Failed", "Errored", "Skipped", "Cached", "Cancelled"],
    "run state": ["Completed", "Failed", "Errored", "Refused", "Waiting", "Cancelled"],
    "health": ["healthy", "progressing", "degraded", "down", "unknown"],
}
"""Programs rely on these; others may be added."""


@pytest.mark.parametrize("words", ALL)
def test_every_command_explains_itself_with_an_example(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main([*words.split(), "--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"Usage: shipline {words}" in told
    example = (inspect.getdoc(ALL[words]) or "").partition("Example: ")[2]
    assert f"shipline {words}" in example
    assert " ".join(example.split()) in " ".join(told.split())
    assert "--json" in told


@pytest.mark.parametrize("group", main.GROUPS)
def test_every_group_explains_itself_with_an_example(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main([group, "--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert main.GROUPS[group][0] in told
    assert f"shipline {group}" in told.partition("Example: ")[2]


def test_the_reference_is_current() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text()
    assert page == reference(), "write it with: python -m shipline.cli.reference > docs/reference/cli.md"


def test_the_reference_lists_every_value_that_a_field_may_have() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text()
    listed = {
        name: [value.strip("`") for value in values.split()]
        for name, values in (
            line.strip("| ").split(" | ", 1) for line in page.partition("## Enumerations")[2].splitlines()[4:] if line
        )
    }
    assert listed == {name: [one.value for one in kind] for name, kind in ENUMERATIONS.items()}
    for name, promised in PROMISED.items():
        assert set(promised) <= set(listed[name])


def test_help_and_a_remote_command_import_nothing_heavy() -> None:
    """Start-up is a feature: these cost more than all the rest together."""
    heavy = "{'httpx', 'rich', 'pydantic', 'prefect', 'fastapi', 'sqlalchemy', 'git', 'cryptography', 'yaml'}"
    script = (
        "import sys; from shipline.cli import main\n"
        "main.application(); main.application(['status'])\n"
        "import shipline.cli.client, shipline.cli.output\n"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_completion_offers_commands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_SHIPLINE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "shipline app")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit):
        main.main([])
    assert capsys.readouterr().out.split() == ["approvals", "approve"]
