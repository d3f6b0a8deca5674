"""Releasing: the set of artifacts a run ends with, told to the ledger, and the promotions it asks for."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import JsonValue

from delivery.actor import SHIPLINE, Actor
from delivery.builds import LedgerBuilds
from delivery.canonical import canonical_bytes
from delivery.configuration import definition_document
from delivery.connections import Connections
from delivery.errors import DeliveryError, NotFoundError, PermanentError, StaleFenceError
from delivery.ledger import Draft
from delivery.ports import Guard
from delivery.promoting.accepting import AcceptedPolicy, policies_in_force
from delivery.promoting.requesting import Wanted, request_promotion
from delivery.promotion import Kind, Promotion
from delivery.release import Release, ReleasedService
from delivery.run import BuiltService, Run, RunState
from delivery.running.work import RunWork, read_run, save_run


def make_release(work: RunWork, built: Sequence[BuiltService]) -> Release | None:
    """The release of a run; None for a repository without services."""
    if not built:
        return None
    services = {one.service: _released(work, one) for one in built}
    return Release(work.run.project, services, work.run.revision, work.plan.version, work.run.based_on is not None)


def _released(work: RunWork, built: BuiltService) -> ReleasedService:
    run = work.configuration.services[built.service].run
    definition = work.connections.store.put(canonical_bytes(definition_document(run)))
    return ReleasedService(built.digest, definition, None, work.run.revision)


def ended_by(error: DeliveryError | OSError, *, cancelled: bool) -> tuple[RunState, str]:
    """How a run ends by an error, and why: Failed where the answer is no, Errored where nobody could find out.

    StaleFenceError is raised again: a run that another process has taken over has not ended.
    """
    match error:
        case StaleFenceError():
            raise error
        case PermanentError():
            return RunState.FAILED, f"{error.message}; {error.hint}"
        case DeliveryError():
            return RunState.CANCELLED if cancelled else RunState.ERRORED, f"{error.message}; {error.hint}"
        case _:
            return RunState.ERRORED, f"working on the run: {(error.strerror or str(error)).lower()}"


def finish(work: RunWork, state: RunState, problem: str) -> Run:
    """The run's own work is done, however it went; its promotions go their own way.

    StaleFenceError when another process has taken the run over: what it says of it counts.
    """
    work.require_lease()
    release = make_release(work, work.built)
    ended = replace(
        work.run,
        state=state,
        problem=problem,
        release=release.digest if release else None,
        artifacts=tuple(work.built),
        verified_at=work.connections.clock.now(),
    )
    save_run(work.connections, ended)
    return ended


def give_up(connections: Connections, run: str, problem: str) -> None:
    """Errored before it could be taken up; nothing happens when its own work is done."""
    found = read_run(connections, run)
    if found.verified_at is None:
        save_run(connections, found.ended(RunState.ERRORED, problem, connections.clock.now()))


def record(work: RunWork, release: Release | None) -> None:
    """Tell the ledger that the revision was tested, and which release it makes."""
    connections, run = work.connections, work.run
    tested: dict[str, JsonValue] = {
        "commit": run.revision,
        "based_on": run.based_on,
        "branch": _default_branch(work),
        "run": run.id,
        "release": release.digest if release else None,
        "version": work.plan.version,
        "unprotected": any(one.unprotected for one in work.results.values()),
        "steps": [
            {"name": one.name, "service": one.service, "state": one.state.value, "key": one.key}
            for one in work.results.values()
        ],
    }
    drafts = [Draft("revision.tested", tested, SHIPLINE, connections.clock.now(), f"tested/{run.id}")]
    if release:
        more: dict[str, JsonValue] = {"run": run.id, "based_on": run.based_on, "unprotected": _unprotected(work)}
        drafts.insert(0, release_draft(connections, release, SHIPLINE, **more))
    connections.ledger.append(run.project, drafts, Guard(lease=work.lease))


def _unprotected(work: RunWork) -> bool:
    """Whether any step that tested it, or any build of what is in it, could see or change more than it was given."""
    keys = {one.build_key for one in work.plan.services if one.build_key}
    built = LedgerBuilds(work.connections.ledger, work.run.project).by_keys(keys)
    unprotected = any(one.unprotected for one in built.values()) or len(built) < len(keys)
    return unprotected or any(one.unprotected for one in work.results.values())


def _default_branch(work: RunWork) -> str | None:
    """The project's default branch when the revision is on it."""
    if work.run.based_on is not None:
        return None
    source = work.connections.source(work.run.project)
    rows = work.connections.ledger.rows("projects", slug=work.run.project)
    branch = str(rows[0]["default_branch"]) if rows else work.configuration.default_branch
    try:
        newest = source.resolve(branch).commit
    except NotFoundError:  # renamed or removed since the project was registered
        return None
    return branch if source.is_ancestor(work.run.revision, newest) else None


def request_first(work: RunWork, release: Release) -> list[Promotion]:
    """Ask for the environments that nothing comes before; what is verified there goes on by itself."""
    person = Actor("local-user", work.run.requested_by, "api-token")
    return [
        request_promotion(
            work.connections,
            Wanted(
                project=work.run.project,
                environment=policy.environment,
                release=release.digest,
                configuration_revision=work.run.revision,
                actor=person,
                kind=Kind.HOTFIX if work.run.hotfix else Kind.CHANGE,
                request=f"run/{work.run.id}/{policy.environment}",
                run=work.run.id,
            ),
        )
        for policy in policies_in_force(work.connections, work.run.project)
        if _takes(work, policy)
    ]


def _takes(work: RunWork, policy: AcceptedPolicy) -> bool:
    first = policy.terms.after is None and policy.terms.automatic
    known = policy.environment in work.configuration.environments
    clean = work.run.based_on is None or policy.terms.tier == "development"
    return first and known and clean


def release_draft(connections: Connections, release: Release, actor: Actor, **more: JsonValue) -> Draft:
    """A release as a fact; the same release is told once, by whichever run makes it first."""
    body: dict[str, JsonValue] = {
        "digest": release.digest,
        "revision": release.revision,
        "version": release.version,
        "dirty": release.dirty,
        "services": {name: _service(one) for name, one in sorted(release.services.items())},
        **more,
    }
    return Draft("release.created", body, actor, connections.clock.now(), f"release/{release.digest}")


def _service(service: ReleasedService) -> dict[str, JsonValue]:
    return {
        "artifact": service.artifact,
        "definition": service.definition,
        "migrations": service.migrations,
        "revision": service.revision,
    }
