"""A head published outside of the database finds what the database can no longer tell."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from delivery.actor import SHIPLINE
from delivery.adapters.published_heads import publish_heads, read_heads
from delivery.errors import VerificationError
from delivery.home import Home
from delivery.ledger import Draft
from delivery.ledger_verification import verify
from tests.fakes.ledger import InMemoryLedger


def ledger_with(count: int) -> InMemoryLedger:
    ledger = InMemoryLedger()
    at = datetime(2026, 1, 1, tzinfo=UTC)
    ledger.append(
        "shop", [Draft("environment.held", {"environment": "dev", "n": n}, SHIPLINE, at) for n in range(count)]
    )
    return ledger


def test_heads_come_back_as_published(tmp_path: Path) -> None:
    home, ledger = Home(tmp_path), ledger_with(3)
    publish_heads(home, ledger.streams())
    assert read_heads(home) == ledger.streams()
    assert verify(ledger, read_heads(home)).ok


def test_a_chain_cut_off_before_the_published_head_is_found(tmp_path: Path) -> None:
    home = Home(tmp_path)
    publish_heads(home, ledger_with(3).streams())
    found = verify(ledger_with(2), read_heads(home))
    assert [(one.sequence, one.reason) for one in found.broken] == [
        (3, "the head that was published outside of the database is not in the chain")
    ]


def test_nothing_is_published_before_the_first_time(tmp_path: Path) -> None:
    assert read_heads(Home(tmp_path)) == {}


@pytest.mark.parametrize("content", ["{", "[]", '{"shop": 1}', '{"shop": {"sequence": 1, "digest": "x"}}'])
def test_a_file_that_shipline_did_not_write_is_refused(tmp_path: Path, content: str) -> None:
    home = Home(tmp_path)
    home.published_heads.write_text(content)
    with pytest.raises(VerificationError, match="it is not what Shipline wrote"):
        read_heads(home)
