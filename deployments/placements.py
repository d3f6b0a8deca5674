"""Which flow runs where: the one list of Prefect deployments that every project gets."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import JsonValue

WORK_POOL_TYPE = "shipline"
"""As `deployments.shipline_worker` names itself; importing it would import Prefect."""


@dataclass(frozen=True, slots=True)
class PlacedFlow:
    """A flow as Prefect knows it."""

    name: str
    """`promote-release`, as in the Prefect deployment `promote-release/shop.staging`."""
    entrypoint: str
    """`module.function`: imported, never read from a path."""
    parameters: tuple[str, ...]
    """Names of its parameters, all of them required text."""
    per_environment: bool = False
    cron: str | None = None
    """When it starts by itself, in UTC."""


DELIVER_REVISION = PlacedFlow("deliver-revision", "flows.deliver_revision.deliver_revision", ("run",))
PROMOTE_RELEASE = PlacedFlow(
    "promote-release", "flows.promote_release.promote_release", ("promotion",), per_environment=True
)
REPORT_DORA = PlacedFlow("report-dora", "flows.report_dora.report_dora", ("project",), cron="0 6 * * 1")
PLACED_FLOWS = (DELIVER_REVISION, PROMOTE_RELEASE, REPORT_DORA)


@dataclass(frozen=True, slots=True)
class Placement:
    """One Prefect deployment: a flow on a work pool."""

    flow: PlacedFlow
    project: str
    environment: str | None

    @property
    def name(self) -> str:
        """The Prefect deployment's name: the project, or project and environment."""
        return f"{self.project}.{self.environment}" if self.environment else self.project

    @property
    def work_pool(self) -> str:
        """One pool per environment and one for everything that needs none, so that they never share a limit."""
        return work_pool_name(self.project, self.environment)

    @property
    def tags(self) -> list[str]:
        """What Prefect's pages and filters find it by; its runs have them too."""
        return run_tags(self.project, self.environment)

    def parameter_schema(self) -> dict[str, JsonValue]:
        """JSON Schema of the flow's parameters, as Prefect would read it from the function."""
        properties: dict[str, JsonValue] = {
            name: {"title": name, "type": "string", "position": place}
            for place, name in enumerate(self.flow.parameters)
        }
        return {
            "title": "Parameters",
            "type": "object",
            "properties": properties,
            "required": list(self.flow.parameters),
        }

    def default_parameters(self) -> dict[str, JsonValue]:
        """What a schedule starts the flow with: only the project is known before somebody asks."""
        return {"project": self.project} if "project" in self.flow.parameters else {}


def work_pool_name(project: str, environment: str | None) -> str:
    """`shop.staging`, or `shop.ci` for flows that belong to no environment."""
    return f"{project}.{environment or 'ci'}"


def run_tags(project: str, environment: str | None) -> list[str]:
    """Tags of a flow run: Prefect can filter by nothing else that is ours."""
    return [f"project:{project}", *([f"environment:{environment}"] if environment else [])]


def placements(
    project: str, environments: Iterable[str], flows: Iterable[PlacedFlow] = PLACED_FLOWS
) -> Iterator[Placement]:
    """Every Prefect deployment of a project."""
    names = list(environments)
    for flow in flows:
        for environment in names if flow.per_environment else [None]:
            yield Placement(flow, project, environment)
