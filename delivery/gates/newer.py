"""Gate: nothing newer is overwritten."""

from collections.abc import Iterable
from dataclasses import dataclass

from delivery.gates.verdict import Verdict
from delivery.promotion import Kind


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """How a service's revision relates to the one live now."""

    service: str
    relation: str
    """`same`, `newer`, `older`, `diverged`, `unrelated`, or `first` when nothing is live."""


_NOT_NEWER = {
    "older": "what runs is newer; use rollback to go back",
    "diverged": "what runs has diverged from it, neither contains the other; replace it with: {insist}",
    "unrelated": "what runs is of an unrelated line of history; replace it with: {insist}",
}


def require_newer(lines: Iterable[ServiceLine], kind: Kind, *, replace: bool, insist: str) -> Verdict:
    """Service by service, nothing newer is overwritten, and no other line of history, unless asked for.

    `insist` is the command that asks for it.
    """
    if kind is Kind.ROLLBACK or replace:
        return Verdict("newer")
    found = ((line.service, _NOT_NEWER.get(line.relation)) for line in lines)
    return Verdict("newer", tuple(f"{service}: {why.format(insist=insist)}" for service, why in found if why))
