"""Plans as they are asked for: gather what the control plane knows, and plan."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from delivery.adapters.git import head
from delivery.adapters.git.location import resolve
from delivery.adapters.tool_versions import tool_version
from delivery.builds import LedgerBuilds
from delivery.config import Approvals, Configuration, Environment
from delivery.config_gate_checks import missing_calendars
from delivery.config_overlaps import overlaps
from delivery.connections import Connections
from delivery.errors import ConfigurationError, NotFoundError
from delivery.plan import Plan
from delivery.planning import PlanRequest, Surroundings, make_plan
from delivery.ports import SourceRepository
from delivery.promoting.accepting import policies_in_force
from delivery.promoting.candidates import CONFIGURATION_FILE, configuration_at
from delivery.source import Revision
from delivery.step_choice import Wishes
from shipline.control.projects import fetch


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants planned or run."""

    revision: str | None = None
    base: str | None = None
    dirty: bool = False
    only: Collection[str] = field(default_factory=tuple)
    force: Collection[str] = field(default_factory=tuple)
    fail_fast: bool | None = None
    hotfix: bool = False
    request: str | None = None
    """The caller's own id of it."""
    sandbox: bool = False


def plan(connections: Connections, project: str, asked: Asked) -> Plan:
    """The plan of a revision as things stand now."""
    revision, source = find_revision(connections, project, asked), connections.source(project)
    row = connections.ledger.rows("projects", slug=project)[0]
    tested = connections.ledger.rows("revisions", order="-tested_at", project=project, branch=row["default_branch"])
    request = PlanRequest(
        project=project,
        revision=revision,
        configuration=_configuration(connections, project, source, revision.commit),
        environments=_in_force(connections, project),
        default_branch=str(row["default_branch"]),
        tested=tuple(str(one["commit"]) for one in tested),
        base=asked.base,
        base_commit=_base(row, asked.base),
        wishes=Wishes(frozenset(asked.force), frozenset(asked.only), asked.sandbox),
        shares=_shares(connections, project, revision, str(row["default_branch"])),
    )
    builds = LedgerBuilds(connections.ledger, project)
    surroundings = Surroundings(source, connections.step_cache, builds, lambda tool: tool_version(tool).version)
    made = make_plan(request, surroundings)
    return made if asked.fail_fast is None else replace(made, fail_fast=asked.fail_fast)


def _shares(connections: Connections, project: str, revision: Revision, branch: str) -> bool:
    """Whether a run may write to the shared cache: a clean revision of the registered default branch may.

    What a revision says of itself in its `shipline.yaml` does not count, and no tag stands for a branch.
    """
    if connections.shared is None or revision.dirty:
        return False
    source = connections.source(project)
    try:
        return source.is_ancestor(revision.commit, source.resolve(f"refs/heads/{branch}").commit)
    except NotFoundError:
        return False


def _base(row: dict[str, JsonValue], name: str | None) -> str | None:
    """The commit that `--base` means where the person stands; a URL has no such place."""
    location = str(row["location"])
    return None if name is None or "://" in location else resolve(location, name)


def _in_force(connections: Connections, project: str) -> dict[str, Environment] | None:
    """The environments under the policy in force, in the order that releases pass them; None before the first."""
    found = {
        one.environment: Environment(
            tier=one.terms.tier,
            after=one.terms.after,
            soak_seconds=one.terms.soak_seconds,
            automatic=one.terms.automatic,
            approvals=Approvals(count=one.terms.approvals),
        )
        for one in policies_in_force(connections, project)
    }
    return found or None


def _configuration(connections: Connections, project: str, source: SourceRepository, commit: str) -> Configuration:
    """What the revision says, if no file of it belongs to two services and every calendar is there."""
    configuration, files = configuration_at(connections, project, commit), source.files(commit)
    problems = [*overlaps(configuration, files), *missing_calendars(configuration, lambda path: path in files)]
    if problems:
        message = f"reading {CONFIGURATION_FILE} at {commit[:12]}: {problems[0].message}"
        raise ConfigurationError(message, hint=problems[0].hint, problems=tuple(problems))
    return configuration


def find_revision(connections: Connections, project: str, asked: Asked) -> Revision:
    """The commit that is meant: in the work tree first (`HEAD` is what stands there), then in the mirror."""
    mirror, location = fetch(connections, project)
    if asked.dirty:
        return mirror.snapshot(location)
    remote = "://" in location
    if asked.revision is None and not remote:
        return Revision(head(location).commit)
    name = asked.revision or str(connections.ledger.rows("projects", slug=project)[0]["default_branch"])
    try:
        return connections.source(project).resolve(name)
    except NotFoundError:
        if remote:
            raise
        return connections.source(project).resolve(resolve(location, name))
