"""What follows from a whole history before any window is laid over it.

Which deployments count, which of them failed and why, when users were well served again, and when a
commit first reached them for good. Windows and filters only select among these facts, so that
looking at less of the time never changes what a deployment was.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter

from delivery.dora_rows import Deployment, History, Incident, NewCommit

FAILED_RESULTS = frozenset({"failed", "rolled back"})


@dataclass(frozen=True, slots=True)
class Failure:
    """A change that needed immediate intervention."""

    deployment: Deployment
    exposed_at: datetime
    because: tuple[str, ...]
    restored_at: datetime | None
    """None while users still suffer."""


@dataclass(frozen=True, slots=True)
class LandedCommit:
    """A commit and the deployments that first brought it to users, and that brought it to stay."""

    commit: NewCommit
    deployment: Deployment
    live_at: datetime
    durable: Deployment | None
    """None while the last deployment with it stands undone."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the metrics select from; production only, redeploys left out."""

    exposed: tuple[Deployment, ...]
    """Deployments that reached users, in order of exposure."""
    attempts: tuple[Deployment, ...]
    """Those, and the ones that failed before any user saw them."""
    failures: Mapping[str, Failure]
    """By deployment id."""
    landed: tuple[LandedCommit, ...]
    incidents: tuple[Incident, ...]
    """In production environments."""
    services_hurt: Mapping[str, frozenset[str]]
    """By incident id: the services that it names, else those of the deployments that caused it."""
    seeds: frozenset[str]
    """First deployments ever of a service in an environment: all history is new in them."""
    without_commits: frozenset[str]
    """Changes with no commit of their own, or whose commits nobody could tell (a forced push, an import)."""


def facts_of(history: History) -> Facts:
    """Read a history once."""
    production = tuple(one for one in history.deployments if one.in_production)
    exposed = tuple(sorted((one for one in production if one.exposed_at), key=attrgetter("exposed_at", "id")))
    incidents = tuple(_placed(history.incidents, production))
    new_commits = _by_deployment(history.commits)
    carriers = tuple(one for one in exposed if one.live_at and one.kind != "rollback")
    return Facts(
        exposed=exposed,
        attempts=tuple(one for one in production if one.exposed_at or one.result in FAILED_RESULTS),
        failures=_failures(exposed, production, history.incidents),
        landed=_landed(carriers, new_commits, _undone(exposed)),
        incidents=incidents,
        services_hurt=_services_hurt(incidents, production),
        seeds=frozenset(one.id for one in carriers if one.previous is None),
        without_commits=frozenset(
            one.id for one in carriers if one.previous and one.kind != "config" and one.id not in new_commits
        ),
    )


def _placed(incidents: Sequence[Incident], production: Sequence[Deployment]) -> Iterator[Incident]:
    """Incidents in production; one that names no environment happened where its cause was deployed."""
    environments = {one.environment for one in production}
    places = {reference: one.environment for one in production for reference in (one.id, one.promotion)}
    for incident in incidents:
        environment = incident.environment or places.get(incident.caused_by or "")
        if environment in environments:
            yield replace(incident, environment=environment)


def _by_deployment(commits: Sequence[NewCommit]) -> dict[str, list[NewCommit]]:
    grouped: dict[str, list[NewCommit]] = defaultdict(list)
    for commit in commits:
        grouped[commit.deployment].append(commit)
    return dict(grouped)


def _failures(
    exposed: Sequence[Deployment], production: Sequence[Deployment], incidents: Sequence[Incident]
) -> dict[str, Failure]:
    """Failed changes; a failed rollback only makes the failure that it answers last longer."""
    fixes_of = _fixes(production, incidents)
    blaming: dict[str, list[Incident]] = defaultdict(list)
    for incident in incidents:
        blaming[incident.caused_by or ""].append(incident)
    failures = {}
    for one in exposed:
        if one.kind == "rollback" or one.exposed_at is None:
            continue
        fixes = [fix for key in {one.id, one.promotion} for fix in fixes_of.get(key, ()) if fix.service == one.service]
        blame = [incident for key in {one.id, one.promotion} for incident in blaming[key] if incident.blames(one)]
        because = _because(one, fixes, blame)
        if because:
            failures[one.id] = Failure(one, one.exposed_at, because, _restored_at(one, fixes, blame))
    return failures


def _fixes(production: Sequence[Deployment], incidents: Sequence[Incident]) -> dict[str, list[Deployment]]:
    """Deployments that undo or fix another, by what they point at: directly, or through an incident."""
    cause_of = {incident.id: incident.caused_by for incident in incidents}
    found: dict[str, list[Deployment]] = defaultdict(list)
    for one in production:
        for reference in {one.rollback_of, cause_of.get(one.caused_by_incident or "")}:
            if reference and not one.is_meant_by(reference):
                found[reference].append(one)
    return found


def _because(one: Deployment, fixes: Sequence[Deployment], blame: Sequence[Incident]) -> tuple[str, ...]:
    """Every failure mark; an empty tuple means that it did not fail."""
    verification = (f"ended '{one.result}' after users saw it",) if one.result in FAILED_RESULTS else ()
    answered = tuple(f"{fix.kind} {fix.id}" for fix in fixes)
    return verification + answered + tuple(f"incident {incident.id}" for incident in blame)


def _restored_at(one: Deployment, fixes: Sequence[Deployment], blame: Sequence[Incident]) -> datetime | None:
    """What was recorded; else the first fix that went live and held; else the end of its last incident."""
    if one.restored_at:
        return one.restored_at
    held = [fix.live_at for fix in fixes if fix.live_at and fix.result not in FAILED_RESULTS]
    if held:
        return min(held)
    ends = [incident.ended_at for incident in blame]
    known = [end for end in ends if end]
    return max(known) if known and len(known) == len(ends) else None


def _services_hurt(incidents: Sequence[Incident], production: Sequence[Deployment]) -> dict[str, frozenset[str]]:
    services: dict[str, set[str]] = defaultdict(set)
    for one in production:
        services[one.id].add(one.service)
        services[one.promotion].add(one.service)
    return {one.id: one.services or frozenset(services[one.caused_by or ""]) for one in incidents}


def _undone(exposed: Sequence[Deployment]) -> frozenset[str]:
    """Ids of live deployments that a standing rollback took back.

    Read from the last to the first, because a rollback that was itself taken back takes nothing back.
    """
    lanes: dict[tuple[str, str], list[Deployment]] = defaultdict(list)
    for one in exposed:
        if one.live_at:
            lanes[one.environment, one.service].append(one)
    undone: set[str] = set()
    for unordered in lanes.values():
        lane = sorted(unordered, key=attrgetter("live_at"))
        for place in range(len(lane) - 1, -1, -1):
            if lane[place].kind == "rollback" and lane[place].id not in undone:
                undone.update(one.id for one in _taken_back(lane[:place], lane[place]))
    return frozenset(undone)


def _taken_back(earlier: Sequence[Deployment], rollback: Deployment) -> Sequence[Deployment]:
    """What came live after the deployment that a rollback returns to."""
    undoes = next((n for n, one in enumerate(earlier) if one.is_meant_by(rollback.rollback_of)), len(earlier))
    same = (n for n in range(undoes - 1, -1, -1) if earlier[n].artifact and earlier[n].artifact == rollback.artifact)
    returns_to = next(same, None)
    return earlier[undoes if returns_to is None else returns_to + 1 :]


def _landed(
    carriers: Sequence[Deployment], new_commits: Mapping[str, Sequence[NewCommit]], undone: frozenset[str]
) -> tuple[LandedCommit, ...]:
    """First and durable deployment of every commit that is no merge, per environment and service."""
    brought: dict[tuple[str, str, str], list[tuple[datetime, Deployment, NewCommit]]] = defaultdict(list)
    for one in carriers:
        for commit in new_commits.get(one.id, ()):
            if one.previous and one.live_at and commit.parents <= 1:
                brought[one.environment, one.service, commit.id].append((one.live_at, one, commit))
    landed = []
    for times in brought.values():
        times.sort(key=lambda time: (time[0], time[1].id))
        live_at, first, commit = times[0]
        durable = next((one for _, one, _ in times if one.id not in undone), None)
        landed.append(LandedCommit(commit, first, live_at, durable))
    return tuple(landed)
