"""Flow runs that only exist as records; a test moves them by `become`."""

from collections.abc import Iterable, Iterator
from itertools import count

from delivery.errors import NotFoundError, TransientError
from delivery.ports import Row


class RecordedFlowRuns:
    """A FlowRuns in memory. `failures` requests to start are answered with TransientError first."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.deployments: set[str] = set()
        self.started: dict[str, tuple[str, Row]] = {}
        """By flow run id: (`flow/project[.environment]`, parameters)."""
        self.names: dict[str, str] = {}
        self._by_key: dict[tuple[str, str], str] = {}
        self._states: dict[str, str] = {}
        self._numbers = count(1)

    def ensure_deployments(self, project: str, environments: Iterable[str]) -> None:
        self.deployments |= {project, *(f"{project}.{environment}" for environment in environments)}

    def start(
        self, flow: str, project: str, parameters: Row, key: str, environment: str | None = None, name: str = ""
    ) -> str:
        if self.failures:
            self.failures -= 1
            raise TransientError(f"starting {flow} for {project}: the server answered 503")
        if flow not in {"deliver-revision", "promote-release", "report-dora", "probe"}:
            raise NotFoundError(f"starting {flow}: there is no such Prefect deployment")
        if (flow, key) not in self._by_key:
            flow_run = f"{next(self._numbers):08}-0000-0000-0000-000000000000"
            self._by_key[flow, key] = flow_run
            self.started[flow_run] = (f"{flow}/{project}{'.' + environment if environment else ''}", parameters)
            self._states[flow_run], self.names[flow_run] = "SCHEDULED", name
        return self._by_key[flow, key]

    def wake(self, flow_run: str) -> bool:
        if self._states.get(flow_run) != "PAUSED":
            return False
        self._states[flow_run] = "SCHEDULED"
        return True

    def state(self, flow_run: str) -> str | None:
        return self._states.get(flow_run)

    def url(self, flow_run: str) -> str:
        return f"http://127.0.0.1/v2/runs/flow-run/{flow_run}"

    def history(self, project: str) -> Iterator[Row]:
        for flow_run, (deployment, parameters) in self.started.items():
            flow, _, place = deployment.partition("/")
            if place.partition(".")[0] == project:
                yield {
                    "id": flow_run,
                    "flow": flow,
                    "parameters": dict(parameters),
                    "state": self._states[flow_run],
                    "message": None,
                    "started_at": None,
                    "ended_at": None,
                }

    def become(self, flow_run: str, state: str) -> None:
        """What a worker would do."""
        self._states[flow_run] = state
