"""Kill -9 of everything there is, with a delivery in every stage: it goes on, nothing happens twice, users see nothing.

The tests take the same six projects on, one after another: what is true after one chaos is where the next begins.
"""

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

import psutil
import psycopg
import pytest

from delivery.adapters.local.data_plane import DataPlane
from delivery.adapters.local.state import EnvironmentState
from delivery.adapters.postgresql.ledger import PostgresqlLedger
from delivery.adapters.postgresql.urls import application_url, read_urls, with_database
from delivery.home import Home
from delivery.rollout import Target
from deployments.flow_processes import flow_processes
from shipline.control.state import read_state
from tests.e2e import invariants
from tests.e2e.patrol import patrolling
from tests.e2e.stages import (
    GATES,
    PASSWORD,
    PLACE,
    TRUTH_SECONDS,
    Held,
    answered,
    everything_held,
    first_versions,
    make_held,
    tells_the_truth,
)
from tests.servers.installation import Installation, installation, until

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1200)]
Kill = Callable[[Installation], None]
Made = Mapping[str, Held]
"""By stage."""


@pytest.fixture(scope="module")
def made() -> Iterator[Made]:
    """The projects, on an installation of their own."""
    with installation() as running:
        folder = running.home.root.parent
        running.cli("up", cwd=folder)
        made = {stage: make_held(running, folder, stage) for stage in GATES}
        first_versions(list(made.values()))
        yield made


def kill_runs(installation: Installation) -> None:
    """Every flow run's process."""
    engines = flow_processes(home=installation.home.root)
    assert engines
    kill(engines)


def kill_component(name: str) -> Kill:
    """One process of the control plane, which brings it back."""

    def it(installation: Installation) -> None:
        kill([psutil.Process(read_state(installation.home).components[name].pid)])

    return it


def kill_control_plane(installation: Installation) -> None:
    """All of it at once: its own process, what that supervises, and every run."""
    state = read_state(installation.home)
    assert state.process
    identities = [state.process, *state.components.values()]
    kill([*(psutil.Process(one.pid) for one in identities), *flow_processes(home=installation.home.root)])
    installation.cli("up", cwd=installation.home.root.parent)


def kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            os.kill(process.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Chaos:
    """What is killed, while deliveries stand in which stages."""

    kill: Kill
    stages: tuple[str, ...]
    may_err: bool = False
    """Whether a run may end Errored by it, to be retried."""


CHAOS = {
    "runs": Chaos(kill_runs, ("step", "build", "rollout", "verify", "rollback")),
    "control plane": Chaos(kill_control_plane, ("step", "rollout", "verify", "rollback", "approval")),
    "worker": Chaos(kill_component("worker"), ("build", "approval")),
    "postgresql": Chaos(kill_component("postgresql"), ("step", "verify"), may_err=True),
    "prefect": Chaos(kill_component("prefect"), ("rollback", "approval"), may_err=True),
}


@pytest.mark.parametrize("what", CHAOS)
def test_a_kill_in_any_stage_is_survived(made: Made, what: str) -> None:
    chaos = CHAOS[what]
    held = [made[stage] for stage in chaos.stages]
    served = {one.stage: one.project.digests(PLACE)["web"] for one in held}
    with patrolling([one.address for one in made.values()]):
        with everything_held(held):
            chaos.kill(held[0].installation)
            for one in held:
                status_tells_the_truth(one)
        completes(held, may_err=chaos.may_err)
    for one in held:
        came_out_right(one, served[one.stage])
    invariants.check([one.project for one in made.values()], [PASSWORD])


def test_down_works_after_a_kill_and_what_is_deployed_needs_nobody(made: Made) -> None:
    held, installation = made["verify"], made["verify"].installation
    folder = installation.home.root.parent
    with patrolling([one.address for one in made.values()]) as patrol:
        with everything_held([held]):
            control = read_state(installation.home).process
            assert control
            kill([psutil.Process(control.pid)])
            installation.cli("down", cwd=folder)
            assert control_processes(installation) == []
        supervisor = DataPlane(installation.home).supervisor()
        assert supervisor
        kill([psutil.Process(supervisor.pid)])
        answered_before = patrol.answers
        until(lambda: patrol.answers > answered_before + 5 * len(made), "answers with nobody there")
        installation.cli("up", cwd=folder)
        status_tells_the_truth(held)
        assert DataPlane(installation.home).supervisor() not in {None, supervisor}
        completes([held])
    came_out_right(held, "")
    assert [one.starts(1) for one in made.values()] == [1] * len(made), "nothing was started a second time"
    invariants.check([one.project for one in made.values()], [PASSWORD])


def test_a_stale_run_that_wakes_after_a_newer_promotion_changes_nothing(made: Made) -> None:
    held = [made["rollout"], made["verify"]]
    home = made["rollout"].installation.home
    with everything_held(held):
        stopped = until(lambda: only(flow_processes(home=home.root), len(held)), "nothing else to run")
        for engine in stopped:
            engine.suspend()
        until(lambda: len(flow_processes(home=home.root)) == 2 * len(held), "other runs to take over")
    completes(held)
    made["rollout"].deliver()
    completes([made["rollout"]])
    before = [everything_about(one) for one in held]
    for engine in stopped:
        engine.resume()
    until(lambda: not any(map(living, stopped)), "the stale runs to end")
    assert [everything_about(one) for one in held] == before
    for one in held:
        came_out_right(one, "")
    invariants.check([one.project for one in made.values()], [PASSWORD])


def test_without_prefects_database_nothing_is_forgotten_and_an_approval_still_completes(made: Made) -> None:
    held = made["approval"]
    installation, folder = held.installation, held.installation.home.root.parent
    with everything_held([held]):
        before = remembered(held)
        drop_prefects_database(installation.home)
        installation.cli("down", cwd=folder)
        installation.cli("up", cwd=folder)
        assert remembered(held) == before
        status_tells_the_truth(held)
        invariants.check([one.project for one in made.values()], [PASSWORD])
    completes([held])
    came_out_right(held, "")


def remembered(held: Held) -> tuple[object, ...]:
    """What people are told of the past."""
    asked = held.project.ask
    return asked("history"), asked("dora")["metrics"], asked("incidents"), asked("status")["environments"]


def drop_prefects_database(home: Home) -> None:
    """While the control plane runs; as PostgreSQL's superuser, whom its own vacuuming there does not stop."""
    with psycopg.connect(with_database(read_urls(home).admin, "postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE prefect WITH (FORCE)")


def status_tells_the_truth(held: Held) -> None:
    until(lambda: answered(lambda: tells_the_truth(held)), f"status to be true of {held.stage}", TRUTH_SECONDS)


def completes(held: Sequence[Held], *, may_err: bool = False) -> None:
    """Every delivery ends as it would have without any chaos."""
    for one in held:
        if one.stage == "approval":
            one.project.ask("approve", PLACE)
        ended = one.ends()
        assert ended["state"] == ("Failed" if one.stage == "rollback" else "Completed"), ended
        assert may_err or one.errored == []


def came_out_right(held: Held, served: str) -> None:
    """The new version runs and was started once, or the old one as it did before."""
    assert held.starts(held.version) == 1, held.marks("starts")
    undone = held.stage == "rollback"
    assert held.project.get(PLACE)["version"].strip() == ("1" if undone else str(held.version))
    assert (held.project.digests(PLACE)["web"] == served) is undone
    assert held.starts(1) == 1


def everything_about(held: Held) -> object:
    """What a stale run must not change: the ledger, the environment, and the service's very process."""
    home = held.installation.home
    with closing(PostgresqlLedger(application_url(home))) as ledger:
        head = ledger.streams()[held.project.slug]
    desired = EnvironmentState(home, Target(held.project.slug, PLACE)).desired()
    return head, desired, held.project.get(PLACE), held.marks("starts")


def only(engines: list[psutil.Process], number: int) -> list[psutil.Process]:
    """That many, or none: a run that is about to end is not the one that is meant."""
    return engines if len(engines) == number else []


def living(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def control_processes(installation: Installation) -> list[str]:
    """What runs that is not the data plane."""
    lines = [" ".join(process.cmdline()) for process in installation.processes()]
    return [line for line in lines if any(word in line for word in ("shipline.control", "prefect", "postgres"))]
