"""The data plane for real: processes, Traefik, and a supervisor that is killed at the worst moments."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import httpx
import psutil
import pytest

from delivery.adapters import processes
from delivery.adapters.encrypted_secrets import EncryptedSecrets
from delivery.adapters.local import keep_environments, start_environments, stop_environments
from delivery.adapters.local.data_plane import DataPlane, marked_processes
from delivery.adapters.local.launching import MARK
from delivery.adapters.local.state import EnvironmentState, ProcessRecord
from delivery.adapters.local.wanted import is_router
from delivery.adapters.processes import ProcessIdentity
from delivery.config import BeforeRollout
from delivery.errors import ConfigurationError, StaleFenceError, TransientError
from delivery.rollout import Candidate, Handle, HealthState, Instance, Observed, Target
from tests.servers.hammer import hammering
from tests.servers.local_lab import CLIENT, LocalLab, ask, begin, candidate_of, follow, local_lab, roll_out

pytestmark = pytest.mark.integration
NUMBERS = count(1)


@pytest.fixture
def lab() -> Iterator[LocalLab]:
    """A home of its own, for tests that stop more than their own environment."""
    with local_lab() as made:
        yield made


@pytest.fixture(scope="module")
def home() -> Iterator[LocalLab]:
    with local_lab() as made:
        yield made


@pytest.fixture
def place(home: LocalLab) -> LocalLab:
    """An environment of its own in a shared home."""
    return LocalLab(home.home, Target("shop", f"staging-{next(NUMBERS)}"))


def start(lab: LocalLab, candidate: Candidate, fence: int) -> Handle:
    return begin(lab.deployer(), candidate, fence, lab.target)


def whole_rollout(lab: LocalLab, candidate: Candidate, fence: int) -> Observed:
    return roll_out(lab.deployer(), candidate, fence, lab.target)


def observed(lab: LocalLab) -> Observed:
    return lab.deployer().observe(lab.target)


def only(seen: Observed) -> Instance:
    (one,) = seen.instances
    return one


def router(lab: LocalLab) -> ProcessRecord:
    (record,) = [one for one in EnvironmentState(lab.home, lab.target).observation().processes if is_router(one.id)]
    return record


def supervisor(lab: LocalLab) -> ProcessIdentity:
    identity = DataPlane(lab.home).supervisor()
    assert identity is not None
    return identity


def kill(identity: ProcessIdentity) -> None:
    os.kill(identity.pid, signal.SIGKILL)
    assert processes.wait_until(lambda: not processes.alive(identity), 5)


def answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return CLIENT.get(url).status_code == httpx.codes.OK
    return False


def eventually_healthy(lab: LocalLab) -> Observed:
    assert processes.wait_until(lambda: {one.health for one in observed(lab).instances} == {HealthState.HEALTHY}, 15), (
        observed(lab)
    )
    return observed(lab)


def test_clients_that_hammer_see_no_failed_request_during_rollouts(place: LocalLab) -> None:
    deployer = place.deployer()
    first = whole_rollout(place, place.candidate("one", instances=2), 1)
    with hammering(first.addresses["web"]) as hammer:
        for fence, version in enumerate(("two", "three"), start=2):
            candidate = place.candidate(version, instances=2)
            handle = start(place, candidate, fence)
            assert follow(deployer, handle).healthy
            for percent in (50, 100):
                deployer.shift(handle, percent, fence)
            deployer.retire(handle, fence)
    assert hammer.failures == []
    assert set(hammer.answers) == {"one", "two", "three"}
    assert hammer.answers.total() > 200


def test_after_a_shift_every_answer_comes_from_the_new_side(place: LocalLab) -> None:
    deployer = place.deployer()
    whole_rollout(place, place.candidate("one"), 1)
    handle = start(place, place.candidate("two"), 2)
    assert follow(deployer, handle).healthy
    tenth = deployer.shift(handle, 10, 2)
    versions = [ask(tenth)["version"] for _ in range(100)]
    assert 5 <= versions.count("two") <= 15
    after = deployer.shift(handle, 100, 2)
    assert {ask(after)["version"] for _ in range(50)} == {"two"}


def test_a_killed_supervisor_is_replaced_and_adopts_what_runs(lab: LocalLab) -> None:
    deployer = lab.deployer()
    before = whole_rollout(lab, lab.candidate("one", instances=2), 1)
    routing = router(lab)
    killed = supervisor(lab)
    kill(killed)
    assert ask(before)["version"] == "one"
    assert {one.health for one in deployer.observe(lab.target).instances} == {HealthState.UNKNOWN}
    after = eventually_healthy(lab)
    assert supervisor(lab) != killed
    assert [(one.id, one.process_id, one.restarts) for one in after.instances] == [
        (one.id, one.process_id, 0) for one in before.instances
    ]
    assert router(lab).identity == routing.identity
    assert len(marked_processes(lab.home)) == 3


def test_a_supervisor_that_was_stopped_is_replaced_and_what_it_started_lives_on(lab: LocalLab) -> None:
    before = whole_rollout(lab, lab.candidate("one"), 1)
    stopped, plane = supervisor(lab), DataPlane(lab.home)
    os.kill(stopped.pid, signal.SIGSTOP)
    long_ago = plane.record.stat().st_mtime - 3600
    os.utime(plane.record, (long_ago, long_ago))
    assert only(observed(lab)).health is HealthState.UNKNOWN
    assert only(eventually_healthy(lab)).process_id == only(before).process_id
    assert not processes.alive(stopped)


def test_what_died_while_nobody_looked_is_started_again_alone(lab: LocalLab) -> None:
    before = whole_rollout(lab, lab.candidate("one", instances=2), 1)
    kill(supervisor(lab))
    victim, survivor = before.instances
    os.kill(victim.process_id or 0, signal.SIGKILL)
    after = {one.id: one for one in eventually_healthy(lab).instances}
    assert after[survivor.id].process_id == survivor.process_id
    assert after[victim.id].process_id != victim.process_id
    assert after[victim.id].restarts == 1


def test_what_a_supervisor_could_not_write_down_does_not_run_twice(lab: LocalLab) -> None:
    before = whole_rollout(lab, lab.candidate("one"), 1)
    kill(supervisor(lab))
    mark = f"{EnvironmentState(lab.home, lab.target).folder}:web-unwritten-1-0"
    stray = subprocess.Popen(["sleep", "60"], env={MARK: mark}, start_new_session=True)
    start_environments(lab.home)
    assert stray.wait(10) == -signal.SIGKILL
    assert only(eventually_healthy(lab)).process_id == only(before).process_id


def test_a_killed_router_comes_back_on_its_port(place: LocalLab) -> None:
    before = whole_rollout(place, place.candidate("one"), 1)
    identity = router(place).identity
    assert identity is not None
    kill(identity)
    url = before.addresses["web"]
    assert processes.wait_until(lambda: answers(url), 10)
    assert router(place).identity != identity
    assert observed(place).addresses == before.addresses
    assert only(observed(place)).restarts == 0


def test_an_instance_that_dies_is_started_again_and_gets_traffic(place: LocalLab) -> None:
    before = whole_rollout(place, place.candidate("one"), 1)
    os.kill(only(before).process_id or 0, signal.SIGKILL)
    assert processes.wait_until(lambda: only(observed(place)).restarts == 1, 5)
    after = eventually_healthy(place)
    assert processes.wait_until(lambda: answers(after.addresses["web"]), 5)
    assert ask(after)["pid"] == only(after).process_id


def test_a_service_that_ends_again_and_again_is_told_with_its_last_output(place: LocalLab) -> None:
    seen = whole_rollout(place, place.candidate("one"), 1)
    url = seen.addresses["web"]
    for _ in range(3):
        assert processes.wait_until(lambda: answers(url), 10)
        with suppress(httpx.HTTPError):
            CLIENT.get(f"{url}/crash")
    unwell = {HealthState.DOWN, HealthState.DEGRADED}
    assert processes.wait_until(
        lambda: only(observed(place)).health in unwell and only(observed(place)).restarts == 3, 10
    )
    assert only(observed(place)).message.startswith("crash loop, ended 3 times within 60 s: ended with exit code 7")


def test_a_service_that_never_gets_healthy_fails_after_its_time(place: LocalLab) -> None:
    health = {"path": "/health", "timeout_seconds": 1, "interval_seconds": 0.05}
    deployer = place.deployer()
    handle = start(place, place.candidate("one", environment={"BEHAVIOUR": "unhealthy"}, health=health), 1)
    progress = follow(deployer, handle)
    assert progress.failed
    assert progress.message == (
        "0 of 1 instances are healthy; web is degraded: not healthy 1 s after its start: GET /health answered 503"
    )


def test_a_service_sees_its_own_environment_and_nothing_else(place: LocalLab) -> None:
    EncryptedSecrets(place.home).put("PASSWORD", "correct horse battery", "shop", place.target.environment, "me")
    environment, secrets = {"COLOUR": "blue"}, {"PASSWORD": "secret:PASSWORD"}
    seen = whole_rollout(place, place.candidate("one", environment=environment, secrets=secrets), 1)
    found = ask(seen, "/environment")
    private = EnvironmentState(place.home, place.target).folder / "private" / "web"
    assert {name: value for name, value in found.items() if name not in {"PATH", MARK, "LC_CTYPE"}} == {
        "COLOUR": "blue",
        "PASSWORD": "correct horse battery",
        "PORT": str(only(seen).port),
        "HOME": str(private / "home"),
        "TMPDIR": str(private / "tmp"),
        "LANG": "C.UTF-8",
        "SHIPLINE_PROJECT": "shop",
        "SHIPLINE_ENVIRONMENT": place.target.environment,
        "SHIPLINE_SERVICE": "web",
    }
    assert only(seen).health is HealthState.HEALTHY
    files = [path for path in place.home.data_plane.rglob("[!.]*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if b"correct horse" in path.read_bytes()]


def test_a_secret_in_the_last_output_is_not_told(place: LocalLab) -> None:
    EncryptedSecrets(place.home).put("PASSWORD", "correct horse battery", "shop", place.target.environment, "me")
    run = {"environment": {"BEHAVIOUR": "crash"}, "secrets": {"PASSWORD": "secret:PASSWORD"}}
    deployer = place.deployer()
    progress = follow(deployer, start(place, place.candidate("one", **run), 1))
    assert progress.failed
    assert "ended with exit code 1; its last output:\ncannot start with ***" in progress.message


def test_a_secret_that_is_not_set_fails_the_start_and_is_right_after_it_was_set(place: LocalLab) -> None:
    deployer = place.deployer()
    handle = start(place, place.candidate("one", secrets={"PASSWORD": "secret:PASSWORD"}), 1)
    progress = follow(deployer, handle)
    assert progress.failed
    assert "PASSWORD" in progress.message
    EncryptedSecrets(place.home).put("PASSWORD", "correct horse battery", "shop", place.target.environment, "me")
    whole_rollout(place, place.candidate("one", secrets={"PASSWORD": "secret:PASSWORD"}), 2)


def test_a_port_that_somebody_has_is_said_by_name(place: LocalLab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        problem = rf"port {port} of web is taken by .*\(process {os.getpid()}\)"
        with pytest.raises(TransientError, match=problem):
            start(place, place.candidate("one", port=port), 1)
    assert observed(place).instances == ()
    seen = whole_rollout(place, place.candidate("one", port=port), 1)
    assert seen.addresses == {"web": f"http://127.0.0.1:{port}"}


def test_an_environment_that_has_the_port_is_said_by_name(place: LocalLab) -> None:
    seen = whole_rollout(place, place.candidate("one"), 1)
    port = int(seen.addresses["web"].rpartition(":")[2])
    other = LocalLab(place.home, Target("shop", "production"))
    problem = f"port {port} of web is taken by environment {place.target.environment} of project shop"
    with pytest.raises(TransientError, match=problem):
        start(other, place.candidate("one", port=port), 1)
    twice = candidate_of(place.workload("one", "web", port=port + 1), place.workload("one", "api", port=port + 1))
    with pytest.raises(ConfigurationError, match="web and api both want port"):
        start(other, twice, 1)


def test_a_port_that_changes_moves_the_router(place: LocalLab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    before = whole_rollout(place, place.candidate("one"), 1)
    after = whole_rollout(place, place.candidate("one", port=port), 2)
    assert after.addresses == {"web": f"http://127.0.0.1:{port}"}
    assert ask(after)["version"] == "one"
    assert processes.wait_until(lambda: not answers(before.addresses["web"]), 5)


def test_a_holder_overtaken_during_its_preparations_changes_nothing(place: LocalLab) -> None:
    go, begun = place.home.root / "go", place.home.root / "begun"
    before = BeforeRollout(command=f"touch {begun}; until [ -e {go} ]; do sleep 0.02; done")
    refused: list[BaseException] = []

    def hold() -> None:
        try:
            start(place, place.candidate("slow", before_rollout=before), 1)
        except StaleFenceError as error:
            refused.append(error)

    holder = threading.Thread(target=hold)
    holder.start()
    assert processes.wait_until(begun.exists, 10)
    settled = whole_rollout(place, place.candidate("fast"), 2)
    go.touch()
    holder.join()
    assert len(refused) == 1
    assert observed(place) == settled
    assert ask(settled)["version"] == "fast"


def test_the_supervisor_is_nobodys_child(lab: LocalLab) -> None:
    """Whoever deploys may be stopped with everything it started; environments stay."""
    whole_rollout(lab, lab.candidate("one"), 1)
    mine = {child.pid for child in psutil.Process().children(recursive=True)}
    assert not mine & {supervisor(lab).pid, *(one.pid for one in marked_processes(lab.home))}
    assert os.getsid(supervisor(lab).pid) == supervisor(lab).pid


def test_a_supervisors_record_of_another_boot_or_without_any_is_judged_by_what_it_names(lab: LocalLab) -> None:
    own = processes.identify(os.getpid())
    assert own
    plane = DataPlane(lab.home)
    plane.record.parent.mkdir(parents=True)
    found = []
    for boot in ({}, {"boot": own.boot}, {"boot": "another"}):
        plane.record.write_text(json.dumps({"pid": own.pid, "started_at": own.started_at, **boot}))
        found.append(plane.supervisor())
    plane.record.unlink()
    assert found == [ProcessIdentity(own.pid, own.started_at), own, None]


def test_a_second_supervisor_ends_at_once(lab: LocalLab) -> None:
    whole_rollout(lab, lab.candidate("one"), 1)
    first = supervisor(lab)
    command = [sys.executable, "-Im", "delivery.adapters.local.supervisor", str(lab.home.root)]
    second = subprocess.run(command, capture_output=True, timeout=20, check=True)
    assert b"another supervisor has this home" in second.stderr
    assert supervisor(lab) == first


def test_environments_stop_when_told_and_only_then_come_back(lab: LocalLab) -> None:
    before = whole_rollout(lab, lab.candidate("one"), 1)
    stop_environments(lab.home)
    assert marked_processes(lab.home) == {}
    assert DataPlane(lab.home).supervisor() is None
    stopped = observed(lab)
    assert (stopped.instances, stopped.weights["web"]) == ((), {only(before).artifact: 0})
    assert DataPlane(lab.home).supervisor() is None
    start_environments(lab.home)
    assert processes.wait_until(lambda: answers(before.addresses["web"]), 15)
    assert only(observed(lab)).id == only(before).id


def test_keeping_environments_replaces_a_dead_supervisor_but_starts_nothing_that_was_stopped(lab: LocalLab) -> None:
    keep_environments(lab.home)
    assert DataPlane(lab.home).supervisor() is None
    whole_rollout(lab, lab.candidate("one"), 1)
    killed = supervisor(lab)
    kill(killed)
    keep_environments(lab.home)
    assert supervisor(lab) != killed
    stop_environments(lab.home)
    keep_environments(lab.home)
    assert DataPlane(lab.home).supervisor() is None


def test_what_no_side_uses_is_removed_but_for_the_previous(place: LocalLab) -> None:
    for fence, version in enumerate(("one", "two", "three"), start=1):
        whole_rollout(place, place.candidate(version), fence)
    unpacked = EnvironmentState(place.home, place.target).folder / "artifacts"
    assert sorted((place / "version").read_text() for place in unpacked.iterdir()) == ["three", "two"]


def test_a_home_that_is_removed_takes_its_processes_along(lab: LocalLab) -> None:
    whole_rollout(lab, lab.candidate("one"), 1)
    last = supervisor(lab)
    shutil.rmtree(lab.home.root)
    assert processes.wait_until(lambda: not processes.alive(last), 10)
    assert processes.wait_until(lambda: marked_processes(lab.home) == {}, 10)


def test_a_state_of_another_version_is_said_and_the_others_go_on(lab: LocalLab) -> None:
    whole_rollout(lab, lab.candidate("one"), 1)
    other = EnvironmentState(lab.home, Target("shop", "production"))
    other.folder.mkdir(parents=True)
    (other.folder / "desired.json").write_text(json.dumps({"generation": "many"}))
    log = DataPlane(lab.home).log
    assert processes.wait_until(lambda: "it is not a state of this version" in log.read_text(), 5)
    assert log.read_text().count("it is not a state of this version") == 1
    assert ask(whole_rollout(lab, lab.candidate("two"), 2))["version"] == "two"
