"""What a control plane takes while nobody asks anything of it: memory, processor time, and how often it wakes up.

`python -m bench.idle [SECONDS]` has it deliver once, waits, and looks at it for a minute.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from bench.installation import Place, place
from bench.table import Row, markdown

_SETTLING_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Component:
    """One component with everything below it."""

    name: str
    processes: tuple[psutil.Process, ...]

    def used(self) -> tuple[float, int]:
        """Seconds of processor time, and how often one of them began to wait."""
        times = [process.cpu_times() for process in self.processes]
        switches = sum(process.num_ctx_switches().voluntary for process in self.processes)
        return sum(one.user + one.system for one in times), switches


def measured(seconds: float = 60.0) -> list[Row]:
    """After a delivery, so that everything that a first one makes is there."""
    with place() as made:
        made.shipline("run")
        time.sleep(_SETTLING_SECONDS)
        components = list(_components(made))
        before = [one.used() for one in components]
        time.sleep(seconds)
        shares = [
            ((after - used) / seconds * 100, (waits - waited) / seconds)
            for (used, waited), (after, waits) in zip(before, (one.used() for one in components), strict=True)
        ]
        memory = made.megabytes()
    whole = sum(share for share, _ in shares)
    return [
        Row("memory of an idle control plane", [memory], "MB", 420),
        Row("processor time of an idle control plane, of one core", [whole], "%", 2),
        *(
            Row(f"of it {one.name}, which wakes up {wakes:.0f} times a second", [share], "%")
            for one, (share, wakes) in zip(components, shares, strict=True)
        ),
    ]


def _components(made: Place) -> Iterator[Component]:
    """The warm process is the server's parent or the control plane's child: each is counted for itself alone."""
    document = json.loads(made.shipline("status", "--json"))
    for one in document["control_plane"]["components"]:
        process = psutil.Process(one["pid"])
        below = process.children(recursive=True) if one["name"] == "postgresql" else []
        yield Component(one["name"], (process, *below))


if __name__ == "__main__":
    print(markdown(measured(float(sys.argv[1]) if sys.argv[1:] else 60.0)))
