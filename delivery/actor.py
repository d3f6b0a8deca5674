"""Who did something: every entry of the ledger names one."""

from dataclasses import dataclass
from typing import Literal

Evidence = Literal["none", "api-token", "one-time-code", "ssh-signature"]
KnownBy = Evidence | Literal["imported"]


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, an automation, or the local user of an embedded installation."""

    kind: Literal["person", "automation", "local-user"]
    subject: str
    evidence: KnownBy = "none"
    """How it is known that this is the subject."""


SHIPLINE = Actor("automation", "shipline")
