"""Secrets in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from delivery.errors import PermanentError
from delivery.ports import Row
from delivery.secret import SecretScope, check_name, check_value, referenced_name, unset


@dataclass(slots=True)
class _Kept:
    value: str
    owner: str
    expires_at: datetime | None
    used: tuple[datetime, str] | None = None


class InMemorySecrets:
    """`delivery.ports.SecretStore` as a dictionary."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._kept: dict[tuple[SecretScope, str], _Kept] = {}
        self._now = now

    def resolve(self, reference: str, project: str, environment: str | None, purpose: str) -> str:
        name, scope = referenced_name(reference), SecretScope(project, environment)
        for one in scope.widening:
            found = self._kept.get((one, name))
            if found and found.expires_at and found.expires_at <= self._now():
                raise PermanentError(
                    f"opening secret {name} of {one}: it expired at {_text(found.expires_at)}",
                    hint="set it again with a new value",
                )
            if found:
                found.used = (self._now(), purpose)
                return found.value
        raise unset(name, scope)

    def put(
        self,
        name: str,
        value: str,
        project: str,
        environment: str | None,
        owner: str,
        expires_at: datetime | None = None,
    ) -> None:
        scope = SecretScope(project, environment)
        self._kept[scope, check_name(name)] = _Kept(check_value(name, value), owner, expires_at)

    def remove(self, name: str, project: str, environment: str | None) -> bool:
        return self._kept.pop((SecretScope(project, environment), check_name(name)), None) is not None

    def list(self, project: str) -> Sequence[Row]:
        kept = [(scope, name, one) for (scope, name), one in self._kept.items() if scope.project == project]
        kept.sort(key=lambda one: (one[0].environment or "", one[1]))
        return [
            {
                "name": name,
                "scope": str(scope),
                "owner": one.owner,
                "expires_at": _text(one.expires_at) if one.expires_at else None,
                "last_used_at": _text(one.used[0]) if one.used else None,
                "last_used_for": one.used[1] if one.used else None,
            }
            for scope, name, one in kept
        ]


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
