"""Check results: what a system outside says of a revision or a release; the newest of a name counts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Of = Literal["revision", "release"]
Result = Literal["passed", "failed"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A result as the ledger keeps it."""

    name: str
    of: Of
    subject: str
    """The full commit of a revision, or the digest of a release."""
    result: Result
    at: datetime
    url: str = ""
    summary: str = ""
