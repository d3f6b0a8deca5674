"""`init`, `check` and `schema`: real files and real git, no control plane."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shipline.cli.main import main

GOOD = """version: 1
steps:
  unit:
    command: "true"
"""
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shipline(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    for name in ("SHIPLINE_URL", "SHIPLINE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SHIPLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert isinstance(ended.value.code, int)
        assert not (tmp_path / "home").exists(), "no control plane is needed, and nothing is left behind"
        return ended.value.code, *capsys.readouterr()

    return call


def _git(tree: Path, *words: str) -> None:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", "-C", str(tree), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "tree"
    made.mkdir()
    _git(made, "init", "-q", "-b", "main")
    monkeypatch.chdir(made)
    return made


def test_a_calendar_that_is_not_there_is_told_in_the_work_tree_and_at_a_revision(shipline: Call, tree: Path) -> None:
    service = "services: {web: {paths: [web], build: {command: make}, run: {command: ./web}}}"
    window = "{name: company, calendar: calendars/company.ics}"
    (tree / "shipline.yaml").write_text(f"version: 1\n{service}\nenvironments: {{dev: {{freeze: [{window}]}}}}\n")
    _git(tree, "add", ".")
    _git(tree, "commit", "-qm", "one")
    problem = {
        "where": "",
        "message": "environments.dev.freeze[0].calendar: calendars/company.ics is not in the repository",
        "hint": "commit it, or remove the window",
    }
    for words in (("check",), ("check", "HEAD")):
        code, out, _ = shipline(*words, "--json")
        assert (code, json.loads(out)["problems"]) == (2, [problem])
    (tree / "calendars").mkdir()
    (tree / "calendars" / "company.ics").write_text("BEGIN:VCALENDAR")
    assert shipline("check")[0] == 0
    assert shipline("check", "HEAD")[0] == 2, "it is not committed"


def test_a_good_configuration_is_good(shipline: Call, tree: Path) -> None:
    (tree / "shipline.yaml").write_text(GOOD)
    code, out, err = shipline("check", "--json")
    assert (code, json.loads(out), err) == (0, {"ok": True, "problems": []}, "")


def test_a_bad_configuration_is_exit_2_with_places(shipline: Call, tree: Path) -> None:
    (tree / "shipline.yaml").write_text(GOOD.replace("steps:", "stpes:"))
    code, out, _ = shipline("check", "--json")
    document = json.loads(out)
    assert (code, document["ok"]) == (2, False)
    assert document["problems"][0]["where"] == "shipline.yaml:2:1"
    assert "steps" in document["problems"][0]["hint"] + document["problems"][0]["message"]
    code, out, _ = shipline("check")
    assert (code, "shipline.yaml:2:1" in out, "^" in out) == (2, True, True)


def test_check_reads_a_revision_when_one_is_named(shipline: Call, tree: Path) -> None:
    (tree / "shipline.yaml").write_text(GOOD)
    _git(tree, "add", ".")
    _git(tree, "commit", "-q", "-m", "feat: a pipeline")
    (tree / "shipline.yaml").write_text("version: 2\n")
    assert shipline("check", "HEAD")[0] == 0
    assert shipline("check")[0] == 2
    code, _, err = shipline("check", "no-such-branch")
    assert code == 2
    assert "no-such-branch" in err


@pytest.mark.usefixtures("tree")
def test_a_missing_file_says_how_to_make_one(shipline: Call) -> None:
    code, out, _ = shipline("check", "--json")
    error = json.loads(out)["error"]
    assert (code, error["where"], error["hint"]) == (2, "shipline.yaml:1:1", "write one with: shipline init")


def test_a_folder_where_the_file_should_be_is_told_with_its_place(shipline: Call, tree: Path) -> None:
    (tree / "shipline.yaml").mkdir()
    code, out, _ = shipline("check", "--json")
    error = json.loads(out)["error"]
    assert (code, error["where"]) == (2, "shipline.yaml:1:1")
    assert error["message"] == f"reading {tree / 'shipline.yaml'}: is a directory"
    code, out, _ = shipline("init", "--json")
    assert (code, json.loads(out)["error"]["where"]) == (2, "shipline.yaml:1:1")


def test_a_pipe_where_the_file_should_be_is_not_waited_for(shipline: Call, tree: Path) -> None:
    os.mkfifo(tree / "shipline.yaml")
    code, _, err = shipline("check")
    assert (code, err.splitlines()[0]) == (
        2,
        f"error: shipline.yaml:1:1: reading {tree}/shipline.yaml: it is a pipe or a device",
    )


def test_down_of_a_home_where_nothing_ever_ran_says_so(shipline: Call, tmp_path: Path) -> None:
    code, out, _ = shipline("down")
    assert (code, out) == (0, f"control plane of {tmp_path / 'home'}: nothing ever ran there\n")


def test_ten_megabytes_are_refused_at_once(shipline: Call, tree: Path) -> None:
    (tree / "shipline.yaml").write_bytes(b"# x\n" * 2_500_000)
    started = time.monotonic()
    code, _, _ = shipline("check")
    assert code == 2
    assert time.monotonic() - started < 1


def test_init_writes_a_file_that_check_accepts_and_never_replaces_one(shipline: Call, tree: Path) -> None:
    (tree / "pyproject.toml").write_text('[project]\nname = "shop"\nversion = "1"\n')
    code, out, _ = shipline("init", "--json")
    document = json.loads(out)
    assert (code, document["path"]) == (0, str(tree / "shipline.yaml"))
    assert {"path", "services", "steps"} <= set(document)
    assert shipline("check")[0] == 0
    before = (tree / "shipline.yaml").read_bytes()
    assert shipline("init")[0] == 2
    assert (tree / "shipline.yaml").read_bytes() == before


def test_the_schema_is_json_schema_2020_12(shipline: Call) -> None:
    code, out, _ = shipline("schema")
    assert (code, json.loads(out)["$schema"]) == (0, "https://json-schema.org/draft/2020-12/schema")


def test_outside_a_repository_is_exit_2_at_once(
    shipline: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["check"], ["init"], ["plan"], ["run"], ["status"]):
        code, _, err = shipline(*words)
        assert code == 2
        assert "not a git repository" in err


@pytest.mark.parametrize("words", [("plan",), ("run",), ("plan", "--dirty"), ("run", "--dirty")])
def test_a_repository_without_commits_is_told_so_before_anything_starts(
    shipline: Call, tree: Path, words: tuple[str, ...]
) -> None:
    (tree / "shipline.yaml").write_text(GOOD)
    code, out, _ = shipline(*words, "--json")
    error = json.loads(out)["error"]
    assert (code, error["message"], error["hint"]) == (
        2,
        f"reading {tree}: the repository has no commits",
        "make one: git add -A && git commit",
    )


def test_a_shallow_clone_is_told_so_before_anything_starts(
    shipline: Call, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _commit_all(tree, GOOD)
    _commit_all(tree, GOOD + "  # again\n")
    _git(tree.parent, "clone", "-q", "--depth", "1", f"file://{tree}", "shallow")
    monkeypatch.chdir(tree.parent / "shallow")
    code, out, _ = shipline("plan", "--json")
    error = json.loads(out)["error"]
    assert (code, error["message"]) == (2, f"reading {tree.parent / 'shallow'}: the clone is shallow")
    assert "git fetch --unshallow" in error["hint"]


@pytest.mark.parametrize("words", [("no-such-branch",), ("--base", "no-such-branch")])
def test_an_unknown_revision_or_base_is_told_before_anything_starts(
    shipline: Call, tree: Path, words: tuple[str, ...]
) -> None:
    _commit_all(tree, GOOD)
    code, out, _ = shipline("run", *words, "--json")
    error = json.loads(out)["error"]
    assert (code, error["code"]) == (2, "not_found")
    assert "resolving 'no-such-branch'" in error["message"]


@pytest.mark.parametrize("words", [("--only", "unti"), ("--force", "al")])
def test_a_name_that_was_misspelt_is_asked_for_before_anything_starts(
    shipline: Call, tree: Path, words: tuple[str, str]
) -> None:
    _commit_all(tree, GOOD)
    code, out, _ = shipline("run", *words, "--json")
    error = json.loads(out)["error"]
    meant = {"unti": "unit", "al": "all"}[words[1]]
    assert (code, error["code"], error["hint"]) == (2, "not_found", f"did you mean '{meant}'? known are: {meant}")


def _commit_all(tree: Path, configuration: str) -> None:
    (tree / "shipline.yaml").write_text(configuration)
    _git(tree, "add", ".")
    _git(tree, "commit", "-q", "-m", "feat: a pipeline")


@pytest.mark.parametrize("command", ["up", "status", "plan"])
@pytest.mark.parametrize("place", ["/dev/null/home", "/proc/home", "FILE"])
def test_a_home_that_cannot_be_written_is_a_mistake_of_the_caller(
    shipline: Call, tree: Path, monkeypatch: pytest.MonkeyPatch, place: str, command: str
) -> None:
    _commit_all(tree, GOOD)
    home = place.replace("FILE", str(tree / "shipline.yaml"))
    monkeypatch.setenv("SHIPLINE_HOME", home)
    code, out, _ = shipline(command, "--json")
    error = json.loads(out)["error"]
    assert (code, error["code"], error["hint"]) == (
        2,
        "configuration",
        "set SHIPLINE_HOME to a folder that you may write",
    )
    assert error["message"].startswith(f"using the home {home}: ")


def test_check_is_quick_as_a_program(tree: Path) -> None:
    """The promise is one second for a bad file of any kind; counted in processor time, as the machine is shared."""
    (tree / "shipline.yaml").write_text("a: &a [x, x]\nb: &b [*a, *a]\n")
    root = Path(__file__).parents[2]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(
        [sys.executable, "-m", "shipline.cli.main", "check"],
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ran.returncode == 2
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime < 1
