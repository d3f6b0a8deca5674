"""The command line as other programs use it: words in, JSON, exit codes and files out.

The control plane behind it is `tests.servers.control_api`; what the commands promise is the same for the real one.
"""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shipline.cli import follow
from shipline.cli.main import main
from tests.repositories import Content, Made, make_repository, run_git
from tests.servers import control_documents as documents
from tests.servers.control_api import TOKEN, ControlApi, control_api
from tests.servers.control_documents import DIGEST, OTHER_PROMOTION, PROMOTION, RUN

ROOT = Path(__file__).parents[2]


@dataclass
class Ended:
    """How a call ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401  # JSON
        return json.loads(self.out)


Shipline = Callable[..., Ended]


@pytest.fixture(scope="module")
def server() -> Iterator[ControlApi]:
    with control_api() as running:
        yield running


@pytest.fixture
def api(server: ControlApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ControlApi:
    """The control plane of the test, and a work tree to stand in."""
    server.answers = {
        "GET /projects": [[{**documents.PROJECT, "location": str(tmp_path / "shop")}]],
        "POST /projects": [documents.PROJECT],
        f"GET /promotions/{PROMOTION}": [documents.promotion("Waiting", evidence=["api-token"])],
    }
    server.errors, server.logs, server.export, server.asked, server.finished = {}, {}, [], [], True
    (tmp_path / "shop" / "api").mkdir(parents=True)
    run_git(tmp_path / "shop", "init", "--quiet")
    monkeypatch.chdir(tmp_path / "shop" / "api")
    monkeypatch.setenv("SHIPLINE_URL", server.url)
    monkeypatch.setenv("SHIPLINE_TOKEN", TOKEN)
    monkeypatch.setenv("SHIPLINE_HOME", str(tmp_path / "home"))
    return server


@pytest.fixture
def shipline(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shipline:
    def call(*words: str, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(words)
        out, err = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, out, err)

    return call


def _environment(api: ControlApi) -> dict[str, str]:
    return {**os.environ, "SHIPLINE_URL": api.url, "SHIPLINE_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}


# Every command's JSON


READING = {
    ("plan",): ("GET /projects/shop/plan", documents.PLAN),
    ("approvals",): ("GET /projects/shop/approvals", [documents.approval()]),
    ("status",): ("GET /projects/shop/status", documents.STATUS),
    ("history",): ("GET /projects/shop/history", documents.HISTORY),
    ("incidents",): ("GET /projects/shop/incidents", documents.INCIDENTS),
    ("dora",): ("GET /projects/shop/dora", documents.DORA),
    ("secret", "list"): ("GET /projects/shop/secrets", documents.SECRETS),
    ("policy",): ("GET /projects/shop/policy", documents.POLICY),
    ("project", "list"): ("GET /projects", [documents.PROJECT]),
    ("cache", "why", "unit"): ("GET /projects/shop/cache/why", documents.WHY),
    ("cache", "stats"): ("GET /projects/shop/cache/stats", documents.CACHE_STATS),
    ("cache", "gc", "--keep", "30d"): ("GET /cache/gc", documents.CACHE_REMOVAL),
    ("ledger", "verify"): ("GET /ledger/verify", {"ok": True, "rows": 3, "head": documents.HEAD, "broken": []}),
}


@pytest.mark.parametrize(("words", "answer"), READING.items(), ids=map(" ".join, READING))
def test_json_is_the_whole_of_standard_output(
    api: ControlApi, shipline: Shipline, words: tuple[str, ...], answer: tuple[str, Any]
) -> None:
    what, document = answer
    api.answers[what] = [document]
    ended = shipline(*words, "--json")
    assert (ended.code, ended.document, ended.err) == (0, document, "")


@pytest.mark.parametrize(("words", "answer"), READING.items(), ids=map(" ".join, READING))
def test_without_json_people_read_lines_without_colour_in_a_pipe(
    api: ControlApi, shipline: Shipline, words: tuple[str, ...], answer: tuple[str, Any]
) -> None:
    what, document = answer
    api.answers[what] = [document]
    ended = shipline(*words)
    assert ended.code == 0
    assert ended.out.strip()
    assert "\x1b" not in ended.out
    assert not ended.out.lstrip().startswith(("{", "["))


def test_a_plan_says_for_every_step_what_happens_and_why(api: ControlApi, shipline: Shipline) -> None:
    api.answers["GET /projects/shop/plan"] = [documents.PLAN]
    ended = shipline(
        "plan", "feature", "--base", "main", "--only", "unit,lint", "--only", "e2e", "--force", "all", "--dirty"
    )
    assert api.query("GET /projects/shop/plan") == {
        "revision": "feature",
        "base": "main",
        "dirty": "true",
        "only": "unit,lint,e2e",
        "force": "all",
    }
    words = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert "revision 4f3a2b1c4f3a, version 1.2.0, base 1a2b3c4d1a2b (the last successful revision of main)" in words[0]
    assert "unit api run api is impacted" in words
    assert "lint reuse same inputs as before" in words
    assert "staging 1 approval; verified in dev" in words


def test_a_plan_says_what_each_gate_would_say(api: ControlApi, shipline: Shipline) -> None:
    passing = {"gate": "clean", "passed": True, "waiting": False, "reasons": [], "until": None, "unblocked_by": None}
    soaking = {**passing, "gate": "soaked", "passed": False, "waiting": True, "reasons": ["soaks in dev"]}
    soaking |= {"until": "2026-03-01T13:00:00.000000Z", "unblocked_by": "time"}
    bad = {**passing, "gate": "not bad", "passed": False, "reasons": ["abab is marked bad", "cdcd is marked bad"]}
    api.answers["GET /projects/shop/plan"] = [{**documents.PLAN, "to": "staging", "gates": [passing, soaking, bad]}]
    words = [" ".join(line.split()) for line in shipline("plan", "--to", "staging").out.splitlines()]
    assert api.query("GET /projects/shop/plan") == {"to": "staging"}
    assert words[words.index("what its gates would say in staging now") + 2 :][:3] == [
        "clean passes",
        "soaked waits soaks in dev 2026-03-01T13:00:00Z time",
        "not bad refuses abab is marked bad; cdcd is marked bad",
    ]


STANDS = {
    "because": "Waiting: frozen by 'audit'",
    "since": "2026-03-01T12:00:00.000000Z",
    "until": "2026-03-01T13:00:00.000000Z",
    "unblocked_by": "time; a hotfix passes",
}


def test_what_waits_says_since_when_until_when_and_what_helps(api: ControlApi, shipline: Shipline) -> None:
    environment = {**documents.STATUS["environments"][1], "waiting": [{"id": PROMOTION, **STANDS}], "hold": None}
    api.answers["GET /projects/shop/status"] = [{"environments": [environment]}]
    lines = shipline("status").out.splitlines()
    assert lines[lines.index(f"production: {PROMOTION} waits: Waiting: frozen by 'audit'") + 1 :] == [
        "  waits since 2026-03-01T12:00:00Z, until 2026-03-01T13:00:00Z",
        "  unblocked by time; a hotfix passes",
    ]
    api.answers["GET /projects/shop/approvals"] = [[{**documents.approval(), **STANDS}]]
    assert "  unblocked by time; a hotfix passes" in shipline("approvals").out.splitlines()


def test_status_shows_what_runs_what_waits_and_what_is_held(api: ControlApi, shipline: Shipline) -> None:
    api.answers["GET /projects/shop/status"] = [documents.STATUS]
    words = [" ".join(line.split()) for line in shipline("status").out.splitlines()]
    assert "staging api 1.2.0 abababababab 2026-03-01T12:00:00Z healthy cdcdcdcdcdcd http://127.0.0.1:8081" in words
    assert "staging: differs from the ledger: api: serves cdcd, the ledger says abab" in words
    assert f"staging: incident {documents.INCIDENT} is open" in words
    assert "production nothing yet" in words
    assert f"production: {PROMOTION} waits: waits for 1 approval" in words
    assert "production: held: the sale is on" in words
    assert "control plane: 345 MB" in words


def test_status_shows_the_queue_and_how_long_starts_took(api: ControlApi, shipline: Shipline) -> None:
    api.answers["GET /projects/shop/status"] = [{"environments": [], "queue": documents.QUEUE}]
    words = [" ".join(line.split()) for line in shipline("status").out.splitlines()]
    assert f"2 promotion into staging {documents.PROMOTION} 1.5 s 2026-03-01T12:00:00Z" in words
    assert f"7 run {documents.RUN} 1 min 20 s 2026-03-01T11:58:41Z" in words
    assert "queue: 9 waiting, 4 at work; 31 started in the last hour, half within 0.1 s, 95 % within 0.4 s" in words


def test_a_long_queue_is_cut_for_people_and_whole_for_programs(api: ControlApi, shipline: Shipline) -> None:
    waiting = [{**documents.QUEUE["waiting"][1], "place": place} for place in range(1, 31)]
    status = {"environments": [], "queue": {**documents.QUEUE, "waiting": waiting}}
    api.answers["GET /projects/shop/status"] = [status]
    assert "... and 10 more; --json lists all" in shipline("status").out.splitlines()
    assert len(shipline("status", "--json").document["queue"]["waiting"]) == 30


def test_a_run_that_waits_says_its_place_whenever_that_changes(api: ControlApi, shipline: Shipline) -> None:
    places = [documents.run("Queued", finished=False, queue={"place": place, "of": 9}) for place in (4, 4, 3, 1)]
    _run_turns(api, *places, documents.run("Completed"))
    said = [line for line in shipline("run").out.splitlines() if "place" in line]
    assert said == ["waits in place 4 of 9", "waits in place 3 of 9", "waits in place 1 of 9"]


def test_what_is_no_service_is_told_by_run_status_and_policy(api: ControlApi, shipline: Shipline) -> None:
    note = "nothing is deployed: no service is declared"
    _run_turns(api, documents.run("Completed", note=f"version 1.2.0; {note}"))
    assert shipline("run").out.splitlines()[-1] == f"version 1.2.0; {note}"
    api.answers["GET /projects/shop/status"] = [{"environments": [], "note": note}]
    assert note in shipline("status").out.splitlines()
    api.answers["GET /projects/shop/policy"] = [{"version": 0, "environments": {}, "proposed": [], "note": note}]
    assert shipline("policy").out.splitlines()[-1] == note


def test_dora_never_shows_zero_for_no_data(api: ControlApi, shipline: Shipline) -> None:
    api.answers["GET /projects/shop/dora"] = [documents.DORA]
    ended = shipline(
        "dora",
        "--env",
        "production",
        "--from",
        "2026-02-01T00:00:00Z",
        "--variant",
        "seed-a",
        "--ignore-author",
        "a robot",
        "--ignore-author",
        "b",
    )
    assert api.query("GET /projects/shop/dora") == {
        "environment": "production",
        "from": "2026-02-01T00:00:00Z",
        "variant": "seed-a",
        "ignore_author": "b",
    }
    words = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert "METRIC VALUE BAND N SEED-A READ WITH" in words
    assert "change lead time 1 h 30 min elite 12 2 h 0 min" in words
    assert "change fail rate 25.0% low 12 unknown not monotone" in words
    assert "failed deployment recovery time insufficient data 0 the same" in words


# A run


def _run_turns(api: ControlApi, *turns: Any) -> None:  # noqa: ANN401  # JSON
    api.answers["POST /projects/shop/runs"] = [{"id": RUN}]
    api.answers[f"GET /runs/{RUN}"] = list(turns)


@pytest.mark.parametrize(
    ("state", "code"),
    [("Completed", 0), ("Waiting", 0), ("Failed", 1), ("Errored", 3), ("Refused", 4), ("Cancelled", 4)],
)
def test_a_runs_state_is_its_exit_code(api: ControlApi, shipline: Shipline, state: str, code: int) -> None:
    _run_turns(api, documents.run("Queued", finished=False), documents.run(state))
    ended = shipline("run", "--json")
    assert (ended.code, ended.document["state"]) == (code, state)


def test_a_run_is_asked_for_with_what_was_typed(api: ControlApi, shipline: Shipline) -> None:
    _run_turns(api, documents.run("Completed"))
    shipline(
        "run",
        "main",
        "--base",
        "v1",
        "--only",
        "unit",
        "--force",
        "api",
        "--fail-fast",
        "--sandbox",
        "--request",
        "push-17",
    )
    assert api.body("POST /projects/shop/runs") == {
        "revision": "main",
        "base": "v1",
        "dirty": False,
        "only": ["unit"],
        "force": ["api"],
        "fail_fast": True,
        "hotfix": False,
        "sandbox": True,
        "request": "push-17",
    }


def test_a_work_tree_that_is_not_known_there_is_registered_by_its_origin(
    api: ControlApi, shipline: Shipline, tmp_path: Path
) -> None:
    repository = make_repository(tmp_path, name="unknown")
    api.answers |= {"POST /projects": [documents.PROJECT], "GET /projects/shop/status": [documents.STATUS]}
    assert shipline("status", "--project", str(repository.folder)).code == 0
    assert api.body("POST /projects") == {"location": str(repository.folder)}
    repository.git("remote", "add", "origin", "git@git.example:team/unknown.git")
    assert shipline("status", "--project", str(repository.folder)).code == 0
    assert api.body("POST /projects") == {"location": "git@git.example:team/unknown.git"}


def test_a_work_tree_elsewhere_asks_for_its_own_commits(api: ControlApi, shipline: Shipline, tmp_path: Path) -> None:
    repository = make_repository(tmp_path, [Made({"a": "1"}, label="one"), Made({"a": "2"}, label="two")], name="far")
    repository.git("remote", "add", "origin", "https://git.example/team/far.git")
    known = {**documents.PROJECT, "source": "git.example/team/far", "location": "/on/the/server"}
    api.answers |= {"GET /projects": [[known]], "GET /projects/shop/plan": [documents.PLAN]}
    for words, asked in (
        ((), {"revision": repository.ids["two"]}),
        (("HEAD~1", "--base", "HEAD"), {"revision": repository.ids["one"], "base": repository.ids["two"]}),
        (("v1-of-the-server",), {"revision": "v1-of-the-server"}),
    ):
        assert shipline("plan", *words, "--project", str(repository.folder)).code == 0
        assert api.query("GET /projects/shop/plan") == asked
    refused = shipline("plan", "--dirty", "--project", str(repository.folder))
    assert (refused.code, "reads the project's source, not this work tree" in refused.err) == (2, True)


def test_two_calls_are_two_requests(api: ControlApi, shipline: Shipline) -> None:
    _run_turns(api, documents.run("Completed"))
    shipline("run")
    shipline("run")
    requests = {body["request"] for what, _, body in api.asked if what == "POST /projects/shop/runs"}
    assert len(requests) == 2


def test_a_run_streams_its_steps_lines_under_their_names(api: ControlApi, shipline: Shipline) -> None:
    api.logs[f"{RUN}/unit@api"] = "first\nzweite Zeile: ü\nno end".encode()
    api.logs[f"{RUN}/lint"] = b"\xff clean\n"
    unit = documents.step("unit", "Running", "api")
    _run_turns(
        api,
        documents.run("Running", unit, documents.step("lint", "Pending"), finished=False),
        documents.run("Running", unit, documents.step("lint", "Completed"), finished=False),
        documents.run("Completed", documents.step("unit", "Completed", "api"), documents.step("lint", "Completed")),
    )
    lines = shipline("run").out.splitlines()
    assert lines[: lines.index("")] == [
        f"run {RUN}",
        "unit@api: started",
        "unit@api | first",
        "unit@api | zweite Zeile: ü",
        "lint | � clean",
        "lint: Completed after 1.2 s",
        "unit@api | no end",
        "unit@api: Completed after 1.2 s",
    ]


def test_with_json_a_runs_lines_go_to_standard_error(api: ControlApi, shipline: Shipline) -> None:
    api.logs[f"{RUN}/unit"] = b"a line\n"
    _run_turns(api, documents.run("Completed", documents.step("unit", "Completed")))
    ended = shipline("run", "--json")
    assert ended.document["id"] == RUN
    assert "unit | a line" in ended.err


def test_failed_tests_come_first_with_their_output(api: ControlApi, shipline: Shipline) -> None:
    report = {
        "tests": 7,
        "failures": 1,
        "failed": [{"name": "test_sum", "message": "assert 3 == 4", "output": "E  assert 3 == 4"}],
    }
    _run_turns(
        api,
        documents.run(
            "Failed",
            documents.step("lint", "Completed"),
            documents.step("unit", "Failed", "api", reason="1 of 7 tests failed", report=report),
        ),
    )
    ended = shipline("run")
    summary = ended.out[ended.out.index("\nunit@api Failed") :]
    assert summary.splitlines()[1:4] == [
        "unit@api Failed: 1 of 7 tests failed",
        "  test_sum: assert 3 == 4",
        "    E  assert 3 == 4",
    ]
    assert summary.index("test_sum") < summary.index("STEP")


def test_a_failed_step_without_a_report_shows_its_last_lines(api: ControlApi, shipline: Shipline) -> None:
    api.logs[f"{RUN}/build"] = b"".join(b"line %d\n" % number for number in range(30))
    _run_turns(api, documents.run("Errored", documents.step("build", "Errored", reason="ran out of time")))
    ended = shipline("run")
    summary = ended.out[ended.out.index("\nbuild Errored: ran out of time") :]
    assert summary.splitlines()[2:4] == ["  line 10", "  line 11"]
    assert ended.code == 3


def test_a_run_that_waits_says_what_to_type(api: ControlApi, shipline: Shipline) -> None:
    waiting = {"id": PROMOTION, "environment": "staging", "state": "Waiting"}
    artifacts = [{"service": "api", "digest": DIGEST, "reused": False}]
    _run_turns(api, documents.run("Waiting", artifacts=artifacts, promotions=[waiting]))
    api.answers[f"GET /promotions/{PROMOTION}"] = [documents.promotion("Waiting", reasons=["waits for 1 approval"])]
    ended = shipline("run")
    assert ended.code == 0
    assert DIGEST in ended.out
    assert "staging: Waiting (waits for 1 approval)" in ended.out
    assert f"  approve with: shipline approve {PROMOTION}\n" in ended.out
    assert f"http://ui.example/{PROMOTION}" in ended.out


def test_who_waits_for_time_is_not_asked_to_approve(api: ControlApi, shipline: Shipline) -> None:
    asked = documents.promotion("Waiting", reasons=["frozen by 'audit'"], asks_a_person=False, **STANDS)
    api.answers["POST /projects/shop/promotions"] = [asked]
    api.answers[f"GET /promotions/{PROMOTION}"] = [asked]
    ended = shipline("promote", "main", "--to", "staging")
    assert ended.code == 0
    assert "approve" not in ended.out
    assert f"  follow it with: shipline logs {PROMOTION} --follow\n" in ended.out
    assert "  waits since 2026-03-01T12:00:00Z, until 2026-03-01T13:00:00Z\n" in ended.out


def test_wait_goes_past_a_persons_decision(api: ControlApi, shipline: Shipline) -> None:
    _run_turns(api, documents.run("Waiting"), documents.run("Running", finished=False), documents.run("Completed"))
    assert shipline("run", "--wait", "--json").document["state"] == "Completed"


def test_a_wait_that_times_out_is_exit_5_and_still_tells_the_state(api: ControlApi, shipline: Shipline) -> None:
    _run_turns(api, documents.run("Waiting"))
    started = time.monotonic()
    ended = shipline("run", "--wait", "--timeout", "0.5", "--json")
    assert (ended.code, ended.document["state"]) == (5, "Waiting")
    assert 0.5 <= time.monotonic() - started < 5


def test_following_a_run_tells_what_its_promotions_say_while_they_are_worked_on(
    api: ControlApi, shipline: Shipline
) -> None:
    stands = [
        {"id": PROMOTION, "environment": "dev", "state": state, "because": ""} for state in ("Verifying", "Succeeded")
    ]
    api.logs[PROMOTION] = b"start web\nwatching until 12:00:30Z (90 s)\n"
    _run_turns(
        api,
        documents.run("Running", finished=False, promotions=stands[:1]),
        documents.run("Completed", promotions=stands[1:]),
    )
    told = [line for line in shipline("run").out.splitlines() if line.startswith("dev")]
    assert told == [
        "dev: Verifying",
        "dev | start web",
        "dev | watching until 12:00:30Z (90 s)",
        "dev: Succeeded",
        "dev: Succeeded",
    ]


def test_what_is_errored_says_how_to_go_on(api: ControlApi, shipline: Shipline) -> None:
    stands = [{"id": PROMOTION, "environment": "dev", "state": "Errored", "because": "port 80 is taken"}]
    _run_turns(api, documents.run("Errored", promotions=stands))
    assert f"  once its cause is gone: shipline retry {PROMOTION}" in shipline("run").out.splitlines()
    _run_turns(api, documents.run("Errored"))
    assert f"  once its cause is gone: shipline retry {RUN}" in shipline("run").out.splitlines()
    api.answers["POST /projects/shop/promotions"] = [documents.promotion("Errored")]
    api.answers[f"GET /promotions/{PROMOTION}"] = [documents.promotion("Errored")]
    ended = shipline("promote", "main", "--to", "staging")
    assert f"  once its cause is gone: shipline retry {PROMOTION}" in ended.out.splitlines()


def test_a_plan_and_a_run_say_what_is_no_part_of_them(api: ControlApi, shipline: Shipline) -> None:
    notes = [
        "uncommitted changes are not part of it; --dirty takes the work tree as it is",
        "policy of staging: proposed",
    ]
    api.answers["GET /projects/shop/plan"] = [{**documents.PLAN, "notes": notes}]
    assert shipline("plan").out.splitlines()[-2:] == notes
    _run_turns(api, documents.run("Completed"))
    api.answers["POST /projects/shop/runs"] = [{"id": RUN, "notes": notes}]
    assert shipline("run").out.splitlines()[:3] == [f"run {RUN}", *notes]


def test_accepting_a_policy_says_what_it_refuses(api: ControlApi, shipline: Shipline) -> None:
    again = "shipline promote 4f3a --to staging"
    refused = [{"id": PROMOTION, "environment": "staging", "again": again}]
    api.answers["POST /projects/shop/policy/accept"] = [{**documents.POLICY, "refused": refused}]
    assert shipline("policy", "accept").out.splitlines()[-1] == (
        f"staging: promotion {PROMOTION} waits under the policy before and is refused by this one; "
        f"request it again with: {again}"
    )


def test_small_words_say_what_to_do_next(api: ControlApi, shipline: Shipline) -> None:
    api.answers["GET /projects/shop/incidents"] = [[]]
    assert shipline("incidents").out == "no incidents\n"
    ended = shipline("retry", RUN)
    assert (ended.code, ended.err.splitlines()[0]) == (2, f"error: no run or promotion '{RUN}'")
    _run_turns(api, documents.run("Waiting"))
    assert (
        f"still Waiting; follow it with: shipline logs {RUN} --follow"
        in shipline("run", "--wait", "--timeout", "0").err
    )
    api.answers[f"GET /runs/{RUN}"] = [documents.run("Completed", logs=[], finished_at="2026-03-01T12:00:00Z")]
    assert shipline("logs", RUN).err == "nothing was printed so far\n"


def test_no_follow_returns_at_once(api: ControlApi, shipline: Shipline) -> None:
    _run_turns(api, documents.run("Queued", finished=False))
    ended = shipline("run", "--no-follow", "--json")
    assert (ended.code, ended.document["state"]) == (0, "Queued")


@pytest.mark.parametrize("as_json", [False, True])
def test_interrupting_is_130_and_says_how_to_go_on(
    api: ControlApi,
    tmp_path: Path,
    as_json: bool,  # noqa: FBT001  # a table's column
) -> None:
    _run_turns(api, documents.run("Running", finished=False))
    heeding = ["env", "--default-signal=INT"]  # who runs the tests in the background has it ignored
    words = [*heeding, sys.executable, "-m", "shipline.cli.main", "run", *(["--json"] if as_json else [])]
    with subprocess.Popen(
        words, cwd=tmp_path / "shop", env=_environment(api), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 20
        while not any(what == f"GET /runs/{RUN}" for what, _, _ in api.asked) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert f"follow it with: shipline logs {RUN} --follow" in err
    assert f"stop it with: shipline abort {RUN} --reason TEXT" in err
    assert "Traceback" not in err
    if as_json:
        assert json.loads(out)["error"] == {
            "code": "interrupted",
            "message": "interrupted: the run goes on",
            "hint": f"follow it with: shipline logs {RUN} --follow; stop it with: shipline abort {RUN} --reason TEXT",
            "where": "",
        }


# Promotions


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("Succeeded", 0),
        ("Waiting", 0),
        ("Failed", 1),
        ("Errored", 3),
        ("Refused", 4),
        ("Superseded", 4),
        ("Aborted", 4),
    ],
)
def test_a_promotions_state_is_its_exit_code(api: ControlApi, shipline: Shipline, state: str, code: int) -> None:
    api.answers["POST /projects/shop/promotions"] = [documents.promotion("Requested")]
    api.answers[f"GET /promotions/{PROMOTION}"] = [documents.promotion("RollingOut"), documents.promotion(state)]
    ended = shipline("promote", "main", "--to", "staging", "--replace", "--request", "r1", "--json")
    assert (ended.code, ended.document) == (code, documents.promotion(state))
    asked = {"what": "main", "environment": "staging", "kind": "change", "replace": True, "request": "r1"}
    assert api.body("POST /projects/shop/promotions") == asked


def test_a_refused_promotion_says_every_reason(api: ControlApi, shipline: Shipline) -> None:
    api.answers["POST /projects/shop/promotions"] = [documents.promotion("Judging")]
    reasons = ["not verified in dev", "marked bad by 0198"]
    api.answers[f"GET /promotions/{PROMOTION}"] = [documents.promotion("Refused", reasons=reasons)]
    ended = shipline("promote", "main", "--to", "staging")
    assert "staging: Refused (not verified in dev; marked bad by 0198)" in ended.out


def test_a_rollback_may_name_a_service_and_a_release(api: ControlApi, shipline: Shipline) -> None:
    api.answers["POST /projects/shop/rollbacks"] = [documents.promotion("Requested", "production")]
    api.answers[f"GET /promotions/{PROMOTION}"] = [documents.promotion("Succeeded", "production")]
    ended = shipline("rollback", "production", "--to", DIGEST, "--service", "api", "--request", "r2")
    assert ended.code == 0
    asked = {"environment": "production", "to": DIGEST, "service": "api", "request": "r2"}
    assert api.body("POST /projects/shop/rollbacks") == asked


def test_retry_and_abort_take_the_id_of_either(api: ControlApi, shipline: Shipline) -> None:
    api.answers[f"POST /runs/{RUN}/retry"] = [documents.run("Running", finished=False)]
    api.answers[f"GET /runs/{RUN}"] = [documents.run("Completed")]
    assert shipline("retry", RUN, "--json").document["state"] == "Completed"
    api.answers[f"POST /promotions/{PROMOTION}/abort"] = [documents.promotion("Aborted")]
    ended = shipline("abort", PROMOTION, "--reason", "wrong branch", "--json")
    assert (ended.code, ended.document["state"]) == (0, "Aborted")
    assert api.body(f"POST /promotions/{PROMOTION}/abort") == {"reason": "wrong branch"}


def test_hold_and_unhold_tell_the_environment(api: ControlApi, shipline: Shipline) -> None:
    held = {"environment": "production", "hold": {"reason": "the sale is on"}}
    api.answers["PUT /projects/shop/environments/production/hold"] = [held]
    api.answers["DELETE /projects/shop/environments/production/hold"] = [{"environment": "production", "hold": None}]
    assert shipline("hold", "production", "--reason", "the sale is on", "--json").document == held
    assert shipline("unhold", "production", "--json").document["hold"] is None


# Decisions


def _decision(promotion: str, decision: str) -> dict[str, str]:
    state = "Judging" if decision == "approve" else "Refused"
    return {"id": promotion, "decision": decision, "approver": "ada", "evidence": "api-token", "promotion_state": state}


@pytest.mark.parametrize("which", [PROMOTION, "staging", "latest"])
def test_a_decision_may_name_id_environment_or_the_latest(api: ControlApi, shipline: Shipline, which: str) -> None:
    api.answers["GET /projects/shop/approvals"] = [
        [documents.approval(), documents.approval(OTHER_PROMOTION, "production", "2026-02-01T00:00:00Z")]
    ]
    api.answers[f"POST /promotions/{PROMOTION}/decision"] = [_decision(PROMOTION, "approve")]
    ended = shipline("approve", which, "--comment", "seen in dev", "--json")
    assert (ended.code, ended.document) == (0, _decision(PROMOTION, "approve"))
    sent = {"decision": "approve", "comment": "seen in dev"}
    assert api.body(f"POST /promotions/{PROMOTION}/decision") == sent


def test_a_rejection_needs_a_reason_and_passes_it_on(api: ControlApi, shipline: Shipline) -> None:
    api.answers[f"POST /promotions/{PROMOTION}/decision"] = [_decision(PROMOTION, "reject")]
    assert shipline("reject", PROMOTION).code == 2
    assert shipline("reject", PROMOTION, "--reason", "not before Monday").code == 0
    assert api.body(f"POST /promotions/{PROMOTION}/decision") == {"decision": "reject", "comment": "not before Monday"}


def test_an_environment_in_which_two_wait_is_ambiguous(api: ControlApi, shipline: Shipline) -> None:
    api.answers["GET /projects/shop/approvals"] = [[documents.approval(), documents.approval(OTHER_PROMOTION)]]
    ended = shipline("approve", "staging")
    assert ended.code == 2
    assert f"2 promotions wait in staging: {PROMOTION}, {OTHER_PROMOTION}" in ended.err


def test_approving_where_nothing_waits_is_exit_2(api: ControlApi, shipline: Shipline) -> None:
    api.answers["GET /projects/shop/approvals"] = [[]]
    ended = shipline("approve", "latest", "--json")
    assert (ended.code, ended.document["error"]["code"]) == (2, "not_found")


def test_a_decision_that_comes_too_late_is_refused_with_the_reason(api: ControlApi, shipline: Shipline) -> None:
    error = {
        "code": "refused",
        "message": "approving 0198: it was superseded",
        "hint": "see: shipline approvals",
        "where": "",
    }
    api.errors[f"POST /promotions/{PROMOTION}/decision"] = (409, {"error": error})
    ended = shipline("approve", PROMOTION, "--json")
    assert (ended.code, ended.document) == (4, {"error": error})
    assert ended.err == "error: approving 0198: it was superseded\nhint: see: shipline approvals\n"


def test_a_check_s_result_is_reported_and_says_who_looks_again(api: ControlApi, shipline: Shipline) -> None:
    told = {"name": "load", "result": "passed", "of": "revision", "subject": documents.COMMIT, "woken": [PROMOTION]}
    api.answers["POST /projects/shop/checks"] = [told]
    ended = shipline(
        "check-result", "load", "passed", "--revision", "main", "--url", "https://x.example", "--summary", "ok"
    )
    assert api.body("POST /projects/shop/checks") == {
        "name": "load",
        "result": "passed",
        "revision": "main",
        "url": "https://x.example",
        "summary": "ok",
    }
    assert ended.out == f"load: passed for revision 4f3a2b1c4f3a; looking again: {PROMOTION}\n"
    assert shipline("check-result", "load", "failed", "--release", "1.2", "--json").document == told


@pytest.mark.parametrize(
    "words",
    [
        ("load", "maybe", "--revision", "main"),
        ("load", "passed"),
        ("load", "passed", "--revision", "a", "--release", "b"),
    ],
)
def test_a_result_is_passed_or_failed_and_about_one_thing(
    api: ControlApi, shipline: Shipline, words: tuple[str, ...]
) -> None:
    assert shipline("check-result", *words).code == 2
    assert not [name for name, _, _ in api.asked if name.endswith("/checks")]


def test_approvals_show_release_digests_commits_and_configuration(api: ControlApi, shipline: Shipline) -> None:
    api.answers["GET /projects/shop/approvals"] = [[documents.approval()]]
    lines = [" ".join(line.split()) for line in shipline("approvals").out.splitlines()]
    assert lines == [
        f"staging: {PROMOTION}, since 2026-03-01T12:00:00Z, until 2026-03-02T12:00:00Z",
        "requires 1 approval, given: none",
        f"release {documents.RELEASE}",
        f"artifact api {DIGEST}",
        "commit api 4f3a2b1c4f feat: sell more (Ada)",
        "config api: environment LEVEL: low -> high",
        "goes worker",
        f"approve with: shipline approve {PROMOTION}",
        f"or in the browser: http://ui.example/{PROMOTION}",
    ]


# Logs, ledger, secrets, incidents, policy, projects


def test_logs_pass_through_and_follow_to_the_end(api: ControlApi, shipline: Shipline) -> None:
    api.logs[f"{RUN}/unit@api"] = b"one\ntwo\nthree"
    assert shipline("logs", RUN, "--step", "unit@api", "--follow").out == "one\ntwo\nthree\n"
    ended = shipline("logs", RUN, "--step", "unit@api", "--json")
    assert ended.document == {"id": RUN, "step": "unit@api", "lines": ["one", "two", "three"]}


def test_logs_of_a_whole_run_stand_under_their_steps_names_in_the_order_of_the_plan(
    api: ControlApi, shipline: Shipline
) -> None:
    _write_logs(api)
    lines = ["unit@api | one", "unit@api | two", "build:api | packed"]
    assert shipline("logs", RUN).out.splitlines() == lines
    assert shipline("logs", RUN, "--json").document == {"id": RUN, "step": None, "lines": lines}


def test_following_a_whole_run_tells_each_line_once_and_ends_with_its_own_work(
    api: ControlApi, shipline: Shipline
) -> None:
    sizes = _write_logs(api)
    api.answers[f"GET /runs/{RUN}"] = [
        documents.run("Running", logs=[], finished_at=None),
        documents.run("Running", logs=sizes[:1], finished_at=None),
        documents.run("Waiting", finished=False, logs=sizes, finished_at="2026-03-01T12:00:00Z"),
    ]
    lines = shipline("logs", RUN, "--follow").out.splitlines()
    assert lines == ["unit@api | one", "build:api | packed", "unit@api | two"]


def _write_logs(api: ControlApi) -> list[dict[str, object]]:
    api.logs = {f"{RUN}/unit@api": b"one\ntwo", f"{RUN}/build:api": b"packed\n"}
    sizes: list[dict[str, object]] = [{"name": "unit@api", "bytes": 7}, {"name": "build:api", "bytes": 7}]
    api.answers[f"GET /runs/{RUN}"] = [documents.run("Completed", logs=sizes, finished_at="2026-03-01T12:00:00Z")]
    return sizes


@pytest.mark.usefixtures("api")
def test_logs_of_what_does_not_exist_are_exit_2(shipline: Shipline) -> None:
    assert shipline("logs", RUN).code == 2


def test_why_names_the_file_and_lists_them_when_there_are_more(api: ControlApi, shipline: Shipline) -> None:
    api.answers["GET /projects/shop/cache/why"] = [documents.WHY]
    ended = shipline("cache", "why", "unit", "feature", "--dirty")
    assert api.query("GET /projects/shop/cache/why") == {"step": "unit", "revision": "feature", "dirty": "true"}
    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert lines == [
        f"unit@api: {documents.WHY['steps'][0]['because']}",
        "CHANGE INPUT",
        "modified api/app.py",
        "added api/new.py",
    ]


def test_cache_stats_say_unknown_instead_of_0_percent(api: ControlApi, shipline: Shipline) -> None:
    api.answers["GET /projects/shop/cache/stats"] = [
        {**documents.CACHE_STATS, "steps": {**documents.CACHE_STATS["steps"], "hit_rate": None}}
    ]
    lines = [" ".join(line.split()) for line in shipline("cache", "stats").out.splitlines()]
    assert lines == [
        "",
        "steps executed 3 4.5 s",
        "steps reused 1 1 min 15 s saved",
        "hit rate unknown: nothing ran",
        "kept, all projects 2.5 GB 7 results, 12 blobs",
        "of that for releases 1.2 kB",
        "shared s3://cache/shop it answers",
    ]


def test_gc_shows_first_and_removes_only_when_told(api: ControlApi, shipline: Shipline) -> None:
    api.answers["GET /cache/gc"] = [documents.CACHE_REMOVAL]
    api.answers["POST /cache/gc"] = [{**documents.CACHE_REMOVAL, "removed": True}]
    would = "would remove 2 results and 3 blobs, 1.5 MB; 5 results and 9 blobs stay, 2.5 GB"
    stays = "in any case stay: 1.2 kB that releases need, 1 results used within the last hour, 0 of runs under way"
    assert shipline("cache", "gc", "--keep", "30d").out.splitlines() == [would, stays]
    assert [what for what, _, _ in api.asked if what.startswith("POST /cache")] == []
    assert shipline("cache", "gc", "--keep", "30d", "--yes").out.splitlines() == [
        would,
        stays,
        would.replace("would remove", "removed"),
    ]
    assert api.body("POST /cache/gc") == {"keep": "30d"}


def test_a_broken_chain_is_exit_1(api: ControlApi, shipline: Shipline) -> None:
    broken = {
        "ok": False,
        "rows": 3,
        "head": documents.HEAD,
        "broken": [{"stream": "shop", "sequence": 2, "reason": "edited"}],
    }
    api.answers["GET /ledger/verify"] = [broken]
    assert shipline("ledger", "verify", "--json").document == broken
    ended = shipline("ledger", "verify")
    assert ended.code == 1
    assert "shop: entry 2 is broken: edited" in ended.out


def test_the_ledger_is_exported_as_lines_or_as_one_array(api: ControlApi, shipline: Shipline) -> None:
    api.export = [b'{"a": 1}\n{"a"', b": 2}\n", b'{"a": 3}']
    assert shipline("ledger", "export").out == '{"a": 1}\n{"a": 2}\n{"a": 3}'
    assert shipline("ledger", "export", "--json").document == [{"a": 1}, {"a": 2}, {"a": 3}]
    api.export = []
    assert shipline("ledger", "export", "--json").document == []


def test_the_ledger_is_imported_from_a_file_or_standard_input(
    api: ControlApi, shipline: Shipline, tmp_path: Path
) -> None:
    api.answers["POST /projects/shop/ledger/import"] = [{"ok": True, "rows": 2, "skipped": 0}]
    lines = '{"a": 1}\n{"a": 2}\n'
    file = tmp_path / "entries.jsonl"
    file.write_text(lines)
    assert shipline("ledger", "import", str(file)).code == 0
    assert api.body("POST /projects/shop/ledger/import") == lines
    assert shipline("ledger", "import", "-", stdin=b"from stdin\n").code == 0
    assert api.body("POST /projects/shop/ledger/import") == "from stdin\n"
    assert shipline("ledger", "import", str(tmp_path / "absent")).code == 2


@pytest.mark.parametrize(
    ("typed", "kept"), [(b"s3cret", "s3cret"), (b"s3cret\n", "s3cret"), (b"two\nlines\r\n", "two\nlines")]
)
def test_a_secret_comes_from_standard_input_and_is_not_shown(
    api: ControlApi, shipline: Shipline, typed: bytes, kept: str
) -> None:
    api.answers["PUT /projects/shop/secrets/TOKEN"] = [{}]
    api.answers["GET /projects/shop/secrets"] = [documents.SECRETS]
    ended = shipline("secret", "set", "TOKEN", "--env", "staging", stdin=typed)
    assert (ended.code, ended.out) == (0, "TOKEN is set for shop/staging\n")
    assert api.body("PUT /projects/shop/secrets/TOKEN") == {"value": kept, "environment": "staging"}
    assert shipline("secret", "set", "TOKEN", "--json", stdin=typed).document == documents.SECRETS


def test_a_secret_is_removed_from_one_environment(api: ControlApi, shipline: Shipline) -> None:
    api.answers["DELETE /projects/shop/secrets/TOKEN"] = [{}]
    api.answers["GET /projects/shop/secrets"] = [[]]
    assert shipline("secret", "remove", "TOKEN", "--env", "staging", "--json").document == []
    assert api.query("DELETE /projects/shop/secrets/TOKEN") == {"environment": "staging"}


def test_an_incident_is_closed(api: ControlApi, shipline: Shipline) -> None:
    closed = {**documents.INCIDENTS[0], "state": "resolved", "resolved_at": "2026-03-01T13:00:00Z"}
    api.answers[f"POST /incidents/{documents.INCIDENT}/close"] = [closed]
    assert shipline("incident", "close", documents.INCIDENT, "--reason", "over", "--json").document == closed
    assert api.body(f"POST /incidents/{documents.INCIDENT}/close") == {"reason": "over"}


def test_a_policy_shows_what_is_proposed_and_is_accepted(api: ControlApi, shipline: Shipline) -> None:
    api.answers["GET /projects/shop/policy"] = [documents.POLICY]
    api.answers["POST /projects/shop/policy/accept"] = [{**documents.POLICY, "version": 3, "proposed": []}]
    assert "staging approvals 1 0 loosens" in [" ".join(line.split()) for line in shipline("policy").out.splitlines()]
    assert shipline("policy", "accept", "staging", "--json").document["version"] == 3
    assert api.body("POST /projects/shop/policy/accept") == {"environment": "staging"}


def test_a_project_is_added_by_folder_or_address(api: ControlApi, shipline: Shipline) -> None:
    assert shipline("project", "add", "--slug", "shop", "--json").document == documents.PROJECT
    assert api.body("POST /projects") == {"location": str(Path.cwd().parent), "slug": "shop"}
    shipline("project", "add", "https://git.example/shop")
    assert api.body("POST /projects") == {"location": "https://git.example/shop"}


def test_a_project_may_be_named_by_slug_or_by_folder(
    api: ControlApi, shipline: Shipline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    api.answers["GET /projects/other/history"] = [documents.HISTORY]
    assert shipline("history", "--project", "other").code == 0
    api.answers["GET /projects/shop/history"] = [documents.HISTORY]
    assert shipline("history", "--project", str(tmp_path / "shop" / "api")).code == 0
    assert "POST /projects" not in {what for what, _, _ in api.asked}, "it is known already"


# Errors


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(
    ("content", "where"), [(None, "shipline.yaml:1:1"), ("version: 1\nstepz: {}\n", "shipline.yaml:2:1")]
)
def test_a_control_plane_that_runs_is_asked_only_what_it_knows_before_a_wrong_configuration_is_refused(
    api: ControlApi,
    shipline: Shipline,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    content: str | None,
    where: str,
) -> None:
    _stand_in_a_repository(tmp_path, monkeypatch, {"shipline.yaml": content} if content else {"README.md": "hello"})
    _record(api, tmp_path / "home", monkeypatch)
    ended = shipline(command, "--json")
    assert (ended.code, ended.document["error"]["where"]) == (2, where)
    assert [what for what, _, _ in api.asked] == ["GET /projects"]


def test_a_control_plane_that_knows_the_work_tree_looks_for_itself(
    api: ControlApi, shipline: Shipline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _stand_in_a_repository(tmp_path, monkeypatch, {"README.md": "hello"})
    _record(api, tmp_path / "home", monkeypatch)
    api.answers |= {
        "GET /projects": [[{**documents.PROJECT, "location": str(folder)}]],
        "POST /projects": [documents.PROJECT],
        "GET /projects/shop/plan": [documents.PLAN],
        "GET /health": [{"ready": True}],
    }
    assert shipline("plan", "--json").document == documents.PLAN


def test_a_revision_that_only_a_running_control_plane_can_know_is_left_to_it(
    api: ControlApi, shipline: Shipline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps snapshots and commits that no work tree has any more; asking it about a known source changes nothing."""
    folder = _stand_in_a_repository(tmp_path, monkeypatch, {"README.md": "hello"})
    _record(api, tmp_path / "home", monkeypatch)
    api.answers["GET /projects"] = [[]]
    assert shipline("plan", "0" * 40).code == 2
    assert [what for what, _, _ in api.asked] == ["GET /projects"]
    api.answers |= {
        "GET /projects": [[{**documents.PROJECT, "source": str(folder / ".git")}]],
        "GET /projects/shop/plan": [documents.PLAN],
        "GET /health": [{"ready": True}],
    }
    assert shipline("plan", "0" * 40, "--json").document == documents.PLAN


def _stand_in_a_repository(folder: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, Content]) -> Path:
    made = make_repository(folder, [Made(files)]).folder
    monkeypatch.chdir(made)
    return made


def _record(api: ControlApi, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the server the control plane that runs for a home."""
    monkeypatch.delenv("SHIPLINE_URL")
    (home / "credentials").mkdir(parents=True)
    (home / "credentials" / "api-token").write_text(TOKEN)
    (home / "control.json").write_text(json.dumps({"url": api.url}))


def test_outside_a_work_tree_nothing_is_asked(
    api: ControlApi, shipline: Shipline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = shipline("status", "--json")
    assert (ended.code, api.asked) == (2, [])
    assert ended.document["error"]["message"] == f"looking for a git work tree at {tmp_path}: not a git repository"
    assert ended.document["error"]["hint"]


def test_problems_of_a_configuration_keep_their_places(api: ControlApi, shipline: Shipline) -> None:
    problem = {
        "where": "shipline.yaml:3:5",
        "message": "unknown key 'stpes'",
        "hint": "did you mean 'steps'",
        "excerpt": "x",
    }
    error = {"code": "configuration", "message": "reading shipline.yaml: 1 problem", "hint": "", "where": ""}
    api.errors["GET /projects/shop/plan"] = (422, {"error": error, "problems": [problem]})
    ended = shipline("plan", "--json")
    assert ended.code == 2
    assert ended.document["problems"] == [{name: problem[name] for name in ("where", "message", "hint")}]
    assert "shipline.yaml:3:5: unknown key 'stpes'" in ended.err


@pytest.mark.parametrize(("status", "code"), [(404, 2), (422, 2), (401, 2), (409, 4), (500, 3), (503, 3)])
def test_an_answers_status_is_the_exit_code(api: ControlApi, shipline: Shipline, status: int, code: int) -> None:
    error = {"code": "c", "message": "m", "hint": "h", "where": ""}
    api.errors["GET /projects/shop/status"] = (status, {"error": error})
    ended = shipline("status", "--json")
    assert (ended.code, ended.document) == (code, {"error": error})


def test_an_answer_that_is_no_json_is_told_without_it(api: ControlApi, shipline: Shipline) -> None:
    api.errors["GET /projects/shop/status"] = (502, "<html>a proxy's page</html>")
    ended = shipline("status")
    assert ended.code == 3
    assert "it answered 502" in ended.err
    assert "<html>" not in ended.err


@pytest.mark.usefixtures("api")
def test_a_wrong_token_says_what_to_set(shipline: Shipline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPLINE_TOKEN", "another-token")
    ended = shipline("project", "list")
    assert ended.code == 2
    assert "set SHIPLINE_TOKEN" in ended.err
    assert "another-token" not in ended.err


def test_a_remote_control_plane_needs_a_token(
    api: ControlApi, shipline: Shipline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHIPLINE_TOKEN")
    assert shipline("status").code == 2
    assert api.asked == []


@pytest.mark.usefixtures("api")
def test_a_control_plane_that_does_not_answer_is_exit_3(shipline: Shipline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPLINE_URL", "http://127.0.0.1:1")
    ended = shipline("project", "list", "--json")
    assert (ended.code, ended.document["error"]["code"]) == (3, "errored")
    assert "asking the control plane at http://127.0.0.1:1" in ended.document["error"]["message"]


def test_usage_errors_are_exit_2_in_words_or_json(shipline: Shipline) -> None:
    assert shipline("run", "--bogus").code == 2
    ended = shipline("statsu", "--json")
    assert (ended.code, ended.document["error"]["code"]) == (2, "usage")


def test_a_defect_is_one_line_and_a_traceback_only_with_debug(api: ControlApi, shipline: Shipline) -> None:
    api.answers["GET /projects/shop/status"] = [{"environments": 3}]
    ended = shipline("status")
    assert ended.code == 3
    assert "Traceback" not in ended.err
    assert "--debug" in ended.err
    assert "Traceback" in shipline("status", "--debug").err


def test_a_reader_that_leaves_early_gets_no_traceback(api: ControlApi, tmp_path: Path) -> None:
    api.export = [b'{"a": 1}\n' * 10_000] * 20
    command = f"{sys.executable} -m shipline.cli.main ledger export | head -1"
    ended = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path / "shop",
        env=_environment(api),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (ended.stdout, ended.stderr) == ('{"a": 1}\n', "")


def test_the_token_does_not_follow_a_redirect(api: ControlApi, shipline: Shipline) -> None:
    api.errors["GET /projects"] = (307, "")
    assert shipline("project", "list").code == 2
    assert [what for what, _, _ in api.asked] == ["GET /projects"]


@pytest.mark.parametrize(
    ("words", "what", "looked", "began"),
    [
        (("run",), "run", f"GET /runs/{RUN}", "POST /projects/shop/runs"),
        (
            ("promote", "main", "--to", "dev"),
            "promotion",
            f"GET /promotions/{PROMOTION}",
            "POST /projects/shop/promotions",
        ),
    ],
)
def test_a_control_plane_that_stays_away_ends_the_looking_and_not_the_work(
    api: ControlApi,
    shipline: Shipline,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    what: str,
    looked: str,
    began: str,
) -> None:
    monkeypatch.setattr(follow, "_PATIENCE_SECONDS", 0)
    identity = looked.rpartition("/")[2]
    api.answers[began] = [{**documents.promotion("Requested"), "id": identity}]
    api.errors[looked] = (503, documents.STARTING)
    ended = shipline(*words)
    assert ended.code == 3
    assert ended.err.splitlines()[-2:] == [
        f"error: answering /it: the control plane is starting; the {what} goes on as soon as it is there again",
        f"hint: start it with: shipline up; then follow it with: shipline logs {identity} --follow",
    ]
