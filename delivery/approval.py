"""Approvals: a person's recorded decision about one candidate in one environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from delivery.actor import KnownBy
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
    evidence: KnownBy
    at: datetime
    comment: str = ""
    local: bool = False
    """Whether it is the local user of an embedded installation, who is everything there."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """That the approver could use when it was given, by role whose they were."""
    statement: str | None = None
    """What was signed: see `delivery.approval_statement`."""
    signature: str | None = None
    """In OpenSSH's armored form."""
    key: str | None = None
    """The fingerprint of the key that signed."""
