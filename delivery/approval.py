"""Approvals: a person's recorded decision about one candidate in one environment."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from delivery.artifact import Digest


@dataclass(frozen=True, slots=True)
class Approval:
    """A decision as the ledger keeps it."""

    id: str
    promotion: str
    environment: str
    candidate: Digest
    decision: Literal["approve", "reject"]
    approver: str
    evidence: str
    """How the approver is known: `none` from the Prefect form, `api-token` from the command line."""
    at: datetime
    comment: str = ""
