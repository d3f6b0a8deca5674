"""What must hold after every round: the nine invariants, and what only counting starts and processes can tell."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing

import httpx

from delivery.adapters.postgresql.ledger import PostgresqlLedger
from delivery.adapters.postgresql.urls import application_url
from deployments.flow_processes import flow_processes
from tests.chaos.ground import PLACES, Ground
from tests.chaos.people import Asked, People
from tests.chaos.sight import Sight
from tests.e2e import invariants
from tests.e2e.invariants import Told
from tests.servers.installation import until

MENDED_SECONDS = 60.0


class LostError(AssertionError):
    """What was asked for has no end, or nobody knows of it."""


class DoubledError(AssertionError):
    """Something was done twice."""


ENDS = {"fit": "Completed", "unfit": "Failed", "back": "Succeeded"}


def check(ground: Ground, sight: Sight, people: People) -> None:
    """Every check of a round that is over."""
    people.ask_again()
    for one in people.asked:
        ended_as_meant(ground, one)
    for line in ground.lines.values():
        for place in PLACES[line.name]:
            assert line.project.get(place)["version"].strip() == str(line.good[-1]), f"{line.name} {place}"
    nothing_started_twice(ground)
    until(lambda: not sight.unended(), f"Prefect to show nothing at work: {sight.unended()}", MENDED_SECONDS)
    until(lambda: not flow_processes(home=ground.home.root), "every process of a flow run to end", MENDED_SECONDS)
    invariants.check(ground.projects)


def ended_as_meant(ground: Ground, asked: Asked) -> None:
    """As it would have without any kill."""
    found = ground.installation.look("promotions" if asked.action == "back" else "runs", asked.id)
    if found["state"] != ENDS[asked.action]:
        raise LostError(f"{asked.request} should be {ENDS[asked.action]}: {json.dumps(found, indent=1)}")


def nothing_started_twice(ground: Ground) -> None:
    """Every side was started once, by the services' own account, and every promotion started a service at most once."""
    starts = [json.loads(line) for line in ground.starts.read_text().splitlines()]
    processes = Counter(one["process"] for one in starts)
    for counted in (processes, Counter(rollouts_of(ground, processes))):
        twice = [one for one, times in counted.items() if times > 1]
        if twice:
            raise DoubledError(f"started more than once: {twice}")


def rollouts_of(ground: Ground, processes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Of each process that ever ran: the promotion and the service that it was started for.

    A process is called `FOLDER:SERVICE-CONTENT-FENCE-NUMBER`, and the ledger says whose the fence was.
    """
    promotions = fences(ground)
    for process in processes:
        folder, _, name = process.rpartition(":")
        service, _content, fence, _number = name.rsplit("-", 3)
        *_, project, environment = folder.split("/")
        yield promotions[project, environment, int(fence)], service


def fences(ground: Ground) -> dict[tuple[str, str, int], str]:
    """By project, environment and fence: the promotion that had it."""
    found: dict[tuple[str, str, int], str] = {}
    with closing(PostgresqlLedger(application_url(ground.home))) as ledger:
        for project in ground.projects:
            told = [invariants.read(one) for one in ledger.entries(project.slug)]
            found |= {(project.slug, place, fence): promotion for place, fence, promotion in _effects(told)}
    return found


def _effects(told: list[Told]) -> Iterator[tuple[str, int, str]]:
    places = {one["id"]: one["environment"] for one in invariants.requested(told)}
    for one in told:
        if one.kind.startswith("effect."):
            yield places[one.body["promotion"]], one.body["fence"], one.body["promotion"]


def answers(addresses: list[str]) -> None:
    """What is deployed answers again, within a minute."""
    for address in addresses:
        until(lambda address=address: _is_well(address), f"an answer from {address}", MENDED_SECONDS)  # type: ignore[misc]


def _is_well(address: str) -> bool:
    try:
        return httpx.get(address, trust_env=False, timeout=5).is_success
    except httpx.HTTPError:
        return False
