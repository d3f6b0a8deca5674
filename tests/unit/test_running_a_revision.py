"""A run from its plan to its release and first promotions: every step's fate, every artifact, nothing twice."""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from delivery.artifact import digest_of
from delivery.builds import LedgerBuilds
from delivery.errors import (
    ConfigurationError,
    DeliveryError,
    NotFoundError,
    PermanentError,
    StaleFenceError,
    TransientError,
)
from delivery.home import Home
from delivery.pace import LEASE
from delivery.plan import Action, Plan, PlannedStep
from delivery.planning import PlanRequest, Surroundings, make_plan
from delivery.promoting.accepting import propose
from delivery.promoting.candidates import configuration_at
from delivery.run import BuiltService, Run, RunState
from delivery.runner import ProcessSpec
from delivery.running.building import build_service
from delivery.running.releasing import ended_by, finish, make_release, record, request_first
from delivery.running.reusing import answer, asks_for_nothing_new
from delivery.running.steps import perform, tell, verdict, without_running
from delivery.running.work import RunWork, read_run, save_run, take_run
from delivery.source import Revision
from delivery.step import StepResult, StepState
from delivery.step_choice import Wishes
from tests.fakes.connections import Installation
from tests.fakes.runner import Act
from tests.fakes.shop import ADA, PROJECT

CONFIGURATION = """\
version: 1
project: shop
services:
  api: {paths: [api], build: {command: [make, api]}, run: {command: ./api}}
  web: {paths: [web], build: {command: [make, web]}, run: {command: ./web}}
steps:
  lint: {command: [lint]}
  unit: {command: [unit], per: service, needs: [lint], inputs: [api, web]}
  whole: {command: [whole], needs: [unit], reuse: false}
environments:
  dev: {tier: development}
  lab: {tier: development, automatic: false}
  qa: {tier: testing}
  staging: {tier: staging, after: dev}
"""
STEP_KEY = digest_of(b"key")
STEPS = ["lint", "unit@api", "unit@web", "whole"]


def building(text: str) -> Act:
    """A build that leaves one file in its output folder."""

    def write(spec: ProcessSpec) -> None:
        folder = Path(spec.environment["SHIPLINE_OUTPUT"])
        folder.mkdir(parents=True)
        (folder / "program").write_text(text)

    return Act(effect=write)


@dataclass
class Workshop:
    """A project whose runs are worked on step by step, as the flows do, in their order."""

    folder: Path
    acts: dict[tuple[str, ...], list[Act]] = field(
        default_factory=lambda: {
            ("lint",): [Act(b"clean\n")],
            ("unit",): [Act(b"passed\n")],
            ("whole",): [Act(b"passed\n")],
            ("make", "api"): [building("api")],
            ("make", "web"): [building("web")],
        }
    )

    def __post_init__(self) -> None:
        self.installation = Installation(Home(self.folder), acts=self.acts)
        self.connections = self.installation.connect()
        self.numbers = 0

    def close(self) -> None:
        self.installation.store.close()

    @property
    def ran(self) -> list[str]:
        """Commands that were executed by the current process, in order."""
        runner = self.connections.steps.runner
        specs: list[ProcessSpec] = runner.specs  # type: ignore[attr-defined]  # the scripted one
        return [" ".join(spec.arguments) for spec in specs]

    def restart(self) -> None:
        """A new process: what only it remembered is gone."""
        self.connections = self.installation.connect()
        self.installation.clock.advance(LEASE.total_seconds())

    def play(self, command: str, *acts: Act) -> None:
        """What a command does from here on, once each time and the last for ever."""
        self.acts[tuple(command.split())] = list(acts)
        self.connections = self.installation.connect()

    def commit(self, api: str = "1", web: str = "1", configuration: str = CONFIGURATION) -> str:
        files = {"api/main": api, "web/main": web, "shipline.yaml": configuration}
        return self.installation.source.commit(files)

    def run(self, commit: str, *, based_on: str | None = None, wishes: Wishes | None = None, **plan: object) -> Run:
        """Ask for a run, as the control plane does."""
        configuration = configuration_at(self.connections, PROJECT, commit)
        builds = LedgerBuilds(self.connections.ledger, PROJECT)
        request = PlanRequest(PROJECT, Revision(commit, based_on), configuration, wishes=wishes or Wishes())
        surroundings = Surroundings(self.installation.source, self.installation.step_cache, builds, lambda _tool: "1")
        planned = replace(make_plan(request, surroundings), **plan)  # type: ignore[arg-type]  # fields of a plan
        propose(self.connections, PROJECT, configuration, ADA)
        self.numbers += 1
        now = self.installation.clock.now()
        run = Run(f"run-{self.numbers}", PROJECT, commit, based_on, now, "ada", partial=bool(wishes and wishes.only))
        self.connections.operations.save("plans", run.id, PROJECT, {"plan": planned.to_json()})
        save_run(self.connections, run)
        return run

    def take(self, run: Run) -> RunWork:
        work = take_run(self.connections, run.id, "flow-run")
        assert work is not None
        return work

    def test(self, work: RunWork) -> tuple[RunState, str]:
        """`flows.test_revision`, one step after the other."""
        for planned in work.plan.steps:
            needs = [work.results[name] for name in planned.needs if name in work.results]
            idle = without_running(planned, needs, stopped=work.cancelled.is_set())
            done = tell(work, planned, idle) if idle else perform(work, planned, needs, lambda _line: None)
            work.results[planned.id] = done
            if work.plan.fail_fast and done.state in {StepState.FAILED, StepState.ERRORED}:
                work.cancelled.set()
        return verdict(work.plan.steps, work.results)

    def deliver(self, run: Run) -> Run:
        """`flows.deliver_revision`."""
        work = self.take(run)
        state, problem = self.test(work)
        if state is RunState.COMPLETED and not run.partial:
            self.build(work)
            release = make_release(work, work.built)
            record(work, release)
            if release:
                request_first(work, release)
        ended = finish(work, state, problem)
        self.connections.operations.release(work.lease)
        return ended

    def build(self, work: RunWork) -> list[BuiltService]:
        work.built.extend(build_service(work, one, lambda _line: None) for one in work.plan.services)
        return work.built

    def rows(self, table: str) -> list[dict[str, object]]:
        return [dict(row) for row in self.connections.ledger.rows(table)]


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    yield made
    made.close()


def states(work: RunWork) -> dict[str, str]:
    return {name: one.state.value for name, one in work.results.items()}


# --- steps


def test_steps_and_builds_of_every_run_have_the_projects_folder_for_what_tools_keep(workshop: Workshop) -> None:
    seen: set[tuple[str, str]] = set()

    def keep(spec: ProcessSpec) -> None:
        folder = Path(spec.environment["SHIPLINE_TOOL_CACHE"])
        seen.add((str(folder), (folder / "kept").read_text() if (folder / "kept").exists() else ""))
        (folder / "kept").write_text("kept")
        if output := spec.environment.get("SHIPLINE_OUTPUT"):
            Path(output).mkdir(parents=True)

    workshop.play("whole", Act(effect=keep))
    workshop.play("make api", Act(effect=keep))
    workshop.deliver(workshop.run(workshop.commit()))
    place = str(workshop.connections.home.tool_cache(PROJECT))
    assert seen == {(place, ""), (place, "kept")}


def test_steps_run_in_the_order_of_the_plan_each_told_where_the_api_reads_it(workshop: Workshop) -> None:
    work = workshop.take(workshop.run(workshop.commit()))
    assert workshop.test(work) == (RunState.COMPLETED, "")
    assert workshop.ran == ["lint", "unit", "unit", "whole"]
    told = workshop.connections.operations.find("steps", run=work.run.id)
    assert {(one["place"], one["id"], one["state"]) for one in told} == {
        (place, name, "Completed") for place, name in enumerate(STEPS)
    }


def test_what_needs_a_failed_step_is_skipped_and_says_which(workshop: Workshop) -> None:
    workshop.play("unit", Act(code=1), Act())
    work = workshop.take(workshop.run(workshop.commit()))
    assert workshop.test(work) == (RunState.FAILED, "unit@api: exited with 1")
    assert states(work) == {"lint": "Completed", "unit@api": "Failed", "unit@web": "Completed", "whole": "Skipped"}
    assert work.results["whole"].reason == "it needs what did not pass: unit Failed"


def test_nothing_runs_after_a_failed_step_however_far_away(workshop: Workshop) -> None:
    workshop.play("lint", Act(code=1))
    work = workshop.take(workshop.run(workshop.commit()))
    workshop.test(work)
    assert workshop.ran == ["lint"]
    assert work.results["whole"].reason == "it needs what did not pass: unit Skipped, unit Skipped"


def test_what_needs_a_step_that_the_plan_skips_runs(workshop: Workshop) -> None:
    run = workshop.run(workshop.commit(), wishes=Wishes(only=frozenset({"whole"})))
    assert workshop.deliver(run).state is RunState.COMPLETED
    assert workshop.ran[-1] == "whole"


def test_fail_fast_cancels_what_has_not_begun(workshop: Workshop) -> None:
    workshop.play("lint", Act(code=1))
    work = workshop.take(workshop.run(workshop.commit(), fail_fast=True))
    assert workshop.test(work)[0] is RunState.FAILED
    assert states(work) == {"lint": "Failed", "unit@api": "Skipped", "unit@web": "Skipped", "whole": "Skipped"}
    workshop.play("unit", Act(code=1))
    workshop.play("lint", Act())
    work = workshop.take(workshop.run(workshop.commit("2"), fail_fast=True))
    workshop.test(work)
    assert states(work)["unit@web"] == "Cancelled"
    assert workshop.ran.count("unit") == 1


def test_a_request_to_abort_cancels_the_steps_that_are_left(workshop: Workshop) -> None:
    run = workshop.run(workshop.commit())
    asked = replace(run, abort_requested="aborted by ada: wrong branch")
    workshop.play("lint", Act(effect=lambda _spec: save_run(workshop.connections, asked)))
    work = workshop.take(run)
    perform(work, work.plan.steps[0], [], lambda _line: None)
    work.look_for_abort()
    assert work.cancelled.is_set()
    assert workshop.test(work)[0] is RunState.CANCELLED
    finish(work, RunState.CANCELLED, "stopped")
    assert read_run(workshop.connections, run.id).abort_requested == "aborted by ada: wrong branch"


def planned(name: str, action: Action = Action.RUN) -> PlannedStep:
    return PlannedStep(name, None, action, ("its services are not impacted",), (), STEP_KEY)


def result(name: str, state: StepState, reason: str = "") -> StepResult:
    return StepResult(name, None, state, reason)


@pytest.mark.parametrize(
    ("action", "needs", "stopped", "state"),
    [
        (Action.SKIP, [StepState.FAILED], True, StepState.SKIPPED),
        (Action.RUN, [StepState.FAILED], True, StepState.SKIPPED),
        (Action.REUSE, [StepState.ERRORED], False, StepState.SKIPPED),
        (Action.RUN, [StepState.CANCELLED], False, StepState.SKIPPED),
        (Action.RUN, [StepState.CACHED], True, StepState.CANCELLED),
        (Action.RUN, [StepState.COMPLETED, StepState.CACHED, StepState.SKIPPED], False, None),
        (Action.REUSE, [], False, None),
    ],
)
def test_why_a_step_is_not_executed(
    action: Action, needs: Sequence[StepState], state: StepState | None, *, stopped: bool
) -> None:
    found = without_running(planned("unit", action), [result("one", need) for need in needs], stopped=stopped)
    assert (found.state if found else None) is state


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, (RunState.ERRORED, "a: its task was lost; retry the run; b: its task was lost; retry the run")),
        ({"a": StepState.COMPLETED}, (RunState.ERRORED, "b: its task was lost; retry the run")),
        ({"a": StepState.FAILED, "b": StepState.ERRORED}, (RunState.ERRORED, "b: Errored")),
        ({"a": StepState.CANCELLED, "b": StepState.FAILED}, (RunState.FAILED, "b: Failed")),
        ({"a": StepState.CANCELLED, "b": StepState.SKIPPED}, (RunState.CANCELLED, "a: Cancelled")),
        ({"a": StepState.CACHED, "b": StepState.SKIPPED}, (RunState.COMPLETED, "")),
    ],
)
def test_the_worst_step_decides_and_one_without_a_result_is_not_a_success(
    known: dict[str, StepState], expected: tuple[RunState, str]
) -> None:
    steps = [planned("a"), planned("b")]
    assert verdict(steps, {name: result(name, state) for name, state in known.items()}) == expected


def test_a_repository_without_steps_passes() -> None:
    assert verdict([], {}) == (RunState.COMPLETED, "")


def test_a_checkout_that_fails_is_errored_and_says_why(workshop: Workshop) -> None:
    work = workshop.take(workshop.run(workshop.commit()))
    workshop.installation.source.failures = 1
    [lint, *_] = work.plan.steps
    assert perform(work, lint, [], lambda _line: None).reason == "reading the source: it did not answer"
    workshop.connections.home.work.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(workshop.connections.home.work)
    workshop.connections.home.work.write_text("no folder")
    errored = perform(work, lint, [], lambda _line: None)
    assert errored.state is StepState.ERRORED
    assert errored.reason.startswith("checking out: ")


def test_nothing_is_left_of_a_checkout(workshop: Workshop) -> None:
    workshop.test(workshop.take(workshop.run(workshop.commit())))
    assert list(workshop.connections.home.work.iterdir()) == []


def test_a_further_attempt_starts_from_a_checkout_as_clean_as_the_first(workshop: Workshop) -> None:
    seen: list[list[str]] = []

    def look(spec: ProcessSpec) -> None:
        seen.append(sorted(path.relative_to(spec.folder).as_posix() for path in spec.folder.rglob("*")))
        (spec.folder / "junit.xml").write_text("left behind")
        (spec.folder / "api" / "main").write_text("changed")
        (spec.folder / "kept").mkdir()
        (spec.folder / "kept" / "file").touch()
        (spec.folder / "kept").chmod(0o500)

    workshop.play("make api", Act(signal=9, effect=look), Act(effect=look))
    configuration = CONFIGURATION.replace("command: [lint]", "command: [make, api], retry: {attempts: 2}")
    work = workshop.take(workshop.run(workshop.commit(configuration=configuration)))
    [lint, *_] = work.plan.steps
    assert perform(work, lint, [], lambda _line: None).attempts == 2
    assert seen == [["api", "api/main", "shipline.yaml", "web", "web/main"]] * 2
    assert list(workshop.connections.home.work.iterdir()) == []


def test_a_reused_step_tells_what_executing_it_took(workshop: Workshop) -> None:
    workshop.play("lint", Act(effect=lambda _spec: time.sleep(0.01)))
    workshop.test(workshop.take(workshop.run(workshop.commit())))
    workshop.restart()
    work = workshop.take(workshop.run(workshop.commit()))
    workshop.test(work)
    lint = work.results["lint"]
    assert (lint.state, lint.seconds, lint.saved_seconds > 0) == (StepState.CACHED, 0.0, True)
    told = workshop.connections.operations.load("steps", f"{work.run.id}/lint") or {}
    assert (told["saved_seconds"], told["key"]) == (lint.saved_seconds, work.plan.steps[0].key)


# --- builds and releases


def test_unchanged_services_are_not_built_again(workshop: Workshop) -> None:
    workshop.deliver(workshop.run(workshop.commit()))
    workshop.restart()
    second = workshop.deliver(workshop.run(workshop.commit(web="2")))
    assert [(one.service, one.reused) for one in second.artifacts] == [("api", True), ("web", False)]
    assert workshop.ran == ["lint", "unit", "unit", "whole", "make web"]


@pytest.mark.parametrize("left", [None, b"damaged"])
def test_an_artifact_that_is_missing_or_damaged_in_the_store_is_built_again(
    workshop: Workshop, left: bytes | None
) -> None:
    first = workshop.deliver(workshop.run(workshop.commit()))
    [api, _] = first.artifacts
    archives = workshop.installation.artifacts.archives
    del archives[api.digest]
    if left is not None:
        archives[api.digest] = left
    again = workshop.deliver(workshop.run(workshop.commit()))
    assert [
        (one.service, one.digest == old.digest, one.reused)
        for one, old in zip(again.artifacts, first.artifacts, strict=True)
    ] == [
        ("api", True, False),
        ("web", True, True),
    ]
    assert workshop.connections.artifacts.has(api.digest)


def test_the_same_artifacts_are_the_same_release_told_once(workshop: Workshop) -> None:
    first = workshop.deliver(workshop.run(workshop.commit("1")))
    workshop.deliver(workshop.run(workshop.commit("2")))
    third = workshop.deliver(workshop.run(workshop.commit("1")))
    assert third.release == first.release
    assert len(workshop.rows("releases")) == len({str(row["digest"]) for row in workshop.rows("releases")})
    assert len(workshop.rows("revisions")) == 3


def test_a_build_that_fails_is_permanent_and_one_that_was_lost_transient(workshop: Workshop) -> None:
    workshop.play("make api", Act(code=2), Act(signal=9), Act())
    work = workshop.take(workshop.run(workshop.commit()))
    [api, _] = work.plan.services
    with pytest.raises(PermanentError, match="building api: exited with 2") as failed:
        build_service(work, api, lambda _line: None)
    assert failed.value.hint == "its log: shipline logs run-1 --step build:api"
    with pytest.raises(TransientError, match="building api: "):
        build_service(work, api, lambda _line: None)
    with pytest.raises(PermanentError, match="building api: it left no folder dist"):
        build_service(work, api, lambda _line: None)
    assert workshop.rows("artifacts") == []


def test_a_run_begun_again_does_only_what_it_had_not_done(workshop: Workshop) -> None:
    run = workshop.run(workshop.commit())
    work = workshop.take(run)
    workshop.test(work)
    build_service(work, work.plan.services[0], lambda _line: None)
    workshop.restart()  # killed while it built the second service

    ended = workshop.deliver(run)

    assert workshop.ran == ["whole", "make web"]  # a step that says `reuse: false` is the exception
    assert ended.state is RunState.COMPLETED
    assert [one.reused for one in ended.artifacts] == [False, False]
    assert len(workshop.rows("artifacts")) == 2


def test_a_run_begun_again_after_its_end_tells_and_asks_nothing_twice(workshop: Workshop) -> None:
    run = workshop.run(workshop.commit())
    ended = workshop.deliver(run)
    entries = workshop.connections.ledger.streams()[PROJECT]
    assert take_run(workshop.connections, run.id, "another") is None
    save_run(workshop.connections, replace(ended, verified_at=None, state=RunState.RUNNING))  # it died before `finish`
    workshop.deliver(run)
    assert workshop.connections.ledger.streams()[PROJECT] == entries


def test_two_processes_do_not_work_on_one_run(workshop: Workshop) -> None:
    run = workshop.run(workshop.commit())
    work = workshop.take(run)
    assert take_run(workshop.connections, run.id, "another") is None
    assert read_run(workshop.connections, run.id).flow_run == "flow-run"
    workshop.restart()
    successor = workshop.take(run)
    assert successor.lease.fence == work.lease.fence + 1


def test_who_has_lost_the_run_tells_nothing_and_ends_nothing(workshop: Workshop) -> None:
    run = workshop.run(workshop.commit())
    stale = workshop.take(run)
    workshop.restart()
    workshop.take(run)
    before = workshop.connections.ledger.streams()[PROJECT]
    acts = (
        lambda: build_service(stale, stale.plan.services[0], lambda _line: None),
        lambda: record(stale, None),
        lambda: finish(stale, RunState.COMPLETED, ""),
    )
    for act in acts:
        with pytest.raises(StaleFenceError):
            act()
    assert workshop.connections.ledger.streams()[PROJECT] == before
    assert read_run(workshop.connections, run.id).verified_at is None


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (PermanentError("building web: it failed", hint="h"), (RunState.FAILED, "building web: it failed; h")),
        (TransientError("storing x: no space", hint="h"), (RunState.ERRORED, "storing x: no space; h")),
        (OSError(28, "No space left on device"), (RunState.ERRORED, "working on the run: no space left on device")),
    ],
)
def test_a_run_fails_when_the_answer_is_no_and_is_errored_when_nobody_could_find_out(
    error: DeliveryError | OSError, ends: tuple[RunState, str]
) -> None:
    assert ended_by(error, cancelled=False) == ends


def test_an_unknown_run_is_not_found(workshop: Workshop) -> None:
    with pytest.raises(NotFoundError, match="no run 'nothing'"):
        read_run(workshop.connections, "nothing")


# --- first promotions


def test_only_automatic_environments_that_nothing_comes_before_are_asked_for(workshop: Workshop) -> None:
    run = workshop.deliver(workshop.run(workshop.commit()))
    asked = workshop.rows("promotions")
    assert sorted(str(row["environment"]) for row in asked) == ["dev", "qa"]
    assert {(row["run"], row["release"]) for row in asked} == {(run.id, run.release)}


def test_uncommitted_changes_ask_for_development_only(workshop: Workshop) -> None:
    base = workshop.commit()
    ended = workshop.deliver(workshop.run(workshop.commit("2"), based_on=base))
    assert [row["environment"] for row in workshop.rows("promotions")] == ["dev"]
    [release] = workshop.rows("releases")
    assert (release["dirty"], release["based_on"], release["digest"]) == (True, base, ended.release)


def test_a_partial_run_releases_and_promotes_nothing(workshop: Workshop) -> None:
    ended = workshop.deliver(workshop.run(workshop.commit(), wishes=Wishes(only=frozenset({"lint"}))))
    assert (ended.state, ended.release, ended.artifacts) == (RunState.COMPLETED, None, ())
    assert workshop.ran == ["lint"]
    assert workshop.rows("releases") == workshop.rows("promotions") == workshop.rows("revisions") == []


def test_a_failed_run_releases_nothing(workshop: Workshop) -> None:
    workshop.play("lint", Act(code=1))
    ended = workshop.deliver(workshop.run(workshop.commit()))
    assert (ended.state, ended.release) == (RunState.FAILED, None)
    assert workshop.rows("releases") == []


def test_a_library_is_tested_and_nothing_is_released(workshop: Workshop) -> None:
    files = {"shipline.yaml": "version: 1\nproject: shop\nsteps:\n  lint: {command: [lint]}\n"}
    ended = workshop.deliver(workshop.run(workshop.installation.source.commit(files, "library", parents=[])))
    assert (ended.state, ended.release) == (RunState.COMPLETED, None)
    [tested] = workshop.rows("revisions")
    assert tested["release"] is None


def test_a_tested_commit_of_the_default_branch_says_so(workshop: Workshop) -> None:
    workshop.deliver(workshop.run(workshop.commit()))
    side = workshop.installation.source.commit(
        {"api/main": "side"}, "side", parents=[workshop.installation.source.names["main"]]
    )
    workshop.deliver(workshop.run(side))
    assert sorted(str(row["branch"]) for row in workshop.rows("revisions")) == ["None", "main"]


def test_a_plan_survives_being_kept(workshop: Workshop) -> None:
    work = workshop.take(workshop.run(workshop.commit()))
    assert Plan.from_json(work.plan.to_json()) == work.plan


def test_a_revision_without_a_configuration_is_told_with_its_place(workshop: Workshop) -> None:
    commit = workshop.installation.source.commit({"README.md": "hello"})
    with pytest.raises(ConfigurationError, match="there is none") as refused:
        configuration_at(workshop.connections, PROJECT, commit)
    assert refused.value.where == "shipline.yaml:1:1"


# --- answered without a flow run

REUSABLE = CONFIGURATION.replace(", reuse: false", "")


def test_a_run_of_which_all_is_kept_is_answered_at_once_and_asks_for_the_same_promotions(workshop: Workshop) -> None:
    first = workshop.deliver(workshop.run(workshop.commit(configuration=REUSABLE)))
    promotions = len(workshop.rows("promotions"))
    workshop.restart()
    again = workshop.run(workshop.commit(configuration=REUSABLE))
    assert asks_for_nothing_new(planned_for(workshop, again))
    assert answer(workshop.connections, again)
    ended = read_run(workshop.connections, again.id)
    assert (ended.state, ended.flow_run, ended.release) == (RunState.COMPLETED, None, first.release)
    assert [(one.service, one.digest, one.reused) for one in ended.artifacts] == [
        (one.service, one.digest, True) for one in first.artifacts
    ]
    told = workshop.connections.operations.find("steps", run=again.id)
    assert {str(one["id"]): one["state"] for one in told} == dict.fromkeys(STEPS, "Cached")
    assert (workshop.ran, workshop.connections.operations.leases()) == ([], [])
    assert {row["run"] for row in workshop.rows("revisions")} >= {again.id}
    assert len(workshop.rows("promotions")) == promotions


def test_a_run_with_anything_new_in_it_waits_for_a_flow_run(workshop: Workshop) -> None:
    workshop.deliver(workshop.run(workshop.commit(configuration=REUSABLE)))
    changed = workshop.run(workshop.commit(web="2", configuration=REUSABLE))
    assert not asks_for_nothing_new(planned_for(workshop, changed))
    never_reused = workshop.run(workshop.commit())
    assert not asks_for_nothing_new(planned_for(workshop, never_reused))


def test_a_run_whose_kept_result_or_artifact_is_gone_is_left_to_a_flow_run(workshop: Workshop) -> None:
    first = workshop.deliver(workshop.run(workshop.commit(configuration=REUSABLE)))
    again = workshop.run(workshop.commit(configuration=REUSABLE))
    del workshop.installation.artifacts.archives[first.artifacts[0].digest]
    assert not answer(workshop.connections, again)
    assert read_run(workshop.connections, again.id).verified_at is None
    assert workshop.connections.operations.leases() == []
    assert workshop.deliver(again).state is RunState.COMPLETED


def test_a_run_that_another_process_works_on_is_not_answered(workshop: Workshop) -> None:
    workshop.deliver(workshop.run(workshop.commit(configuration=REUSABLE)))
    again = workshop.run(workshop.commit(configuration=REUSABLE))
    workshop.take(again)
    assert not answer(workshop.connections, again)


def planned_for(workshop: Workshop, run: Run) -> Plan:
    return Plan.from_json((workshop.connections.operations.load("plans", run.id) or {})["plan"])
