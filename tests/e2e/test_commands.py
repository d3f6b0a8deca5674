"""Every command as a program sees it: one JSON document with the fields of the contract, and the right exit code."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.e2e.project import Document, Project, built, configuration, environment, make_project, promoted
from tests.e2e.secrets import places_with
from tests.repositories import run_git
from tests.servers.installation import Installation

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]
TOKEN = "s3cr3t-t0ken-of-the-commands"
PAST = "2020-01-01T00:00:00Z"

SERVICE = {"name", "digest", "version", "revision", "live_from", "health", "previous"}
PROMOTION = {
    **dict.fromkeys(("id", "environment", "state", "reasons", "url"), ...),
    "services": [{"name", "from", "to"}],
}
HOLD = {"environment", "hold"}
COMPONENTS = {"components": [{"name", "state", "version", "url", "pid"}]}
SECRETS = [{"name", "scope", "owner", "expires_at", "last_used_at"}]
POLICY = {"version", "environments", "proposed"}
LEDGER = {"ok", "rows"}
INCIDENTS = [{"id", "environment", "caused_by", "opened_at", "mitigated_at", "resolved_at", "state"}]
STEP = {"name", "service", "state", "attempts", "seconds", "reused", "log"}
CONTRACT: dict[tuple[str, ...], Any] = {
    ("check",): {"ok", "problems"},
    ("plan",): {
        **dict.fromkeys(("revision", "base", "base_because"), ...),
        "changed": [{"path", "change"}],
        "services": [{"name", "impacted", "because"}],
        "steps": [{"name", "service", "action", "because"}],
        "deploys": [{"environment", "waits_for"}],
    },
    ("approvals",): [
        {
            *("id", "environment", "release", "digests", "requested_at", "expires_at"),
            *("requires", "given", "changes", "url"),
        }
    ],
    ("status",): {"environments": [{"name", "services", "waiting", "hold"}]},
    ("history",): [
        {
            *("id", "environment", "kind", "state", "release", "started_at", "live_from", "finished_at"),
            *("by", "approvals", "rollback_of", "caused_by_incident"),
        }
    ],
    ("dora",): {"window", "edition", "variant", "n", "metrics", "rows"},
    ("cache", "why", "tell"): {
        **dict.fromkeys(("project", "revision"), ...),
        "steps": [{"id", "name", "service", "key", "action", "reusable", "because", "nearest", "differs"}],
    },
    ("cache", "stats"): {
        "project": ...,
        "steps": {"executed", "reused", "hit_rate", "executed_seconds", "saved_seconds"},
        "size": {"bytes", "results", "blobs", "needed_bytes"},
        "shared": ...,
    },
    ("cache", "gc", "--keep", "30d", "--yes"): {"keep", "removed", "results", "blobs", "bytes", "kept"},
    ("ledger", "verify"): {"ok", "rows", "head", "broken"},
    ("ledger", "rebuild"): LEDGER,
    ("ledger", "reconcile"): LEDGER,
    ("secret", "list"): SECRETS,
    ("policy",): POLICY,
    ("policy", "accept"): POLICY,
    ("project", "add"): {"slug", "source", "default_branch"},
    ("project", "list"): [{"slug", "source", "default_branch"}],
    ("hold", "dev", "--reason", "the fair is on"): HOLD,
    ("unhold", "dev"): HOLD,
    ("up",): COMPONENTS,
    ("doctor",): COMPONENTS,
}
"""By the words of a command: what its document has at least. A list is never empty; a set is names only."""


def lacking(document: Any, wanted: Any, place: str = "") -> list[str]:  # noqa: ANN401  # JSON
    """Where a document lacks what it should have."""
    if wanted is ...:
        return []
    if isinstance(wanted, list):
        if not isinstance(document, list) or not document:
            return [f"{place} is no list with something in it"]
        return [found for one in document for found in lacking(one, wanted[0], f"{place}[]")]
    fields = wanted if isinstance(wanted, dict) else dict.fromkeys(wanted, ...)
    found = [f"{place}.{name}" for name in fields if name not in document]
    for name in fields.keys() & document.keys():
        found += lacking(document[name], fields[name], f"{place}.{name}")
    return found


@pytest.fixture(scope="module")
def delivered(shipline: Installation, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Document]:
    """A project that runs in dev and waits for production, with a commit on top; and the run that did it."""
    said = 'echo "it is $TOKEN"; printf %s "$TOKEN" | base64; printf "%s\\n" "${TOKEN:0:9}" "${TOKEN:9}"'
    content = configuration(
        environments={"dev": environment(), "production": environment("dev", 1, tier="production")},
        steps={"tell": {"command": said, "secrets": {"TOKEN": "secret:TOKEN"}}},
    )
    project = make_project(shipline, tmp_path_factory.mktemp("commands"), "commands", content)
    assert lacking(project.ask("secret", "set", "TOKEN", given=TOKEN), SECRETS) == []
    run = project.ask("run", "--request", "nightly-7")
    assert run["state"] == "Waiting"
    project.commit({"web/version": "2"})
    return project, run


def test_a_sandboxed_step_that_reads_what_it_does_not_declare_fails_and_names_the_file(
    shipline: Installation, tmp_path: Path
) -> None:
    honest = {"command": "cat data/in", "inputs": ["data"]}
    sly = {"command": "cat data/in hidden/setting", "inputs": ["data"]}
    content = configuration(environments={}, steps={"honest": honest, "sly": sly})
    project = make_project(shipline, tmp_path, "sandbox", content)
    project.commit({"data/in": "x", "hidden/setting": "y", "hidden/other": "z"})
    assert project.ask("run")["state"] == "Completed"
    run = project.ask("run", "--only", "sly", "--only", "honest", "--sandbox", check=1)
    assert {one["name"]: one["state"] for one in run["steps"]} == {"honest": "Completed", "sly": "Failed"}
    reason = "it passes in a whole checkout, and reads there what its inputs do not name: hidden/setting"
    assert [one["reason"].partition("; ")[2] for one in run["steps"] if one["name"] == "sly"] == [reason]
    assert reason in project.cli("run", "--only", "sly", "--sandbox", check=1).out
    project.commit({"hidden/setting": "changed"})
    [sly_now] = project.ask("cache", "why", "sly")["steps"]
    assert (sly_now["reusable"], sly_now["because"][:31]) == (True, "nothing differs: reused from ru")
    project.commit({"data/in": "changed"})
    [sly_now] = project.ask("cache", "why", "sly")["steps"]
    assert sly_now["because"].startswith("its inputs differ: data/in (modified), compared with run ")


def test_a_run_tells_its_steps_artifacts_and_promotions(delivered: tuple[Project, Document]) -> None:
    project, run = delivered
    wanted = {
        **dict.fromkeys(("id", "revision", "state", "url"), ...),
        "steps": [STEP],
        "artifacts": [{"service", "digest", "reused"}],
        "promotions": [{"id", "environment", "state"}],
    }
    assert lacking(run, wanted) == []
    assert project.ask("run", run["revision"], "--request", "nightly-7")["id"] == run["id"], "one request, one effect"


@pytest.mark.parametrize("words", CONTRACT, ids=" ".join)
def test_a_commands_document_has_what_the_contract_says(
    delivered: tuple[Project, Document], words: tuple[str, ...]
) -> None:
    assert lacking(delivered[0].ask(*words), CONTRACT[words]) == []


@pytest.mark.parametrize("words", CONTRACT, ids=" ".join)
def test_without_json_a_person_reads_something(delivered: tuple[Project, Document], words: tuple[str, ...]) -> None:
    said = delivered[0].cli(*words).out
    assert said.strip()
    assert "\x1b" not in said, "no colour where nobody looks"


def test_init_and_schema_fit_each_other(delivered: tuple[Project, Document]) -> None:
    project, _ = delivered
    place = project.folder.parent / "new"
    place.mkdir()
    run_git(place, "init", "--quiet")
    (place / "go.mod").write_text("module example.org/new\n")
    made = project.installation.cli("init", "--json", cwd=place).json
    assert lacking(made, {"path", "services", "steps"}) == []
    assert project.installation.cli("check", "--json", cwd=place).json == {"ok": True, "problems": []}
    Draft202012Validator.check_schema(project.ask("schema"))


def test_promoting_what_waits_already_is_that_promotion(delivered: tuple[Project, Document]) -> None:
    project, run = delivered
    waiting = promoted(run)["production"]["id"]
    for what in (run["revision"], project.waiting("production")["release"], built(run)["web"]):
        asked = project.ask("promote", what, "--to", "production")
        assert lacking(asked, PROMOTION) == []
        assert (asked["id"], asked["state"], asked["reasons"]) == (waiting, "Waiting", ["waiting for 1 approval"])


def test_status_tells_what_runs_and_why_something_waits(delivered: tuple[Project, Document]) -> None:
    project, run = delivered
    dev, production = project.ask("status")["environments"]
    (web,) = dev["services"]
    assert set(web) >= SERVICE
    assert (web["digest"], web["revision"], web["health"]) == (built(run)["web"], run["revision"], "healthy")
    assert [one["because"] for one in production["waiting"]] == ["Waiting: waiting for 1 approval"]
    assert project.ask("status", "production")["environments"] == [production]


def test_logs_are_there_after_the_run_and_hide_its_secret(delivered: tuple[Project, Document]) -> None:
    project, run = delivered
    said = project.cli("logs", run["id"], "--step", "tell").out
    assert said.startswith("it is ***")
    assert TOKEN[:9] not in said
    assert project.ask("logs", run["id"], "--step", "tell")["lines"] == said.splitlines()
    lines = project.cli("logs", run["id"], "--follow").out.splitlines()
    assert [line for line in lines if line.startswith("tell | ")] == [f"tell | {line}" for line in said.splitlines()]
    assert lines == project.ask("logs", run["id"])["lines"]
    unknown = project.ask("logs", run["id"], "--step", "tlel", check=2)["error"]
    assert (unknown["code"], unknown["hint"]) == ("not_found", "known are: tell, build:web")
    assert project.cli("logs", promoted(run)["dev"]["id"]).out.strip()
    assert places_with(project.installation.home, TOKEN) == []


def test_rebuilding_the_projections_changes_nothing(delivered: tuple[Project, Document]) -> None:
    project, _ = delivered

    def seen() -> list[Document]:
        at = ("--from", PAST, "--to", "2030-01-01T00:00:00Z")
        shown = [project.ask(*words) for words in (("status",), ("history",), ("dora", "--env", "dev", *at))]
        shown[0].pop("control_plane")
        return [*shown, head(project)]

    before = seen()
    assert project.ask("ledger", "rebuild")["ok"]
    assert seen() == before
    assert project.ask("ledger", "reconcile")["appended"] == 0


def head(project: Project) -> Document:
    """The newest entry of the project's chain, which is whole."""
    verified = project.ask("ledger", "verify")
    assert (verified["ok"], verified["broken"]) == (True, [])
    return dict(verified["head"][project.slug])


def test_what_is_exported_is_known_when_it_comes_back(delivered: tuple[Project, Document]) -> None:
    project, _ = delivered
    lines = project.cli("ledger", "export").out
    entries = [json.loads(line) for line in lines.splitlines()]
    assert entries == project.ask("ledger", "export")
    again = project.ask("ledger", "import", "-", given=lines)
    assert (again["ok"], again["appended"], again["skipped"]) == (True, 0, len(entries))
    assert project.ask("ledger", "verify")["ok"]


def test_an_import_with_a_bad_line_changes_nothing(delivered: tuple[Project, Document]) -> None:
    project, _ = delivered
    before = head(project)
    project.cli("ledger", "import", "-", "--json", given='{"kind": "nonsense"}\nno JSON\n', check=2)
    assert head(project) == before


def test_another_systems_history_is_imported_and_measured(
    delivered: tuple[Project, Document], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("imported")
    project = make_project(delivered[0].installation, folder, "imported", {"version": 1})
    history = [line for day in range(1, 7) for line in deployed(day)]
    history += [
        {"kind": "incident.opened", "at": "2026-11-05T10:30:00Z", "body": {"id": "i1", "caused_by": "d5"}},
        {"kind": "incident.resolved", "at": "2026-11-05T11:00:00Z", "body": {"id": "i1"}},
    ]
    (folder / "history.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in history))
    assert project.ask("ledger", "import", str(folder / "history.jsonl"))["appended"] == len(history)
    window = ("--from", "2026-11-01T00:00:00Z", "--to", "2026-11-08T00:00:00Z")
    measured = project.ask("dora", "--env", "prod", *window)
    assert (measured["n"], measured["metrics"]["change_lead_time"]["value"]) == (6, 3600)
    assert measured["metrics"]["change_fail_rate"]["value"] == pytest.approx(1 / 6)
    assert lacking(project.ask("incidents"), INCIDENTS) == []


def deployed(day: int) -> list[Document]:
    """What another system knows of a deployment: live an hour after its commit, in place of yesterday's."""
    at, name = f"2026-11-0{day}T10:00:00Z", f"d{day}"
    body = {"promotion": name, "service": "api", "environment": "prod", "tier": "production", "revision": name}
    commits = [{"id": name, "committed_at": f"2026-11-0{day}T09:00:00Z"}]
    return [
        {"kind": "deployment.live", "at": at, "body": {**body, "previous": f"d{day - 1}/api"}},
        {"kind": "deployment.commits", "at": at, "body": {"deployment": f"{name}/api", "commits": commits}},
    ]


def test_another_project_with_the_same_names_is_not_met(
    delivered: tuple[Project, Document], tmp_path_factory: pytest.TempPathFactory
) -> None:
    project, _ = delivered
    other = make_project(project.installation, tmp_path_factory.mktemp("other"), "other", project.configuration)
    other.ask("policy", "accept")
    assert [one["services"] for one in other.ask("status")["environments"]] == [[], []]
    for nothing in (("history",), ("approvals",), ("incidents",), ("secret", "list")):
        assert other.ask(*nothing) == [], nothing
    other.ask("hold", "dev", "--reason", "only here")
    assert project.ask("status", "dev")["environments"][0]["hold"] is None
    assert [one["action"] for one in other.ask("plan")["steps"]] == ["run"], "nothing is reused from the other"
    assert other.ask("status", "--project", project.slug) == project.ask("status")


def test_two_clones_of_one_source_are_one_project(delivered: tuple[Project, Document]) -> None:
    project, _ = delivered
    clone = project.folder.parent / "clone-of-it"
    run_git(project.folder.parent, "clone", "--quiet", str(project.folder), str(clone))
    cli = project.installation.cli
    added = cli("project", "add", "--json", cwd=clone).json
    assert added["slug"] == project.slug
    assert cli("history", "--json", cwd=clone).json == project.ask("history")
    assert [one["slug"] for one in project.ask("project", "list")].count(project.slug) == 1
