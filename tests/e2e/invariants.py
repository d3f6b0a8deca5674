"""What is always true of an installation, whatever was killed: the nine invariants of the model, as assertions.

They are called when nothing is under way: an invariant about the whole history needs nothing more.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx

from delivery.adapters.local import LocalDeployer
from delivery.adapters.local.state import EnvironmentState
from delivery.adapters.oci_layout import OciLayoutStore
from delivery.adapters.postgresql.ledger import PostgresqlLedger
from delivery.adapters.postgresql.urls import application_url
from delivery.adapters.published_heads import read_heads
from delivery.ledger import Entry
from delivery.rollout import Target
from tests.e2e.project import ENDED, Project
from tests.e2e.secrets import places_with
from tests.servers.installation import until

PROJECTIONS = (
    *("projects", "policies", "revisions", "artifacts", "releases", "promotions", "approvals", "effects"),
    *("deployments", "commits", "running", "verified", "bad", "incidents", "holds"),
)
ROLLING = frozenset({"RollingOut", "Verifying"})
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """One entry of the ledger, as its bytes say it."""

    kind: str
    key: str | None
    body: Body


def read(entry: Entry) -> Told:
    """An entry from its bytes."""
    content = json.loads(entry.content)
    return Told(content["kind"], content["key"], content["body"])


def check(projects: Sequence[Project], secrets: Sequence[str] = ()) -> None:
    """Every invariant, of projects of one installation."""
    installation = projects[0].installation
    with closing(PostgresqlLedger(application_url(installation.home))) as ledger:
        for project in projects:
            told = [read(entry) for entry in ledger.entries(project.slug)]
            promotions_end_or_say_what_they_wait_for(project, told)
            rollouts_do_not_overlap(project, told)
            nothing_runs_without_its_chain(told)
            a_request_has_one_effect(told)
            status_says_what_is_observed(project)
            services_serve(project)
        projections_are_what_the_entries_say(projects[0], ledger)
        the_chain_verifies_to_its_published_head(projects[0], ledger)
    for secret in secrets:
        assert places_with(installation.home, secret) == []


def promotions_end_or_say_what_they_wait_for(project: Project, told: Sequence[Told]) -> None:
    """1. Every promotion reaches a final state or says what it waits for."""
    for one in requested(told):
        document = project.installation.look("promotions", one["id"])
        assert document["state"] in ENDED or any(document["reasons"]), document


def rollouts_do_not_overlap(project: Project, told: Sequence[Told]) -> None:
    """2. No two rollouts in one lane overlap; a stale fence changes nothing."""
    lanes = {one["id"]: one["environment"] for one in requested(told)}
    at_work: dict[str, str] = {}
    fences: Counter[str] = Counter()
    for one in told:
        if one.kind == "promotion.moved":
            lane, promotion = lanes[one.body["id"]], one.body["id"]
            if one.body["phase"] in ROLLING:
                assert at_work.setdefault(lane, promotion) == promotion, "two at once"
            elif at_work.get(lane) == promotion:
                del at_work[lane]
        elif one.kind.startswith("effect."):
            lane = lanes[one.body["promotion"]]
            assert at_work.get(lane) == one.body["promotion"], "an effect of one that does not roll out"
            assert one.body["fence"] >= fences[lane], "an effect under a stale fence"
            fences[lane] = one.body["fence"]
    for lane, fence in fences.items():
        state = EnvironmentState(project.installation.home, Target(project.slug, lane)).desired()
        assert state.fence <= fence, "the target has seen no fence that the ledger does not know"


def status_says_what_is_observed(project: Project) -> None:
    """3. What `status` says runs is what the deployer observes, or status says that it differs."""
    home = project.installation.home
    for one in project.look("status")["environments"]:
        observed = LocalDeployer(home, OciLayoutStore(home.artifacts)).observe(Target(project.slug, one["name"]))
        serving = {
            service: {digest for digest, percent in sides.items() if percent}
            for service, sides in observed.weights.items()
        }
        told = {service["name"]: {service["digest"]} for service in one["services"]}
        assert told == serving or one["drift"], (told, serving)


def nothing_runs_without_its_chain(told: Sequence[Told]) -> None:
    """4. Nothing runs without its chain: built, verified upstream, judged, approved for this candidate by policy."""
    known = Counter[tuple[str, ...]]()
    policies: dict[tuple[str, int], Body] = {}
    promotions = {one["id"]: one for one in requested(told)}
    for one in told:
        known.update(established(one))
        if one.kind == "policy.accepted":
            policies[one.body["environment"], one.body["version"]] = one.body
        if one.kind == "deployment.live":
            promotion = promotions[one.body["promotion"]]
            policy = policies[promotion["environment"], promotion["policy_version"]]
            assert known["artifact", one.body["artifact"]]
            assert known["release", promotion["release"]]
            assert known["judged", promotion["id"]]
            assert known["approved", promotion["environment"], promotion["candidate"]] >= policy["approvals"]
            upstream = policy["after"] if promotion["kind"] != "rollback" else None
            assert upstream is None or known["verified", upstream, promotion["release"]]


def established(one: Told) -> Iterator[tuple[str, ...]]:
    """What an entry establishes, as later ones need it."""
    body = one.body
    if one.kind == "artifact.built":
        yield "artifact", body["digest"]
    elif one.kind == "release.created":
        yield "release", body["digest"]
    elif one.kind == "promotion.moved" and body["phase"] == "Judging":
        yield "judged", body["id"]
    elif one.kind == "approval.given":
        yield "approved", body["environment"], body["candidate"]
    elif one.kind == "release.verified":
        yield "verified", body["environment"], body["release"]


def projections_are_what_the_entries_say(project: Project, ledger: PostgresqlLedger) -> None:
    """5. Rebuilding the projections from the entries changes nothing."""
    before = documents(ledger)
    assert project.ask("ledger", "rebuild")["ok"]
    assert documents(ledger) == before


def documents(ledger: PostgresqlLedger) -> dict[str, list[str]]:
    """Every projection, in an order of its own."""
    return {table: sorted(json.dumps(row, sort_keys=True) for row in ledger.rows(table)) for table in PROJECTIONS}


def the_chain_verifies_to_its_published_head(project: Project, ledger: PostgresqlLedger) -> None:
    """6. The chain verifies from the first entry to the published head."""
    home = project.installation.home
    until(lambda: read_heads(home) == ledger.streams(), "the heads to be published")
    verified = project.ask("ledger", "verify")
    assert (verified["ok"], verified["broken"]) == (True, [])


def a_request_has_one_effect(told: Sequence[Told]) -> None:
    """7. The same request twice has one effect."""
    keys = Counter(one.key for one in told if one.key)
    requests = Counter(one["request"] for one in requested(told))
    deployments = Counter(
        (one.kind, one.body["promotion"], one.body.get("service"))
        for one in told
        if one.kind in {"deployment.started", "deployment.live", "deployment.finished", "release.verified"}
    )
    for counted in (keys, requests, deployments):
        assert [what for what, times in counted.items() if times > 1] == []


def services_serve(project: Project) -> None:
    """9. What is deployed answers through its router."""
    for one in project.look("status")["environments"]:
        for service in one["services"]:
            httpx.get(service["address"], trust_env=False, timeout=20).raise_for_status()


def requested(told: Sequence[Told]) -> list[Body]:
    """The requests of all promotions."""
    return [one.body for one in told if one.kind == "promotion.requested"]
