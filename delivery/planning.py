"""Planning: facts are gathered through ports first, then the plan is decided from them."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from delivery.artifact import Digest
from delivery.baseline import change_set, choose_baseline
from delivery.caching.origin import may_be_shared
from delivery.config import Configuration, Environment
from delivery.impact import Impact, impacts, is_forced
from delivery.pipeline import as_words
from delivery.plan import Plan, PlannedDeploy, PlannedService
from delivery.ports import Builds, SourceRepository, StepCache
from delivery.source import ChangeSet, Revision
from delivery.step_choice import Situation, Wishes, check_wishes, choose_steps
from delivery.step_graph import Node, step_graph
from delivery.step_key import Facts, Keys, keys_of, needed_patterns, needed_tools, this_platform
from delivery.version import version_of


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What is to be planned, and what the control plane knows about it."""

    project: str
    revision: Revision
    configuration: Configuration
    environments: Mapping[str, Environment] | None = None
    """The policy in force; None takes the configuration's proposal."""
    default_branch: str | None = None
    """The registered project's; one that the configuration says itself comes first."""
    tested: tuple[str, ...] = ()
    """Commits of the default branch that were tested successfully, newest first."""
    base: str | None = None
    """A revision's name to compare with instead of what would be chosen."""
    base_commit: str | None = None
    """What that name means where the person stands; None asks the source."""
    wishes: Wishes = field(default_factory=Wishes)
    shares: bool = False
    """Whether the run may write to the shared cache, which whoever asks has found out."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What planning asks of the world."""

    source: SourceRepository
    cache: StepCache
    builds: Builds
    tool_version: Callable[[str], str]
    """What a tool says its version is."""
    platform: str = field(default_factory=this_platform)


@dataclass(frozen=True, slots=True)
class Known:
    """What earlier runs left: keys of successful steps, and artifacts by build key."""

    succeeded: frozenset[Digest]
    artifacts: Mapping[Digest, Digest]


def make_plan(request: PlanRequest, surroundings: Surroundings) -> Plan:
    """The plan of a revision: what runs, is skipped, is reused and would be deployed, with every reason.

    ConfigurationError for a name that does not exist or steps in a circle; what a port raises passes through.
    """
    configuration = request.configuration
    check_wishes(configuration, request.wishes)
    nodes = step_graph(configuration)
    with ThreadPoolExecutor(1) as beside:  # the source's own processes answer this while we ask the rest
        version = beside.submit(version_of, request.revision, surroundings.source)
        changes = _changes(request, surroundings.source)
        keys = keys_of(configuration, nodes, _facts(request, nodes, surroundings))
        return decide_plan(request, changes, nodes, keys, _known(request, keys, surroundings), version.result())


def decide_plan(
    request: PlanRequest, changes: ChangeSet, nodes: Sequence[Node], keys: Keys, known: Known, version: str
) -> Plan:
    """The plan that follows from resolved facts. Pure."""
    configuration, wishes = request.configuration, request.wishes
    reached = impacts(configuration, changes, wishes.force)
    situation = Situation(configuration, changes, reached, keys, known.succeeded, wishes)
    return Plan(
        project=request.project,
        revision=request.revision,
        version=version,
        changes=changes,
        services=tuple(_service(name, reached[name], keys, known, wishes) for name in configuration.services),
        libraries=tuple(
            PlannedService(name, reached[name].impacted, reached[name].because) for name in configuration.libraries
        ),
        steps=choose_steps(nodes, situation),
        deploys=planned_deploys(request),
        fail_fast=configuration.fail_fast,
        sandbox=wishes.sandbox,
        shares=request.shares,
    )


def planned_deploys(request: PlanRequest) -> tuple[PlannedDeploy, ...]:
    """Every environment that the release may go on to, and what it waits for; none without services.

    A dirty revision goes to development environments only.
    """
    environments = request.configuration.environments if request.environments is None else request.environments
    return tuple(
        PlannedDeploy(name, _waits_for(environment))
        for name, environment in environments.items()
        if request.configuration.services and (environment.tier == "development" or not request.revision.dirty)
    )


def _waits_for(environment: Environment) -> tuple[str, ...]:
    count = environment.approvals.count
    return (
        *([f"verified in {as_words(environment.after)}"] if environment.after else []),
        *([f"{environment.soak_seconds:g} s there"] if environment.soak_seconds else []),
        *([] if environment.automatic else ["a person to promote it"]),
        *([f"{count} approval{'s' if count > 1 else ''}"] if count else []),
    )


def _service(name: str, impact: Impact, keys: Keys, known: Known, wishes: Wishes) -> PlannedService:
    key = keys.builds[name]
    artifact = None if is_forced(name, wishes.force) else known.artifacts.get(key)
    missing = () if artifact or impact.impacted else ("it was never built from these inputs",)
    return PlannedService(name, impact.impacted, (*impact.because, *missing), key, artifact)


def _changes(request: PlanRequest, source: SourceRepository) -> ChangeSet:
    configuration = request.configuration
    told = "default_branch" in configuration.model_fields_set or request.default_branch is None
    branch = configuration.default_branch if told else request.default_branch or configuration.default_branch
    baseline = choose_baseline(
        source, request.revision, branch, request.tested, asked_for=request.base, meant=request.base_commit
    )
    return change_set(source, request.revision, baseline)


def _facts(request: PlanRequest, nodes: Sequence[Node], surroundings: Surroundings) -> Facts:
    commit = request.revision.commit
    patterns = needed_patterns(request.configuration, nodes)
    return Facts(
        project=request.project,
        trees={one: surroundings.source.tree_digest(commit, one) for one in patterns},
        tools={tool: surroundings.tool_version(tool) for tool in sorted(needed_tools(request.configuration))},
        platform=surroundings.platform,
    )


def _known(request: PlanRequest, keys: Keys, surroundings: Surroundings) -> Known:
    artifacts = surroundings.builds.by_keys(set(keys.builds.values()))
    records = {key: surroundings.cache.lookup(key) for key in set(keys.steps.values())}
    found = {key: record for key, record in records.items() if record is not None}
    return Known(
        succeeded=frozenset(key for key, record in found.items() if not request.shares or may_be_shared(record)),
        artifacts={key: artifact.digest for key, artifact in artifacts.items()},
    )
