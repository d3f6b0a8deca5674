"""What waits, in which place and how long, and how long starts took: for people and for Prometheus."""

from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from delivery.home import Home
from delivery.ledger import utc_text
from delivery.queue import Priority, Queued
from delivery.run import Run
from tests.fakes.connections import Installation
from tests.fakes.door import Door


class Place:
    """An installation whose queue a test fills."""

    def __init__(self, folder: Path) -> None:
        self.installation = Installation(Home(folder))
        self.ports = self.installation.connect()
        self.door = Door(self.ports)
        self.now = self.ports.clock.now()

    def put(self, subject: str, project: str, ago: float, priority: Priority = Priority.RUN) -> Queued:
        environment = None if priority is Priority.RUN else priority.name.lower()
        at = self.now - timedelta(seconds=ago)
        one = Queued(subject, "attempt 1", project, priority, at, environment=environment)
        self.ports.queue.put(one)
        return one


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_what_waits_is_listed_in_the_order_of_service(place: Place) -> None:
    asked = place.put("run-1", "shop", 9)
    place.put("promotion-1", "shop", 1.5, Priority.PRODUCTION)
    found = place.door.get("/queue").json()
    assert [(one["place"], one["id"], one["project"], one["environment"]) for one in found["waiting"]] == [
        (1, "promotion-1", "shop", "production"),
        (2, "run-1", "shop", None),
    ]
    assert [one["waits_seconds"] for one in found["waiting"]] == pytest.approx([1.5, 9], abs=0.1)
    assert found["waiting"][1]["asked_at"] == utc_text(asked.asked_at)
    assert (found["all_waiting"], found["all_working"]) == (2, 0)
    assert (found["started_last_hour"], found["p50_seconds"], found["p95_seconds"]) == (0, None, None)


def test_starts_of_the_last_hour_are_summed_up(place: Place) -> None:
    for number, (ago, waited) in enumerate([(7200, 99), (600, 4), (300, 2), (200, 3)]):
        one = place.put(f"run-{number}", "shop", ago)
        place.ports.queue.begin(one.subject, one.asked_at + timedelta(seconds=waited))
    found = place.door.get("/queue").json()
    assert (found["started_last_hour"], found["p50_seconds"]) == (3, 3.0)
    assert found["p95_seconds"] == pytest.approx(3.9)


def test_a_queued_run_says_its_place(place: Place) -> None:
    run = Run("run-2", "shop", "c0ffee", None, place.now, "ada")
    place.ports.operations.save("runs", run.id, "shop", run.document())
    place.put("run-1", "shop", 9)
    place.put("run-2", "shop", 5)
    assert place.door.get("/runs/run-2").json()["queue"] == {"place": 2, "of": 2}


def test_prometheus_reads_the_same_figures(place: Place) -> None:
    place.put("run-1", "shop", 9)
    place.put("run-2", "shop", 8)
    begun = place.put("run-3", "depot", 7)
    place.ports.queue.begin(begun.subject, begun.asked_at + timedelta(seconds=2))
    answer = place.door.get("/metrics")
    found = {
        (one.name, *sorted(one.labels.values())): one.value
        for family in text_string_to_metric_families(answer.text)
        for one in family.samples
    }
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert found["shipline_queue_waiting", "run", "shop"] == 2
    assert found["shipline_queue_oldest_seconds",] == pytest.approx(9, abs=0.1)
    assert found["shipline_queue_to_start_seconds", "0.95"] == 2


def test_figures_are_for_those_with_the_token(place: Place) -> None:
    stranger = Door(place.ports, token="a guess")
    assert [stranger.get(path).status_code for path in ("/metrics", "/queue")] == [401, 401]
