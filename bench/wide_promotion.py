"""Promoting a release of a thousand services, each of them changed: every gate, every effect and every entry of it.

`python -m bench.wide_promotion [SERVICES]`. Ledger, leases and source are real; the deployer is one in memory.
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bench.plan import PROJECT, Layout, connected, repository
from bench.table import Row, markdown
from delivery.actor import SHIPLINE
from delivery.artifact import Digest, digest_of
from delivery.canonical import canonical_bytes
from delivery.configuration import definition_document
from delivery.connections import Connections
from delivery.home import Home
from delivery.promoting.accepting import propose
from delivery.promoting.candidates import configuration_at
from delivery.promoting.requesting import Wanted, request_promotion
from delivery.promoting.turn import read_promotion
from delivery.promotion import Phase
from delivery.release import Release, ReleasedService
from delivery.running.releasing import release_draft
from tests.fakes.deployer import InMemoryDeployer
from tests.fakes.shop import run_pass


def measured(services: int = 1_000, times: int = 5) -> list[Row]:
    """The first promotion brings everything; each later one changes everything, with twenty commits for all to have."""
    with tempfile.TemporaryDirectory(prefix="sl-", dir="/tmp") as name:
        tree, first = repository(Layout(services, files=services * 10, commits=20 * (times + 1)), Path(name) / "tree")
        with connected(Home(Path(name) / "home"), tree) as real:
            connections = replace(real, deployer=InMemoryDeployer())
            commits = [one.id for one in connections.source(PROJECT).commits(None, "main")][::-20]
            propose(connections, PROJECT, configuration_at(connections, PROJECT, first), SHIPLINE)
            figures = [_promoted(connections, commit, number) for number, commit in enumerate(commits)]
    what = f"promoting {services:,} changed services in one release: decision and ledger"
    return [Row(what, figures[1:], "s", 10), Row("the first promotion of them", figures[:1], "s", 10)]


def _promoted(connections: Connections, commit: str, number: int) -> float:
    """Seconds from the request of a new release until it is live, verified and told."""
    release = _release(connections, commit, number)
    begun = time.monotonic()
    wanted = Wanted(PROJECT, "dev", release, commit, SHIPLINE, f"bench/{number}")
    asked = request_promotion(connections, wanted)
    run_pass(connections, asked.id)
    took = time.monotonic() - begun
    ended = read_promotion(connections, asked.id)
    assert ended.phase is Phase.SUCCEEDED, ended.because
    return took


def _release(connections: Connections, commit: str, number: int) -> Digest:
    """What a run tells of a release in which every artifact is new."""
    services = configuration_at(connections, PROJECT, commit).services
    released = {
        name: ReleasedService(
            digest_of(f"{name} {number}".encode()),
            connections.store.put(canonical_bytes(definition_document(one.run))),
            revision=commit,
        )
        for name, one in services.items()
    }
    made = Release(PROJECT, released, commit, f"1.{number}.0")
    connections.ledger.append(PROJECT, [release_draft(connections, made, SHIPLINE)])
    return made.digest


if __name__ == "__main__":
    print(markdown(measured(int(sys.argv[1]) if sys.argv[1:] else 1_000)))
