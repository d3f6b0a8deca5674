"""From a person's yes until the promotion goes on, given as the command line gives it and on Prefect's own page.

`python -m bench.approval [TIMES]` has a promotion of a small service wait for a person once for each.
"""

import json
import sys
import time

import httpx

from bench.installation import Place, place
from bench.table import Row, markdown
from delivery.adapters.embedded import connect
from delivery.home import Home
from delivery.promoting.turn import read_promotion, read_promotions
from delivery.promotion import Phase, Promotion
from shipline.cli.client import Client, segments
from shipline.cli.session import recorded_address
from tests.e2e.project import configuration, environment, files
from tests.servers.installation import until

_PROJECT = "asked"
_ANSWER = {"decision": "approve", "approver": "ada", "comment": ""}


def measured(times: int = 15) -> list[Row]:
    """Both ways in turn; the first of each is left out."""
    content = configuration("web", environments={"dev": environment(approvals=1, watch_seconds=0)})
    with place(_PROJECT, files(content)) as made:
        made.shipline("up")
        waited = [Waiting(made).waited(number) for number in range(2 * times + 2)]
    return [
        Row("approval as the command line asks for it, to the rollout's begin", waited[2::2], "s", 0.4, by_worst=True),
        Row("approval on Prefect's page, to the rollout's begin", waited[3::2], "s", 0.4, by_worst=True),
    ]


class Waiting:
    """A control plane in which something is to be approved, with what is needed to ask for it."""

    def __init__(self, made: Place) -> None:
        self._made = made
        self._connections = connect(Home(made.home))
        self._prefect = prefect_client(made)

    def waited(self, number: int) -> float:
        """Seconds from the request that says yes until the ledger says that the rollout has begun."""
        self._made.commit(f"{number}", "web/version")
        self._made.shipline("run")
        asked = until(self._asked, "the approval form")
        begun = time.time()
        self._on_page(asked) if number % 2 else self._by_request(asked)
        ended = until(lambda: self._ended(asked), "the promotion to end")
        assert ended.phase is Phase.SUCCEEDED, ended.because
        self._connections.close()
        return float(ended.started_at.timestamp() - begun)

    def _asked(self) -> Promotion | None:
        """The waiting promotion, once its flow run is suspended."""
        for one in read_promotions(self._connections, project=_PROJECT, phase=Phase.WAITING.value):
            if one.flow_run and self._prefect.get(f"/flow_runs/{one.flow_run}").json().get("state_type") == "PAUSED":
                return one
        return None

    def _ended(self, asked: Promotion) -> Promotion | None:
        found = read_promotion(self._connections, asked.id)
        return found if found.phase.final else None

    def _by_request(self, asked: Promotion) -> None:
        address = recorded_address(Home(self._made.home))
        assert address is not None
        Client(address).post(segments("promotions", asked.id, "decision"), {"decision": "approve"})

    def _on_page(self, asked: Promotion) -> None:
        self._prefect.post(f"/flow_runs/{asked.flow_run}/resume", json={"run_input": _ANSWER}).raise_for_status()


def prefect_client(made: Place) -> httpx.Client:
    """Asks Prefect's server as its own pages do."""
    components = json.loads(made.shipline("status", "--json"))["control_plane"]["components"]
    url = next(one["url"] for one in components if one["name"] == "prefect")
    name, _, password = (Home(made.home).credentials / "prefect-auth").read_text().strip().partition(":")
    return httpx.Client(base_url=f"{url}/api", auth=(name, password), trust_env=False)


if __name__ == "__main__":
    print(markdown(measured(int(sys.argv[1]) if sys.argv[1:] else 15)))
