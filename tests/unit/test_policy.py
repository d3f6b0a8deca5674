"""Policy: what tightens is accepted at once, what loosens waits."""

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.canonical import canonical_bytes
from delivery.config import Smoke, SmokeRequest
from delivery.config_gates import Check, Condition, Freeze, Quota, Upstreams
from delivery.config_reading import read_configuration
from delivery.errors import ConfigurationError
from delivery.pipeline import After
from delivery.policy import (
    TIERS,
    EnvironmentPolicy,
    PolicyDifference,
    accepted_at_once,
    differences,
    pipeline_order,
    policy_document,
    policy_from,
    proposed_policies,
    upstreams,
)

HOME = SmokeRequest(path="/")
HEALTH = SmokeRequest(path="/health")
DEV = EnvironmentPolicy("dev")
STAGING = EnvironmentPolicy("staging", tier="staging", after="dev", approvals=1, smoke=Smoke(requests=[HOME]))
PRODUCTION = EnvironmentPolicy("production", tier="production", after="staging", approvals=2)


def policies(*all_of_them: EnvironmentPolicy) -> dict[str, EnvironmentPolicy]:
    return {policy.environment: policy for policy in all_of_them}


IN_FORCE = policies(DEV, STAGING, PRODUCTION)


def test_a_proposal_is_read_from_the_environments() -> None:
    configuration = read_configuration(b"""
version: 1
services: {web: {paths: [web], build: {command: make}, run: {command: ./web}}}
smoke: {basic: {requests: [{path: /}]}}
environments:
  dev: {}
  staging:
    tier: staging
    after: dev
    automatic: false
    approvals: {count: 1, expires_after_seconds: 60}
    smoke: basic
    watch_seconds: 3
    url: https://staging.example
""")
    assert proposed_policies(configuration) == policies(
        DEV,
        EnvironmentPolicy(
            "staging",
            tier="staging",
            after="dev",
            automatic=False,
            approvals=1,
            approval_expires_after_seconds=60,
            smoke=Smoke(requests=[HOME]),
            watch_seconds=3,
        ),
    )


CHRISTMAS = Freeze.model_validate({"name": "holidays", "from": "2026-12-24", "until": "2026-12-26"})
WEEKEND = Freeze(name="weekend", cron="0 17 * * 5", for_seconds=3600, allow=["hotfix"])
CALENDAR = Freeze(name="calendar", calendar="calendars/holidays.ics")
SCAN = Check(name="scan")
FRESH = Check(name="load", of="release", fresh_seconds=60)
SMALL = Condition(name="small", cel="size(changes) < 5", because="it is too much at once")
QUIET = Condition(name="quiet", cel="size(incidents) == 0", because="it burns", otherwise="wait")
TWO_A_MINUTE = Quota(promotions=2, per_seconds=60)
UPSTREAMS = st.none() | st.sampled_from(["dev", "qa", Upstreams(all=["dev", "qa"]), Upstreams(any=["dev", "qa"])])


def window(one: Freeze, **changed: object) -> Freeze:
    """A window said in another way."""
    said = one.model_dump(mode="json", by_alias=True)
    return Freeze.model_validate({**said, **changed})


POLICIES = st.builds(
    EnvironmentPolicy,
    environment=st.just("staging"),
    tier=st.sampled_from(TIERS),
    after=UPSTREAMS,
    soak_seconds=st.floats(0, 86_400),
    freeze=st.lists(st.sampled_from([CHRISTMAS, WEEKEND, CALENDAR]), max_size=3, unique_by=str).map(
        lambda some: tuple(sorted(some, key=str))
    ),
    no_open_incident=st.booleans(),
    checks=st.sampled_from([(), (SCAN,), (FRESH,), (FRESH, SCAN)]),
    conditions=st.sampled_from([(), (SMALL,), (QUIET,), (SMALL, QUIET)]),
    queue=st.sampled_from(["newest", "serialize", "cancel"]),
    quota=st.none() | st.builds(Quota, promotions=st.integers(1, 9), per_seconds=st.floats(1, 86_400)),
    automatic=st.booleans(),
    approvals=st.integers(0, 10),
    approval_expires_after_seconds=st.floats(1, 86_400),
    smoke=st.none() | st.lists(st.sampled_from([HOME, HEALTH]), min_size=1).map(lambda some: Smoke(requests=some)),
    watch_seconds=st.floats(0, 86_400),
    rollout_timeout_seconds=st.floats(1, 86_400),
)


@given(POLICIES)
def test_a_policy_comes_back_from_the_ledger_as_it_was(policy: EnvironmentPolicy) -> None:
    stored = json.loads(canonical_bytes(policy_document(policy)))
    assert policy_from({**stored, "version": 3, "accepted_at": "now", "by": {"kind": "person"}}) == policy


@given(POLICIES, POLICIES)
def test_every_changed_field_is_a_difference_and_nothing_else(old: EnvironmentPolicy, new: EnvironmentPolicy) -> None:
    changed = {field.name for field in fields(old) if getattr(old, field.name) != getattr(new, field.name)}
    assert {one.field for one in differences(policies(old), policies(new))} == changed


@given(POLICIES, POLICIES)
def test_what_tightens_one_way_loosens_the_other(old: EnvironmentPolicy, new: EnvironmentPolicy) -> None:
    """Only what cannot be compared may loosen both ways; nothing may tighten both ways."""
    forth = {one.field: one.loosens for one in differences(policies(old), policies(new))}
    back = {one.field: one.loosens for one in differences(policies(new), policies(old))}
    assert all(forth[name] or back[name] for name in forth)
    numbers = {
        "soak_seconds",
        "approvals",
        "approval_expires_after_seconds",
        "watch_seconds",
        "rollout_timeout_seconds",
        "tier",
    }
    assert all(forth[name] != back[name] for name in forth.keys() & (numbers | {"automatic"}))


@pytest.mark.parametrize(
    ("change", "loosens"),
    [
        ({"approvals": 2}, False),
        ({"approvals": 0}, True),
        ({"approval_expires_after_seconds": 60}, False),
        ({"approval_expires_after_seconds": 86_401}, True),
        ({"automatic": False}, False),
        ({"tier": "production"}, False),
        ({"tier": "testing"}, True),
        ({"watch_seconds": 91}, False),
        ({"watch_seconds": 0}, True),
        ({"rollout_timeout_seconds": 10}, False),
        ({"rollout_timeout_seconds": 301}, True),
        ({"after": None}, True),
        ({"after": Upstreams(all=["dev", "qa"])}, False),
        ({"after": Upstreams(any=["dev", "qa"])}, True),
        ({"soak_seconds": 60}, False),
        ({"freeze": (CHRISTMAS,)}, False),
        ({"no_open_incident": True}, False),
        ({"checks": (SCAN,)}, False),
        ({"quota": Quota(promotions=1, per_seconds=60)}, False),
        ({"after": "production"}, True),
        ({"smoke": None}, True),
        ({"smoke": Smoke(requests=[HOME, HEALTH])}, False),
        ({"smoke": Smoke(requests=[HEALTH])}, True),
        ({"smoke": Smoke(requests=[HEALTH, HOME, HOME])}, False),
        ({"smoke": Smoke(requests=[HOME.model_copy(update={"status": [200, 500]})])}, True),
    ],
    ids=str,
)
def test_each_field_tightens_or_loosens(change: dict[str, object], loosens: bool) -> None:  # noqa: FBT001
    proposed = {**IN_FORCE, "staging": replace(STAGING, **change)}  # type: ignore[arg-type]  # a table's values
    (difference,) = differences(IN_FORCE, proposed)
    assert (difference.environment, difference.field, difference.loosens) == ("staging", next(iter(change)), loosens)


def test_automation_that_was_off_and_goes_on_loosens() -> None:
    by_hand = policies(replace(DEV, automatic=False))
    assert [one.loosens for one in differences(by_hand, policies(DEV))] == [True]


def test_coming_later_in_the_same_line_tightens() -> None:
    direct = {**IN_FORCE, "production": replace(PRODUCTION, after="dev")}
    assert [one.loosens for one in differences(direct, IN_FORCE)] == [False]
    assert [one.loosens for one in differences(IN_FORCE, direct)] == [True]


def test_a_first_upstream_tightens() -> None:
    alone = {**IN_FORCE, "staging": replace(STAGING, after=None)}
    assert [one.loosens for one in differences(alone, IN_FORCE)] == [False]


@pytest.mark.parametrize(
    ("was", "will", "loosens"),
    [
        (Upstreams(all=["eu", "us"]), Upstreams(any=["eu", "us"]), True),
        (Upstreams(any=["eu", "us"]), Upstreams(all=["eu", "us"]), False),
        (Upstreams(any=["eu", "us"]), "eu", False),
        ("eu", Upstreams(any=["eu", "us"]), True),
        (Upstreams(all=["eu", "us"]), "eu", True),
        ("dev", Upstreams(any=["eu", "us"]), False),
        ("dev", Upstreams(any=["eu", "elsewhere"]), True),
        (Upstreams(any=["dev", "elsewhere"]), "us", False),
    ],
    ids=str,
)
def test_every_way_must_lead_through_what_was_demanded(was: After, will: After, loosens: bool) -> None:  # noqa: FBT001
    others = policies(
        DEV,
        EnvironmentPolicy("eu", after="dev"),
        EnvironmentPolicy("us", after="dev"),
        EnvironmentPolicy("elsewhere"),
    )
    old, new = replace(PRODUCTION, after=was), replace(PRODUCTION, after=will)
    found = differences({**others, "production": old}, {**others, "production": new})
    assert [one.loosens for one in found] == [loosens]


@pytest.mark.parametrize(
    ("was", "will", "loosens"),
    [
        ((CHRISTMAS,), (), True),
        ((CHRISTMAS,), (CHRISTMAS, WEEKEND), False),
        ((CHRISTMAS,), (window(CHRISTMAS, name="renamed", until="2026-12-31"),), False),
        ((CHRISTMAS,), (window(CHRISTMAS, until="2026-12-25"),), True),
        ((CHRISTMAS,), (window(CHRISTMAS, time_zone="Pacific/Auckland"),), True),
        ((CHRISTMAS,), (window(CHRISTMAS, allow=["hotfix"]),), True),
        ((WEEKEND,), (window(WEEKEND, allow=[]),), False),
        ((WEEKEND,), (window(WEEKEND, for_seconds=7200),), False),
        ((WEEKEND,), (window(WEEKEND, for_seconds=60),), True),
        ((WEEKEND,), (window(WEEKEND, cron="0 16 * * 5"),), True),
        ((CALENDAR,), (window(CALENDAR, calendar="other.ics"),), True),
    ],
    ids=str,
)
def test_a_freeze_window_may_only_grow(
    was: tuple[Freeze, ...],
    will: tuple[Freeze, ...],
    loosens: bool,  # noqa: FBT001
) -> None:
    found = differences(policies(replace(DEV, freeze=was)), policies(replace(DEV, freeze=will)))
    assert [one.loosens for one in found] == [loosens]


@pytest.mark.parametrize(
    ("was", "will", "loosens"),
    [
        ({"checks": (FRESH,)}, {"checks": ()}, True),
        ({"checks": (FRESH,)}, {"checks": (SCAN, FRESH)}, False),
        ({"checks": (FRESH,)}, {"checks": (FRESH.model_copy(update={"fresh_seconds": 30}),)}, False),
        ({"checks": (FRESH,)}, {"checks": (FRESH.model_copy(update={"fresh_seconds": None}),)}, True),
        ({"checks": (SCAN,)}, {"checks": (SCAN.model_copy(update={"fresh_seconds": 1}),)}, False),
        ({"checks": (SCAN,)}, {"checks": (SCAN.model_copy(update={"of": "release"}),)}, True),
        ({"quota": TWO_A_MINUTE}, {"quota": None}, True),
        ({"quota": TWO_A_MINUTE}, {"quota": Quota(promotions=1, per_seconds=60)}, False),
        ({"quota": TWO_A_MINUTE}, {"quota": Quota(promotions=2, per_seconds=61)}, False),
        ({"quota": TWO_A_MINUTE}, {"quota": Quota(promotions=20, per_seconds=6000)}, True),
        ({"no_open_incident": True}, {"no_open_incident": False}, True),
        ({"conditions": (SMALL,)}, {"conditions": ()}, True),
        ({"queue": "newest"}, {"queue": "serialize"}, True),
        ({"queue": "serialize"}, {"queue": "cancel"}, True),
        ({"conditions": (SMALL,)}, {"conditions": (SMALL, QUIET)}, False),
        ({"conditions": (SMALL,)}, {"conditions": (SMALL.model_copy(update={"because": "y", "name": "n"}),)}, False),
        ({"conditions": (SMALL,)}, {"conditions": (SMALL.model_copy(update={"cel": "true"}),)}, True),
    ],
    ids=str,
)
def test_fewer_or_older_results_and_more_rollouts_loosen(
    was: dict[str, object],
    will: dict[str, object],
    loosens: bool,  # noqa: FBT001
) -> None:
    old, new = replace(DEV, **was), replace(DEV, **will)  # type: ignore[arg-type]  # a table's values
    assert [one.loosens for one in differences(policies(old), policies(new))] == [loosens]


def test_another_spelling_of_the_same_upstreams_is_no_change() -> None:
    def proposal(after: str) -> dict[str, EnvironmentPolicy]:
        head = "version: 1\nservices: {web: {paths: [web], build: {command: make}, run: {command: ./web}}}\n"
        text = f"{head}environments: {{eu: {{}}, us: {{}}, production: {{after: {after}}}}}"
        return proposed_policies(read_configuration(text.encode()))

    assert differences(proposal("{all: [us, eu]}"), proposal("{all: [eu, us]}")) == []
    assert differences(proposal("eu"), proposal("{any: [eu]}")) == []


def test_the_first_proposal_loosens_nothing() -> None:
    assert differences({}, IN_FORCE) == [
        PolicyDifference("dev", "environment", None, "development", loosens=False),
        PolicyDifference("production", "environment", None, "production", loosens=False),
        PolicyDifference("staging", "environment", None, "staging", loosens=False),
    ]
    assert accepted_at_once({}, IN_FORCE) == IN_FORCE


def test_a_new_or_removed_environment_waits_for_a_person() -> None:
    two = policies(DEV, STAGING)
    assert [str(one) for one in differences(two, IN_FORCE)] == [
        "production: environment (none) -> production (loosens)"
    ]
    assert accepted_at_once(two, IN_FORCE) == {}
    assert [str(one) for one in differences(IN_FORCE, two)] == [
        "production: environment production -> (none) (loosens)"
    ]


def test_differences_read_as_sentences() -> None:
    proposed = {
        **IN_FORCE,
        "staging": replace(
            STAGING, approvals=0, automatic=False, smoke=Smoke(requests=[HOME, HEALTH]), watch_seconds=0.5
        ),
    }
    assert [str(one) for one in differences(IN_FORCE, proposed)] == [
        "staging: automatic yes -> no",
        "staging: approvals 1 -> 0 (loosens)",
        "staging: smoke 1 requests -> 2 requests",
        "staging: watch_seconds 90 -> 0.5 (loosens)",
    ]


def test_only_environments_that_tighten_throughout_are_accepted_at_once() -> None:
    stricter = replace(DEV, approvals=1)
    mixed = replace(STAGING, approvals=2, watch_seconds=1)
    assert accepted_at_once(IN_FORCE, {**IN_FORCE, "dev": stricter, "staging": mixed}) == {"dev": stricter}
    assert accepted_at_once(IN_FORCE, IN_FORCE) == {}


def test_nothing_is_accepted_alone_that_would_make_a_circle() -> None:
    one, two = EnvironmentPolicy("one"), EnvironmentPolicy("two", after="one")
    turned = policies(replace(one, after="two"), replace(two, after=None))
    assert [(change.environment, change.loosens) for change in differences(policies(one, two), turned)] == [
        ("one", False),
        ("two", True),
    ]
    assert accepted_at_once(policies(one, two), turned) == {}


def test_nothing_is_accepted_that_comes_after_what_is_not_in_force() -> None:
    quality = EnvironmentPolicy("qa", after="dev")
    behind = replace(STAGING, after="qa")
    assert accepted_at_once(IN_FORCE, {**IN_FORCE, "qa": quality, "staging": behind}) == {}


def test_the_order_follows_upstreams_then_tiers_then_names() -> None:
    more = {
        **IN_FORCE,
        "alone": EnvironmentPolicy("alone", tier="production"),
        "a": EnvironmentPolicy("a", after="gone"),
    }
    assert pipeline_order(dict(reversed(more.items()))) == ("a", "dev", "alone", "staging", "production")
    assert upstreams(more, "production") == ("staging", "dev")
    assert upstreams(more, "nowhere") == upstreams(more, "a") == ()


def test_several_upstreams_all_come_before() -> None:
    found = policies(
        EnvironmentPolicy("production", after=Upstreams(all=["eu", "us"])),
        EnvironmentPolicy("eu", after="dev"),
        EnvironmentPolicy("us", after=Upstreams(any=["qa", "dev"])),
        EnvironmentPolicy("qa", after="dev"),
        DEV,
    )
    assert pipeline_order(found) == ("dev", "eu", "qa", "us", "production")
    assert upstreams(found, "production") == ("eu", "us", "dev", "qa")
    assert accepted_at_once({}, {**found, "us": replace(found["us"], after=Upstreams(all=["eu", "gone"]))}) == {}


def test_environments_that_wait_for_each_other_have_no_order() -> None:
    one, two = EnvironmentPolicy("one", after="two"), EnvironmentPolicy("two", after="one")
    with pytest.raises(ConfigurationError) as caught:
        pipeline_order(policies(one, two))
    assert caught.value.message == "ordering environments: each comes after the other: one -> two -> one"
    assert caught.value.hint == "remove one `after`"


@given(st.permutations(["a", "b", "c", "d", "e"]))
def test_every_environment_stands_after_its_upstream(names: list[str]) -> None:
    chain = [EnvironmentPolicy(name, after=before) for name, before in zip(names, [None, *names], strict=False)]
    assert pipeline_order(policies(*chain)) == tuple(names)
