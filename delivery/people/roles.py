"""Roles: what people may do. A role that a team names lets its holders read, and approve where a policy asks for it."""

from collections.abc import Iterable
from enum import StrEnum


class Permission(StrEnum):
    """What a request may need."""

    READ = "read"
    DEVELOP = "develop"
    """Plan, run, retry and stop runs; report what was checked."""
    APPROVE = "approve"
    RELEASE = "release"
    """Promote, roll back, hold, close incidents."""
    ADMINISTER = "administer"
    """People, policy, secrets, projects, the ledger."""


EVERYTHING = frozenset(Permission)
_TEAM_NAMED = frozenset({Permission.READ, Permission.APPROVE})
BUILT_IN = {
    "viewer": frozenset({Permission.READ}),
    "developer": frozenset({Permission.READ, Permission.DEVELOP}),
    "approver": frozenset({Permission.READ, Permission.APPROVE}),
    "release-manager": frozenset({Permission.READ, Permission.DEVELOP, Permission.RELEASE}),
    "admin": EVERYTHING,
}
"""By name. No role contains another one's name: who is to approve as `approver` has that role."""


def permissions_of(roles: Iterable[str]) -> frozenset[Permission]:
    """Everything that somebody with these roles may do; nothing without any."""
    return frozenset().union(*(BUILT_IN.get(role, _TEAM_NAMED) for role in roles))
