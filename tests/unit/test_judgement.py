"""What every gate said, taken together."""

from delivery.gates.verdict import Verdict
from delivery.promoting.judging import Judgement

ASKS = Verdict("approvals", ("waiting for 1 approval",), waiting=True)
REFUSES = Verdict("verified upstream", ("release 1 is not verified in dev",))


def test_a_person_is_asked_when_only_an_approval_is_missing() -> None:
    held = Verdict("not held", ("dev is on hold",), waiting=True)
    assert Judgement((Verdict("newer"), ASKS)).asks_a_person
    assert Judgement((held, ASKS)).asks_a_person
    assert not Judgement((held,)).asks_a_person


def test_nobody_is_asked_about_what_may_never_go_on() -> None:
    """It would wait for an answer that changes nothing, and its requester would be told that it waits."""
    judgement = Judgement((REFUSES, ASKS))
    assert not judgement.asks_a_person
    assert judgement.refusals == REFUSES.reasons
