"""People whom a test knows: an Identity in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from delivery.gates.verdict import Verdict
from delivery.people.roles import Permission
from shipline.web.identity import Person

APPROVER = Person("grace", frozenset({Permission.READ, Permission.APPROVE}), "grace")
READER = Person("ron", frozenset({Permission.READ}), "ron")
NOBODY = Person("eve", frozenset(), "eve")
WRONG_CODE = Verdict("one-time code", ("wrong one-time code",))


@dataclass(slots=True)
class PeopleOfATest:
    """By token; whoever is taken out of it may not come in any more."""

    tokens: dict[str, Person] = field(
        default_factory=lambda: {"grace-token": APPROVER, "ron-token": READER, "eve-token": NOBODY}
    )
    codes: dict[str, str] = field(default_factory=dict)
    """By name: one that has not been used."""

    @property
    def names(self) -> Mapping[str, Person]:
        return {one.name: one for one in self.tokens.values()}

    def by_token(self, token: str) -> Person | None:
        return self.tokens.get(token)

    def by_code(self, name: str, code: str) -> Person | Verdict:
        verdict = self.look_at_code(name, code)
        if verdict.passed:
            del self.codes[name]
        return self.names[name] if verdict.passed else verdict

    def by_name(self, name: str) -> Person | None:
        return self.names.get(name)

    def by_key(self, key: str) -> Person | None:
        return self.names.get(key)

    def look_at_code(self, name: str, code: str) -> Verdict:
        return Verdict("one-time code") if self.codes.get(name, "") == code != "" else WRONG_CODE

    def has_codes(self) -> bool:
        return bool(self.codes)
