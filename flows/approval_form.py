"""What a person fills in on Prefect's page to answer a waiting promotion."""

from typing import Literal

from prefect.input import RunInput
from pydantic import Field


class ApprovalForm(RunInput):
    """A wake-up with or without a decision; what counts is the ledger, which the flow reads again."""

    decision: Literal["approve", "reject", "recheck"] = Field(
        default="recheck", description="Your decision. Recheck only looks again for decisions given elsewhere."
    )
    approver: str = Field(default="", description="Your name, as Shipline knows you.", max_length=200)
    code: str = Field(default="", description="A one-time code, where your name alone does not do.", max_length=20)
    comment: str = Field(default="", description="Why, for the record.", max_length=2000)
