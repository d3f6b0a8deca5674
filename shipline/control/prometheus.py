"""The control plane's figures in Prometheus' text format, read anew at each scrape."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from delivery.connections import Connections
from delivery.queue import Queued
from shipline.control.queue_documents import queue_now, starts_lately

CONTENT_TYPE = CONTENT_TYPE_LATEST


def exposition(connections: Connections, health: dict[str, Any]) -> bytes:
    """Queue, starts and components."""
    registry = CollectorRegistry()
    registry.register(_Figures(connections, health))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, connections: Connections, health: dict[str, Any]) -> None:
        self._connections = connections
        self._health = health

    def collect(self) -> Iterator[Metric]:
        now = queue_now(self._connections)
        yield _by_project("shipline_queue_waiting", "Runs and promotions that wait for a flow run.", now.waiting)
        yield _by_project("shipline_queue_working", "Runs and promotions that have a flow run.", now.working)
        yield self._oldest(now.waiting)
        yield self._starts()
        yield from self._components()

    def _oldest(self, waiting: Iterable[Queued]) -> Metric:
        asked = [one.asked_at for one in waiting]
        age = (self._connections.clock.now() - min(asked)).total_seconds() if asked else 0.0
        return GaugeMetricFamily("shipline_queue_oldest_seconds", "How long the oldest request waits.", value=age)

    def _starts(self) -> Metric:
        lately = starts_lately(self._connections)
        about = "From request to first line, of what began in the last hour."
        starts = GaugeMetricFamily("shipline_queue_to_start_seconds", about, labels=["quantile"])
        for quantile, seconds in (("0.5", lately.p50_seconds), ("0.95", lately.p95_seconds)):
            starts.add_metric([quantile], float("nan") if seconds is None else seconds)
        return starts

    def _components(self) -> Iterator[Metric]:
        ready = GaugeMetricFamily("shipline_component_ready", "1 when it answers.", labels=["component"])
        memory = GaugeMetricFamily("shipline_component_memory_bytes", "Proportional set size.", labels=["component"])
        for one in self._health["components"]:
            ready.add_metric([one["name"]], float(one["state"] == "ready"))
            if one.get("memory_bytes"):
                memory.add_metric([one["name"]], one["memory_bytes"])
        yield from (ready, memory)


def _by_project(name: str, about: str, entries: Iterable[Queued]) -> Metric:
    counted = Counter((one.project, one.priority.name.lower()) for one in entries)
    gauge = GaugeMetricFamily(name, about, labels=["project", "priority"])
    for labels, count in sorted(counted.items()):
        gauge.add_metric(list(labels), count)
    return gauge
