"""Policy: who may go to an environment, and how. Proposed in `shipline.yaml`, in force once accepted.

Tightening is accepted at once; loosening waits for a person under the policy in force. The very first
proposal of a project is accepted as it is.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

from pydantic import JsonValue, TypeAdapter

from delivery.actor import Evidence
from delivery.config import Approvals, Configuration, Environment, Smoke
from delivery.config_gates import Check, Condition, Freeze, Quota
from delivery.errors import ConfigurationError
from delivery.loosening import checks_less, demands_less, freezes_less, takes_more
from delivery.pipeline import After, before, demands, names_of, ordered, tidied

Tier = Literal["development", "testing", "staging", "production"]
TIERS: tuple[Tier, ...] = ("development", "testing", "staging", "production")


@dataclass(frozen=True, slots=True)
class EnvironmentPolicy:
    """The policy part of one environment; `smoke` is the suite itself, so that editing it is a change of policy."""

    environment: str
    tier: Tier = "development"
    after: After = None
    soak_seconds: float = 0
    freeze: tuple[Freeze, ...] = ()
    no_open_incident: bool = False
    checks: tuple[Check, ...] = ()
    quota: Quota | None = None
    conditions: tuple[Condition, ...] = ()
    queue: Literal["newest", "serialize", "cancel"] = "newest"
    automatic: bool = True
    approvals: int = 0
    approval_roles: Mapping[str, int] = field(default_factory=dict)
    approval_evidence: tuple[Evidence, ...] = ("none", "api-token", "one-time-code", "ssh-signature")
    approval_not_by: tuple[Literal["author", "requester"], ...] = ()
    approval_comment_required: bool = False
    approval_roles_count_at: Literal["approval", "rollout"] = "rollout"
    approval_expires_after_seconds: float = 86_400
    approval_remind_after_seconds: tuple[float, ...] = ()
    strategy: Literal["rolling"] = "rolling"
    smoke: Smoke | None = None
    watch_seconds: float = 90
    rollout_timeout_seconds: float = 300


Policies = Mapping[str, EnvironmentPolicy]
"""By the environment's name."""


@dataclass(frozen=True, slots=True)
class PolicyDifference:
    """One field that a proposal changes; the field `environment` stands for the environment as a whole."""

    environment: str
    field: str
    old: JsonValue
    new: JsonValue
    loosens: bool

    def __str__(self) -> str:
        """For people: `staging: approvals 2 -> 1 (loosens)`."""
        change = f"{self.environment}: {self.field} {_shown(self.old)} -> {_shown(self.new)}"
        return f"{change} (loosens)" if self.loosens else change


def proposed_policies(configuration: Configuration) -> dict[str, EnvironmentPolicy]:
    """What `shipline.yaml` proposes for each of its environments."""
    suites = configuration.smoke
    return {
        name: _proposed(name, environment, suites[environment.smoke] if environment.smoke else None)
        for name, environment in configuration.environments.items()
    }


def policy_document(policy: EnvironmentPolicy) -> dict[str, JsonValue]:
    """The policy as the ledger keeps it: the body of `policy.accepted`, without its version."""
    document: dict[str, JsonValue] = _ADAPTER.dump_python(policy, mode="json", by_alias=True)
    return document


def policy_from(document: Mapping[str, JsonValue]) -> EnvironmentPolicy:
    """A policy from its document; what else stands there (version, time, actor) is left out."""
    names = {one.name for one in fields(EnvironmentPolicy)}
    return _ADAPTER.validate_python({name: value for name, value in document.items() if name in names})


def pipeline_order(policies: Policies) -> tuple[str, ...]:
    """Names, each after its upstream; among equals by tier, then name.

    An upstream that is not there does not order anything. ConfigurationError for a cycle.
    """
    names = sorted(policies, key=lambda name: (TIERS.index(policies[name].tier), name))
    return ordered(_afters(policies), names)


def upstreams(policies: Policies, environment: str) -> tuple[str, ...]:
    """The environments that a release may pass before this one, nearest first."""
    return before(_afters(policies), environment)


def _afters(policies: Policies) -> dict[str, After]:
    return {name: policy.after for name, policy in policies.items()}


def differences(in_force: Policies, proposed: Policies) -> list[PolicyDifference]:
    """Every field that a proposal changes, in order of environments and fields.

    With nothing in force nothing loosens. Later on a new or a removed environment does: a person says yes.
    """
    found: list[PolicyDifference] = []
    for name in sorted(in_force.keys() | proposed.keys()):
        old, new = in_force.get(name), proposed.get(name)
        if old is None or new is None:
            was, will = (old.tier if old else None), (new.tier if new else None)
            found.append(PolicyDifference(name, "environment", was, will, loosens=bool(in_force)))
        else:
            found += _changed_fields(old, new, proposed)
    return found


def accepted_at_once(in_force: Policies, proposed: Policies) -> dict[str, EnvironmentPolicy]:
    """The proposed policies that need nobody: of environments that change, and nothing of which loosens.

    An environment waits as a whole. All wait when only some of them together would make a cycle or name
    an upstream that is not in force.
    """
    changes = differences(in_force, proposed)
    waiting = {change.environment for change in changes if change.loosens}
    accepted = {
        change.environment: proposed[change.environment] for change in changes if change.environment not in waiting
    }
    return accepted if _stands({**in_force, **accepted}) else {}


def _proposed(name: str, environment: Environment, smoke: Smoke | None) -> EnvironmentPolicy:
    approvals: Approvals = environment.approvals
    return EnvironmentPolicy(
        environment=name,
        tier=environment.tier,
        after=tidied(environment.after),
        soak_seconds=environment.soak_seconds,
        freeze=tuple(environment.freeze),
        no_open_incident=environment.no_open_incident,
        checks=tuple(environment.checks),
        quota=environment.quota,
        conditions=tuple(environment.conditions),
        queue=environment.queue,
        automatic=environment.automatic,
        approvals=approvals.count,
        approval_roles=approvals.roles,
        approval_evidence=tuple(dict.fromkeys(approvals.evidence)),
        approval_not_by=tuple(dict.fromkeys(approvals.not_by)),
        approval_comment_required=approvals.comment == "required",
        approval_roles_count_at=approvals.roles_count_at,
        approval_expires_after_seconds=approvals.expires_after_seconds,
        approval_remind_after_seconds=tuple(approvals.remind_after_seconds),
        strategy=environment.strategy,
        smoke=smoke,
        watch_seconds=environment.watch_seconds,
        rollout_timeout_seconds=environment.rollout_timeout_seconds,
    )


def _changed_fields(old: EnvironmentPolicy, new: EnvironmentPolicy, proposed: Policies) -> Iterator[PolicyDifference]:
    before, after = policy_document(old), policy_document(new)
    for name in before:
        if before[name] != after[name]:
            loosens = _LOOSENS[name](old, new, proposed)
            yield PolicyDifference(old.environment, name, before[name], after[name], loosens)


Rule = Callable[[EnvironmentPolicy, EnvironmentPolicy, Policies], bool]


def _after_loosens(old: EnvironmentPolicy, new: EnvironmentPolicy, proposed: Policies) -> bool:
    """Coming later in the same line demands more; anything else demands something less."""
    return not demands(_afters(proposed), new.after, old.after)


def _smoke_loosens(old: EnvironmentPolicy, new: EnvironmentPolicy, _: Policies) -> bool:
    """Adding requests demands more; losing, changing or reordering them demands something else."""
    if old.smoke is None:
        return False
    asked = iter(new.smoke.requests if new.smoke else ())
    return not all(request in asked for request in old.smoke.requests)


def _roles_loosen(old: Mapping[str, int], new: Mapping[str, int]) -> bool:
    """Fewer of a role demand less; from nobody in particular to any role demands more."""
    return any(new.get(role, 0) < number for role, number in old.items())


_LOOSENS: dict[str, Rule] = {
    "tier": lambda old, new, _: TIERS.index(new.tier) < TIERS.index(old.tier),
    "after": _after_loosens,
    "soak_seconds": lambda old, new, _: new.soak_seconds < old.soak_seconds,
    "freeze": lambda old, new, _: freezes_less(old.freeze, new.freeze),
    "no_open_incident": lambda _old, new, _: not new.no_open_incident,
    "checks": lambda old, new, _: checks_less(old.checks, new.checks),
    "quota": lambda old, new, _: takes_more(old.quota, new.quota),
    "queue": lambda _old, _new, _: True,
    "conditions": lambda old, new, _: demands_less(old.conditions, new.conditions),
    "automatic": lambda _old, new, _: new.automatic,
    "approvals": lambda old, new, _: new.approvals < old.approvals,
    "approval_roles": lambda old, new, _: _roles_loosen(old.approval_roles, new.approval_roles),
    "approval_evidence": lambda old, new, _: not set(new.approval_evidence) <= set(old.approval_evidence),
    "approval_not_by": lambda old, new, _: not set(new.approval_not_by) >= set(old.approval_not_by),
    "approval_comment_required": lambda old, _new, __: old.approval_comment_required,
    "approval_roles_count_at": lambda _old, new, _: new.approval_roles_count_at == "approval",
    "approval_remind_after_seconds": lambda _old, _new, _: False,
    "approval_expires_after_seconds": lambda old, new, _: (
        new.approval_expires_after_seconds > old.approval_expires_after_seconds
    ),
    "strategy": lambda _old, _new, _: True,
    "smoke": _smoke_loosens,
    "watch_seconds": lambda old, new, _: new.watch_seconds < old.watch_seconds,
    "rollout_timeout_seconds": lambda old, new, _: new.rollout_timeout_seconds > old.rollout_timeout_seconds,
}


def _stands(policies: Policies) -> bool:
    """Whether every upstream is there and there is an order."""
    if any(name not in policies for policy in policies.values() for name in names_of(policy.after)):
        return False
    try:
        pipeline_order(policies)
    except ConfigurationError:
        return False
    return True


def _shown(value: JsonValue) -> str:
    match value:
        case {"requests": list() as requests}:
            return f"{len(requests)} requests"
        case None | [] | {}:
            return "(none)"
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
    return str(value)


_ADAPTER = TypeAdapter(EnvironmentPolicy)
