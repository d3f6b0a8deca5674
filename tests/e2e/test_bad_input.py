"""What people get wrong before anything runs: exit code 2, where it stands, what to do; and nothing was changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.project import Project, configuration, environment, make_project
from tests.repositories import Made, make_repository, run_git
from tests.servers.installation import Installation

pytestmark = pytest.mark.integration
BOMB = "\n".join(
    ["version: 1", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]
)
FILES: dict[str, tuple[bytes, str]] = {
    "no mapping": (b"- just\n- a list\n", "shipline.yaml:1:1"),
    "unknown key": (b"version: 1\nstepz: {}\n", "shipline.yaml:2:1"),
    "wrong type": (b"version: 1\nsteps: {unit: {command: [1, 2]}}\n", "shipline.yaml:2:"),
    "no YAML": (b"version: 1\nsteps: {unit: [\n", "shipline.yaml:"),
    "duplicate keys": (b"version: 1\nsteps: {}\nsteps: {}\n", "shipline.yaml:3:1"),
    "tabs": (b"version: 1\nsteps:\n\tunit: {command: x}\n", "shipline.yaml:3:1"),
    "encoding": ("version: 1\n# caf\u00e9\n".encode("latin-1"), "shipline.yaml:2:6"),
    "bomb": (BOMB.encode(), "shipline.yaml:"),
    "ten megabytes": (b"version: 1\n#" + b"x" * 10_000_000, "shipline.yaml"),
    "empty": (b"", "shipline.yaml"),
}
CHECK_SECONDS = 1.0
"""Of processor time: what a person waits for on a machine that does nothing else."""


@pytest.fixture(scope="module")
def project(shipline: Installation, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A registered project whose file is good at its first commit."""
    content = configuration(environments={"dev": environment()})
    return make_project(shipline, tmp_path_factory.mktemp("bad"), "bad-input", content)


@pytest.fixture
def unchanged(project: Project) -> Callable[[], Any]:
    """What the control plane knows of the project; the same after a refused command as before."""

    def known() -> Any:  # noqa: ANN401  # JSON
        heads = project.ask("ledger", "verify")["head"]
        return [heads.get(project.slug), project.ask("project", "list"), project.ask("history")]

    return known


@pytest.mark.parametrize("what", FILES)
def test_a_bad_file_is_told_with_its_place_at_once(project: Project, tmp_path: Path, what: str) -> None:
    content, where = FILES[what]
    tree = make_repository(tmp_path).folder
    (tree / "shipline.yaml").write_bytes(content)
    result = project.installation.cli("check", "--json", cwd=tree, check=2)
    found = result.json
    problems = found.get("problems") or [found["error"]]
    assert problems[0]["where"].startswith(where), problems
    assert problems[0]["message"]
    assert result.processor_seconds < CHECK_SECONDS
    assert {path.name for path in tree.iterdir()} == {".git", "README.md", "shipline.yaml"}


def test_a_bad_file_starts_nothing_and_changes_nothing(project: Project, unchanged: Callable[[], Any]) -> None:
    before = unchanged()
    try:
        for what in ("unknown key", "bomb", "ten megabytes", "encoding"):
            content, where = FILES[what]
            (project.folder / "shipline.yaml").write_bytes(content)
            project.repository.git("commit", "--quiet", "--all", "--message", what)
            for command in ("plan", "run"):
                result = project.cli(command, "--json", check=2)
                places = [result.error["where"], *(one["where"] for one in result.json.get("problems", []))]
                assert any(place.startswith(where) for place in places), result
        (project.folder / "shipline.yaml").unlink()
        project.repository.git("commit", "--quiet", "--all", "--message", "gone")
        missing = project.cli("run", "--json", check=2).error
        assert "there is none" in missing["message"]
        assert "shipline init" in missing["hint"]
    finally:
        project.repository.git("reset", "--quiet", "--hard", project.repository.ids["first"])
    assert unchanged() == before


def test_revisions_releases_and_names_that_do_not_exist(project: Project, unchanged: Callable[[], Any]) -> None:
    before = unchanged()
    nobody = "0198c1f2-7e0a-7bbb-8f00-2f6a5b1c9d3e"
    for words in (
        ("plan", "no-such-branch"),
        ("run", "no-such-branch"),
        ("run", "--base", "no-such-branch"),
        ("run", "--only", "no-such-step"),
        ("promote", "no-such-branch", "--to", "dev"),
        ("promote", "HEAD", "--to", "dev"),
        ("promote", "HEAD", "--to", "nowhere"),
        ("rollback", "dev"),
        ("rollback", "nowhere"),
        ("status", "nowhere"),
        ("history", "nowhere"),
        ("dora", "--env", "nowhere"),
        ("secret", "set", "KEY", "--env", "nowhere"),
        ("hold", "nowhere", "--reason", "x"),
        ("approve", nobody),
        ("approve", "dev"),
        ("reject", nobody, "--reason", "no"),
        ("retry", nobody),
        ("abort", nobody, "--reason", "x"),
        ("logs", nobody),
        ("incident", "close", nobody),
        ("secret", "remove", "NOT_SET"),
        ("status", "--project", "no-such-project"),
        ("ledger", "import", "no-such-file"),
        ("dora", "--from", "yesterday"),
        ("history", "--since", "yesterday"),
        ("nonsense",),
        ("status", "--nonsense"),
    ):
        error = project.cli(*words, "--json", check=2).error
        assert set(error) >= {"code", "message", "hint", "where"}, words
        assert error["message"], words
    assert unchanged() == before


def test_folders_that_cannot_be_delivered_from_say_what_to_do(
    project: Project, tmp_path: Path, unchanged: Callable[[], Any]
) -> None:
    before = unchanged()
    plain = tmp_path / "plain"
    plain.mkdir()
    empty = make_repository(tmp_path, [], name="empty").folder
    whole = make_repository(tmp_path, [Made({"a": "1"}), Made({"a": "2"})], name="whole").folder
    run_git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{whole}", "shallow")
    for folder, said, hint in (
        (plain, "not a git repository", "git init"),
        (empty, "no commits", "git commit"),
        (tmp_path / "shallow", "shallow", "--unshallow"),
    ):
        for command in ("plan", "run"):
            error = project.installation.cli(command, "--json", cwd=folder, check=2).error
            assert (said in error["message"], hint in error["hint"]) == (True, True), error
        words = project.installation.cli("run", cwd=folder, check=2)
        assert words.out == ""
        assert len(words.err.strip().splitlines()) <= 4, "an error is at most a few lines"
    assert unchanged() == before
