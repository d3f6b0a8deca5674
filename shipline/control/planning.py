"""Plans and runs as they are asked for: gather what the control plane knows, plan, and write the request down."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import uuid6
from pydantic import JsonValue

from delivery.actor import Actor
from delivery.adapters.git import head
from delivery.adapters.git.location import resolve
from delivery.adapters.tool_versions import tool_version
from delivery.builds import LedgerBuilds
from delivery.canonical import canonical_digest
from delivery.config import Approvals, Configuration, Environment
from delivery.config_overlaps import overlaps
from delivery.connections import Connections
from delivery.errors import ConfigurationError, NotFoundError
from delivery.plan import Plan
from delivery.planning import PlanRequest, Surroundings, make_plan
from delivery.ports import SourceRepository
from delivery.promoting.accepting import policies_in_force, propose
from delivery.promoting.candidates import CONFIGURATION_FILE, configuration_at
from delivery.run import ENDED, Run
from delivery.running.reusing import answer, asks_for_nothing_new
from delivery.source import Revision
from delivery.step_choice import Wishes
from shipline.control.control import Control
from shipline.control.projects import fetch
from shipline.control.queueing import queue_run


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
        wishes=Wishes(frozenset(asked.force), frozenset(asked.only)),
    )
    builds = LedgerBuilds(connections.ledger, project)
    surroundings = Surroundings(source, connections.step_cache, builds, lambda tool: tool_version(tool).version)
    made = make_plan(request, surroundings)
    return made if asked.fail_fast is None else replace(made, fail_fast=asked.fail_fast)


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
            automatic=one.terms.automatic,
            approvals=Approvals(count=one.terms.approvals),
        )
        for one in policies_in_force(connections, project)
    }
    return found or None


def _configuration(connections: Connections, project: str, source: SourceRepository, commit: str) -> Configuration:
    """What the revision says, if no file of it belongs to two services."""
    configuration = configuration_at(connections, project, commit)
    problems = overlaps(configuration, source.files(commit))
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


def start_run(control: Control, project: str, asked: Asked, actor: Actor) -> Run:
    """Write a run down with its plan; the dispatcher starts it, unless all of it is there already.

    The same request or work under way is one run.
    """
    connections = control.ports
    planned = plan(connections, project, asked)
    configuration = configuration_at(connections, project, planned.revision.commit)
    digest = canonical_digest(planned.to_json())
    same = _same_request(connections, project, asked, digest)
    if same:
        return same
    propose(connections, project, configuration, actor)
    environments = [one.environment for one in policies_in_force(connections, project)]
    control.flow_runs.ensure_deployments(project, environments)
    run = Run(
        id=str(uuid6.uuid7()),
        project=project,
        revision=planned.revision.commit,
        based_on=planned.revision.based_on,
        requested_at=connections.clock.now(),
        requested_by=actor.subject,
        plan_digest=digest,
        partial=bool(asked.only),
        hotfix=asked.hotfix,
        request=asked.request,
    )
    connections.operations.save("plans", run.id, project, {"plan": planned.to_json()})
    connections.operations.save("runs", run.id, project, run.document())
    if not (asks_for_nothing_new(planned) and answer(connections, run)):
        queue_run(connections, run, run.requested_at)
    return run


def _same_request(connections: Connections, project: str, asked: Asked, digest: str) -> Run | None:
    if asked.request:
        for document in connections.operations.find("runs", project=project, request=asked.request):
            return Run.read(document)
    for document in connections.operations.find("runs", project=project, plan_digest=digest):
        run = Run.read(document)
        if run.state not in ENDED and run.verified_at is None:
            return run
    return None
