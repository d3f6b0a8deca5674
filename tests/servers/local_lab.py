"""A home with artifacts of the small service, for tests of the local deployer."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from delivery.adapters.local import LocalDeployer, stop_environments
from delivery.adapters.local.data_plane import marked_processes
from delivery.adapters.oci_layout import OciLayoutStore
from delivery.artifact import Digest, digest_of
from delivery.config import Health, Run
from delivery.home import Home
from delivery.ports import Deployer
from delivery.rollout import Candidate, Handle, Observed, Progress, Target, Workload

TARGET = Target("shop", "staging")
SERVICE = Path(__file__).with_name("web_service.py")
CLIENT = httpx.Client(trust_env=False, timeout=5, limits=httpx.Limits(max_keepalive_connections=0))
COMMAND = [sys.executable, "-IS", "web_service.py"]


@dataclass(slots=True)
class LocalLab:
    home: Home
    target: Target = TARGET

    def deployer(self) -> LocalDeployer:
        return LocalDeployer(self.home, OciLayoutStore(self.home.artifacts))

    def artifact(self, version: str) -> Digest:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(SERVICE, folder)
            (Path(folder) / "version").write_text(version)
            digest, _ = OciLayoutStore(self.home.artifacts).pack(Path(folder), {})
            return digest

    def candidate(self, version: str, *services: str, **run: object) -> Candidate:
        """A candidate of one version of the service, under one or several names."""
        workloads = (self.workload(version, name, **run) for name in services or ("web",))
        return candidate_of(*workloads)

    def workload(self, version: str, service: str = "web", **run: object) -> Workload:
        health = {"health": Health(path="/health", timeout_seconds=15, interval_seconds=0.05)}
        settings = {"command": COMMAND, "stop_grace_seconds": 3, **health, **run}
        return Workload(service, self.artifact(version), digest_of(b"definition"), Run.model_validate(settings))


def candidate_of(*workloads: Workload) -> Candidate:
    text = repr([(one.service, one.artifact, one.run) for one in workloads]).encode()
    return Candidate(digest_of(text), digest_of(b"configuration"), 1, workloads)


def begin(deployer: Deployer, candidate: Candidate, fence: int, target: Target = TARGET) -> Handle:
    """Plan on what is there, and apply."""
    return deployer.apply(deployer.plan(target, candidate, deployer.observe(target)), fence)


def follow(deployer: Deployer, handle: Handle, seconds: float = 20) -> Progress:
    """The last look of a rollout."""
    return list(deployer.watch(handle, datetime.now(UTC) + timedelta(seconds=seconds)))[-1]


def roll_out(deployer: Deployer, candidate: Candidate, fence: int, target: Target = TARGET) -> Observed:
    """A whole rollout."""
    handle = begin(deployer, candidate, fence, target)
    progress = follow(deployer, handle)
    assert progress.healthy, progress.message
    deployer.shift(handle, 100, fence)
    return deployer.retire(handle, fence)


def ask(observed: Observed, path: str = "/", service: str = "web") -> Any:  # noqa: ANN401  # whatever JSON it is
    """Ask a service through its router."""
    answer = CLIENT.get(observed.addresses[service] + path)
    return answer.raise_for_status().json()


@contextmanager
def local_lab() -> Iterator[LocalLab]:
    """A lab whose processes are gone afterwards, and whose home too."""
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        lab = LocalLab(Home(Path(folder) / "home"))
        try:
            yield lab
        finally:
            stop_environments(lab.home)
            assert not marked_processes(lab.home)
