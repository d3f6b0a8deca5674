from datetime import UTC, datetime

import pytest
from pydantic import JsonValue

from delivery.actor import Actor
from delivery.ledger import GENESIS, Draft, Entry, chained
from delivery.projection import Merge, project

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
AT_TEXT = "2026-11-22T12:00:00.000000Z"
BY: JsonValue = {"kind": "person", "subject": "ann", "evidence": "none"}


def _entry(kind: str, **body: JsonValue) -> Entry:
    return chained("shop", 7, GENESIS, Draft(kind, body, Actor("person", "ann"), AT))


@pytest.mark.parametrize(
    ("kind", "body", "table", "key"),
    [
        ("project.registered", {"slug": "shop"}, "projects", "shop"),
        ("policy.accepted", {"environment": "dev", "version": 3}, "policies", "shop/dev/3"),
        ("revision.tested", {"commit": "abc"}, "revisions", "shop/abc"),
        ("artifact.built", {"build_key": "sha256:1"}, "artifacts", "shop/sha256:1"),
        ("release.created", {"digest": "sha256:2"}, "releases", "shop/sha256:2"),
        ("promotion.requested", {"id": "p1"}, "promotions", "p1"),
        ("promotion.moved", {"id": "p1"}, "promotions", "p1"),
        ("approval.given", {"id": "a1"}, "approvals", "a1"),
        ("approval.rejected", {"id": "a1"}, "approvals", "a1"),
        ("effect.intended", {"promotion": "p1", "action": "apply"}, "effects", "p1/apply"),
        ("deployment.started", {"promotion": "p1", "service": "api"}, "deployments", "p1/api"),
        ("service.gone", {"environment": "dev", "service": "api"}, "running", "shop/dev/api"),
        ("release.verified", {"environment": "dev", "release": "sha256:2"}, "verified", "shop/dev/sha256:2"),
        ("incident.opened", {"id": "i1"}, "incidents", "i1"),
        ("environment.held", {"environment": "dev"}, "holds", "shop/dev"),
    ],
)
def test_an_entry_touches_its_document(kind: str, body: dict[str, JsonValue], table: str, key: str) -> None:
    [merge] = project(_entry(kind, **body))

    assert (merge.table, merge.key, merge.project) == (table, key, "shop")


def test_a_request_makes_a_promotion() -> None:
    assert project(_entry("promotion.requested", id="p1", environment="dev", passes=2)) == (
        Merge(
            "promotions",
            "p1",
            "shop",
            {
                "project": "shop",
                "phase": "Requested",
                "because": "requested",
                "passes": 2,
                "id": "p1",
                "environment": "dev",
                "requested_at": AT_TEXT,
                "requested_by": BY,
                "sequence": 7,
            },
        ),
    )


def test_a_move_changes_only_what_it_names() -> None:
    [merge] = project(_entry("promotion.moved", id="p1", phase="Judging"))

    assert merge.fields == {"id": "p1", "phase": "Judging", "moved_at": AT_TEXT}


def test_a_live_deployment_is_what_runs() -> None:
    deployment, running = project(
        _entry("deployment.live", promotion="p1", service="api", environment="dev", revision="abc", live_at="earlier")
    )

    assert (deployment.table, deployment.fields["live_at"]) == ("deployments", "earlier")
    assert (running.table, running.key) == ("running", "shop/dev/api")
    assert running.fields["promotion"] == "p1"
    assert running.fields["live_from"] == AT_TEXT
    assert running.fields["gone_at"] is None


def test_each_commit_of_a_deployment_has_a_document() -> None:
    merges = project(_entry("deployment.commits", deployment="p1/api", commits=[{"id": "a"}, {"id": "b"}]))

    assert [(merge.table, merge.key) for merge in merges] == [("commits", "p1/api/a"), ("commits", "p1/api/b")]
    assert merges[0].fields == {"project": "shop", "deployment": "p1/api", "id": "a"}


def test_every_digest_is_marked_bad() -> None:
    merges = project(_entry("release.marked_bad", digests=["sha256:1", "sha256:2"], promotion="p1", because="smoke"))

    assert [merge.key for merge in merges] == ["shop/sha256:1", "shop/sha256:2"]


def test_a_revoked_verification_keeps_when_it_was_verified() -> None:
    [merge] = project(_entry("verification.revoked", environment="dev", release="sha256:2", because="bad"))

    assert merge.fields == {"revoked_at": AT_TEXT, "revoked_because": "bad"}


def test_a_hold_is_lifted_in_the_same_document() -> None:
    [held] = project(_entry("environment.held", environment="dev", reason="freeze"))
    [released] = project(_entry("environment.released", environment="dev"))

    assert held.key == released.key
    assert (held.fields["held"], held.fields["reason"]) == (True, "freeze")
    assert (released.fields["held"], released.fields["reason"]) == (False, None)


def test_kinds_from_the_future_touch_nothing() -> None:
    assert project(_entry("moon.landed", crater="Tycho")) == ()


def test_a_body_without_its_key_is_an_error() -> None:
    with pytest.raises(KeyError, match="id"):
        project(_entry("promotion.moved", phase="Judging"))
