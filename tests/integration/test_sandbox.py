"""A step with its declared inputs alone, executed for real: what it holds, and what is said when it is too little."""

import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from delivery.adapters.local_steps import local_step_ports
from delivery.artifact import digest_of
from delivery.config import Step
from delivery.home import Home
from delivery.plan import Action, PlannedStep
from delivery.running.sandbox import execute_in_sandbox
from delivery.step import StepResult, StepState
from delivery.step_execution import StepOrder, execute_step
from delivery.step_outputs import pack_outputs
from tests.repositories import run_git

PLANNED = PlannedStep("unit", None, Action.RUN, (), (), digest_of(b"key"))
FILES = {
    "src/a": "a",
    "src/deep/b": "b",
    "docs/page": "page",
    "setting": "setting",
    "run.sh": "#!/bin/sh\ncat src/a\n",
}


@dataclass
class Bench:
    """A repository, and steps executed from checkouts of it."""

    folder: Path

    def __post_init__(self) -> None:
        self.ports = local_step_ports(Home(self.folder / "home"))
        self.source = self.folder / "source"
        for name, content in FILES.items():
            file = self.source / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        (self.source / "run.sh").chmod(0o755)
        (self.source / "src" / "link").symlink_to("../setting")
        for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "all")):
            run_git(self.source, *words)

    def renew(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.source, folder, symlinks=True)

    def execute(self, command: str | list[str], inputs: Sequence[str], needs: Sequence[StepResult] = ()) -> StepResult:
        step = Step(command=command, inputs=list(inputs), tools=["git"])
        place = self.folder / "place"
        place.mkdir(exist_ok=True)
        self.renew(place / "checkout")
        log = self.folder / "unit.log"
        order = StepOrder(PLANNED, step, {}, place / "checkout", self.renew, place / "private", log, {}, needs)

        def execute(one: StepOrder) -> StepResult:
            return execute_step(one, self.ports, lambda _: "", threading.Event())

        return execute_in_sandbox(order, inputs, execute)

    @property
    def log(self) -> list[str]:
        return sorted((self.folder / "unit.log").read_text().split())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_it_holds_what_the_inputs_mean_and_no_history(bench: Bench) -> None:
    done = bench.execute("find . -mindepth 1", ["src"])
    assert (done.state, done.reason) == (StepState.COMPLETED, "")
    assert bench.log == ["./src", "./src/a", "./src/deep", "./src/deep/b", "./src/link"]
    assert bench.execute("find . -name .git -o -type f", []).state is StepState.COMPLETED
    assert bench.log == sorted(f"./{name}" for name in FILES)


def test_it_holds_the_outputs_of_the_steps_that_it_needs(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "generated").write_text("g")
    outputs = pack_outputs(bench.ports.store, tmp_path / "made", [tmp_path / "made" / "generated"], tmp_path)
    need = StepResult("prepare", None, StepState.COMPLETED, outputs=outputs)
    assert bench.execute("cat generated src/a", ["src"], [need]).state is StepState.COMPLETED


def test_a_success_there_is_kept_like_any_other(bench: Bench) -> None:
    bench.execute("cat src/a", ["src"])
    assert bench.ports.cache.lookup(PLANNED.key) is not None


@pytest.mark.parametrize(
    ("command", "read"),
    [
        ("cat src/a setting", "setting"),
        ("cat src/link", "setting"),
        ("cat docs/page setting", "docs/page, setting"),
        (["./run.sh"], "run.sh"),
        ("git log", ".git/HEAD"),
        ("test -e setting", "which file that is this file system does not tell; or it looks at what files there are"),
    ],
)
def test_what_passes_only_in_a_whole_checkout_fails_names_what_it_reads_and_is_not_kept(
    bench: Bench, command: str | list[str], read: str
) -> None:
    done = bench.execute(command, ["src"])
    expected = f"it passes in a whole checkout, and reads there what its inputs do not name: {read}"
    assert (done.state, done.reason.partition("; ")[2]) == (StepState.FAILED, expected)
    assert bench.ports.cache.lookup(PLANNED.key) is None


def test_what_fails_in_a_whole_checkout_too_has_nothing_to_do_with_the_sandbox(bench: Bench) -> None:
    done = bench.execute("false", ["src"])
    assert (done.state, done.reason) == (
        StepState.FAILED,
        "exited with 1; so it ends in a whole checkout too: exited with 1",
    )
