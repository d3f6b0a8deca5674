"""Verifying: the smoke suite through the router, then the watch window."""

import time
from collections.abc import Iterator, Mapping
from datetime import timedelta

from delivery.promoting.accepting import policy_version
from delivery.promoting.rolling_out import Said, target_of
from delivery.promoting.turn import Turn
from delivery.promotion import Promotion
from delivery.rollout import HealthState, Observed
from delivery.verification import SmokeReport

LOOK_SECONDS = 0.5
UNWELL = frozenset({HealthState.DOWN, HealthState.DEGRADED})


def run_smoke(turn: Turn, say: Said) -> SmokeReport | None:
    """Ask the environment's smoke suite; None when its policy has none."""
    connections, promotion = turn.connections, turn.promotion
    policy = policy_version(connections, promotion.project, promotion.environment, promotion.policy_version)
    if policy.terms.smoke is None:
        return None

    def secret(reference: str) -> str:
        return connections.secrets.resolve(reference, promotion.project, promotion.environment, "smoke suite")

    addresses = connections.deployer.observe(target_of(promotion)).addresses
    report = connections.smoker.run(policy.terms.smoke, addresses, secret)
    for one in report.results:
        say(f"smoke {one.name}: {'passed' if one.passed else one.reason} ({one.seconds * 1000:.0f} ms)")
    return report


def watch(turn: Turn, say: Said) -> Iterator[str | None]:
    """Look at the environment until its watch window closes, which is told.

    Yields None after each look that found it well, and the reason, as the last thing, when it is not.
    """
    connections, promotion = turn.connections, turn.promotion
    policy = policy_version(connections, promotion.project, promotion.environment, promotion.policy_version)
    ends = connections.clock.now() + timedelta(seconds=policy.terms.watch_seconds)
    if policy.terms.watch_seconds:
        say(f"watching until {ends:%H:%M:%SZ} ({policy.terms.watch_seconds:g} s)")
    restarts: dict[str, int] = {}
    while True:
        observed = connections.deployer.observe(target_of(promotion))
        reason = ailment(observed, promotion) or relapse(observed, restarts)
        restarts = {one.id: one.restarts for one in observed.instances}
        yield reason
        if reason or connections.clock.now() >= ends:
            return
        time.sleep(LOOK_SECONDS)


def ailment(observed: Observed, promotion: Promotion) -> str | None:
    """Why a release is not well, by what was seen of its router and the instances that serve it; None when it is."""
    for service, sides in observed.weights.items():
        if service not in promotion.gone and sides and not any(sides.values()):
            return f"{service} gets no traffic: its router serves none of its sides"
    for one in observed.instances:
        if one.serves and one.health in UNWELL:
            return f"{one.service} is {one.health}: {one.message or 'no reason seen'}"
    if observed.release is not None and observed.release != promotion.release:
        return f"the environment runs release {observed.release}"
    return None


def relapse(observed: Observed, restarts: Mapping[str, int]) -> str | None:
    """Why a release is not well that looks so now: what serves it has ended by itself since the look before.

    A process is up again within a blink; who looks twice a second would often find it healthy.
    """
    for one in observed.instances:
        if one.serves and one.restarts > restarts.get(one.id, one.restarts):
            return f"{one.service} has ended by itself and was started again"
    return None
