"""Promotions as they are asked for: what is meant by WHAT, and which release a rollback goes to."""

import re
from dataclasses import replace

from pydantic import JsonValue

from delivery.actor import Actor
from delivery.artifact import Digest
from delivery.connections import Connections
from delivery.errors import ConfigurationError, NotFoundError
from delivery.gates.verdict import short
from delivery.promoting.candidates import configuration_at, release_of
from delivery.promoting.live import live_services
from delivery.promoting.requesting import Wanted, last_good, request_promotion, rollback_to
from delivery.promoting.turn import read_promotions
from delivery.promotion import Kind, Phase, Promotion
from delivery.running.releasing import release_draft
from delivery.source import FULL_COMMIT
from delivery.together import set_of
from shipline.control.library_notes import NOTHING_DEPLOYED
from shipline.control.planning import Asked, find_revision

_HEX = re.compile(r"(sha256:)?[0-9a-f]{6,64}")


def find_release(connections: Connections, project: str, what: str) -> dict[str, JsonValue]:
    """The release that a digest (its own, or an artifact's), a version or a revision means, the newest if several.

    Its `revision` is then the one that was meant: several revisions may have made the same release.

    NotFoundError when none was made yet, ConfigurationError when that revision will never make one.
    """
    rows = connections.ledger.rows("releases", order="-created_at", project=project)
    for meant in (_by_release, _by_version, _by_artifact):
        found = [row for row in rows if meant(row, what)]
        if found:
            return found[0]
    commit = _commit(connections, project, what)
    tested = connections.ledger.rows("revisions", project=project, commit=commit)
    found = [row for row in rows if tested and row["digest"] == tested[0].get("release")]
    if tested and not tested[0].get("release"):
        message = f"promoting {what}: revision {commit[:12]} was tested and makes no release; {NOTHING_DEPLOYED}"
        raise ConfigurationError(message, hint="to deploy something, declare a service in shipline.yaml")
    if not found:
        message = f"promoting {what}: revision {commit[:12]} has no release"
        raise NotFoundError(message, hint=f"make one with: shipline run {commit[:12]}")
    return {**found[0], "revision": commit}


def _commit(connections: Connections, project: str, what: str) -> str:
    """What a name means where people stand now; a full commit is itself, also when its source is gone."""
    if FULL_COMMIT.fullmatch(what):
        return connections.source(project).resolve(what).commit
    return find_revision(connections, project, Asked(what)).commit


def _by_release(row: dict[str, JsonValue], what: str) -> bool:
    return bool(_HEX.fullmatch(what)) and str(row["digest"]).removeprefix("sha256:").startswith(_bare(what))


def _by_version(row: dict[str, JsonValue], what: str) -> bool:
    return row.get("version") in {what, what.removeprefix("v")}


def _by_artifact(row: dict[str, JsonValue], what: str) -> bool:
    services = row["services"] if isinstance(row["services"], dict) else {}
    return what.startswith("sha256:") and any(
        isinstance(one, dict) and one["artifact"] == what for one in services.values()
    )


def _bare(what: str) -> str:
    return what.removeprefix("sha256:")


def promote(
    connections: Connections,
    project: str,
    what: str,
    environment: str,
    actor: Actor,
    *,
    request: str,
    replace_: bool,
    kind: Kind,
) -> Promotion:
    """Ask for a release in an environment, with the configuration of its own revision."""
    row = find_release(connections, project, what)
    if kind is Kind.REDEPLOY:
        _require_running(connections, project, environment, str(row["digest"]))
    wanted = Wanted(
        project=project,
        environment=environment,
        release=Digest(str(row["digest"])),
        configuration_revision=str(row["revision"]),
        actor=actor,
        request=request,
        replace=replace_,
        kind=kind,
    )
    return request_promotion(connections, wanted)


def _require_running(connections: Connections, project: str, environment: str, release: str) -> None:
    """ConfigurationError when an environment runs another release than the one that is to be applied again."""
    running = _current(connections, project, environment, "applying again what runs in").release
    if running != release:
        raise ConfigurationError(
            f"applying again what runs in {environment}: that is release {short(running)}, not {short(release)}",
            hint=f"shipline promote {short(running)} --to {environment} --redeploy, or promote it without --redeploy",
        )


def roll_back(
    connections: Connections,
    project: str,
    environment: str,
    actor: Actor,
    *,
    to: str | None,
    service: str | None,
    request: str,
) -> Promotion:
    """Ask for the way back: to the release that was good before, to a named one, or for one service only."""
    asked = read_promotions(connections, project=project, request=request)
    if asked:
        return asked[0]
    current = _current(connections, project, environment, "rolling back")
    target = _target(connections, project, environment, current, to)
    if service:
        return request_promotion(connections, _one_service(connections, current, target, service, actor, request))
    return request_promotion(connections, rollback_to(connections, target, current, actor, request))


def _current(connections: Connections, project: str, environment: str, doing: str) -> Promotion:
    live = live_services(connections, project, environment)
    if not live:
        raise NotFoundError(f"{doing} {environment}: nothing runs there", hint="shipline status")
    newest = max(live.values(), key=lambda row: str(row["live_from"]))
    return read_promotions(connections, id=newest["promotion"])[0]


def _target(connections: Connections, project: str, environment: str, current: Promotion, to: str | None) -> Promotion:
    if to is None:
        good = last_good(connections, current)
        if good is None:
            raise NotFoundError(f"rolling back {environment}: no earlier good release", hint="shipline history")
        return good
    release = find_release(connections, project, to)["digest"]
    earlier = read_promotions(
        connections,
        order="-sequence",
        project=project,
        environment=environment,
        release=release,
        phase=Phase.SUCCEEDED.value,
    )
    if not earlier:
        message = f"rolling back {environment}: release {release} never succeeded there"
        raise ConfigurationError(message, hint=f"shipline history {environment} lists what did")
    return earlier[0]


def _one_service(
    connections: Connections, current: Promotion, target: Promotion, service: str, actor: Actor, request: str
) -> Wanted:
    """What runs now with one service, and its set, as they were in an earlier release: a release of its own."""
    now = release_of(connections, current.project, current.release)
    earlier = release_of(connections, current.project, target.release)
    described = configuration_at(connections, current.project, current.configuration_revision).services
    names = sorted(set_of(described, service))
    for name in names:
        if name not in now.services or name not in earlier.services:
            known = ", ".join(sorted(now.services))
            raise NotFoundError(f"rolling back {service}: {name} is not in both releases", hint=f"services: {known}")
    dirty, before = now.dirty or earlier.dirty, {name: earlier.services[name] for name in names}
    derived = replace(now, services={**now.services, **before}, version="", dirty=dirty)
    connections.ledger.append(current.project, [release_draft(connections, derived, actor)])
    return Wanted(
        project=current.project,
        environment=current.environment,
        release=derived.digest,
        configuration_revision=current.configuration_revision,
        actor=actor,
        request=request,
        kind=Kind.ROLLBACK,
        rollback_of=current.id,
    )
