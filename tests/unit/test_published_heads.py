"""A head published outside of the database finds what the database can no longer tell."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from delivery.actor import SHIPLINE
from delivery.adapters.git.heads_ref import REF, publish_to_git
from delivery.adapters.published_heads import heads_of, publish_heads, read_heads
from delivery.errors import ConfigurationError, PermanentError, VerificationError
from delivery.head_places import NAME, head_places
from delivery.home import Home
from delivery.ledger import Draft
from delivery.ledger_verification import verify
from shipline.control.publishing import HeadPublisher
from tests.fakes.connections import Installation
from tests.fakes.door import Door
from tests.fakes.ledger import InMemoryLedger

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def ledger_with(count: int) -> InMemoryLedger:
    ledger = InMemoryLedger()
    at = datetime(2026, 1, 1, tzinfo=UTC)
    ledger.append(
        "shop", [Draft("environment.held", {"environment": "dev", "n": n}, SHIPLINE, at) for n in range(count)]
    )
    return ledger


def test_heads_come_back_as_published(tmp_path: Path) -> None:
    home, ledger = Home(tmp_path), ledger_with(3)
    publish_heads(home, ledger.streams(), NOW)
    assert read_heads(home) == ledger.streams()
    assert verify(ledger, read_heads(home)).ok


def test_a_chain_cut_off_before_the_published_head_is_found(tmp_path: Path) -> None:
    home = Home(tmp_path)
    publish_heads(home, ledger_with(3).streams(), NOW)
    found = verify(ledger_with(2), read_heads(home))
    assert [(one.sequence, one.reason) for one in found.broken] == [
        (3, "the head that was published outside of the database is not in the chain")
    ]


def test_nothing_is_published_before_the_first_time(tmp_path: Path) -> None:
    assert read_heads(Home(tmp_path)) == {}


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"heads": {}, "at": "x"}', '{"heads": {}, "at": "x", "signature": "AAAA"}']
)
def test_a_file_that_shipline_did_not_sign_is_refused(tmp_path: Path, content: str) -> None:
    home = Home(tmp_path)
    publish_heads(home, ledger_with(3).streams(), NOW)
    home.published_heads.write_text(content)
    with pytest.raises(VerificationError, match="it is not what Shipline signed"):
        read_heads(home)


def test_a_head_that_was_changed_and_one_of_another_installation_are_refused(tmp_path: Path) -> None:
    home, other = Home(tmp_path / "home"), Home(tmp_path / "other")
    line = publish_heads(home, ledger_with(3).streams(), NOW)
    foreign = publish_heads(other, ledger_with(3).streams(), NOW)
    assert line is not None
    assert foreign is not None
    assert heads_of(home, line) == ledger_with(3).streams()
    assert heads_of(home, line.replace(b'"sequence":3', b'"sequence":2')) is None
    assert heads_of(home, foreign) is None


def test_nothing_is_signed_anew_when_nothing_is_new(tmp_path: Path) -> None:
    home, ledger = Home(tmp_path), ledger_with(3)
    assert publish_heads(home, ledger.streams(), NOW) is not None
    assert publish_heads(home, ledger.streams(), NOW + timedelta(hours=1)) is None


def test_a_history_that_was_rewritten_as_a_whole_is_found_by_what_was_published_elsewhere(tmp_path: Path) -> None:
    installation = Installation(Home(tmp_path / "home"))
    ports, elsewhere = installation.connect(), tmp_path / "elsewhere.jsonl"
    publisher = HeadPublisher(head_places({NAME: f"file:{elsewhere}"}))
    for number in range(3):
        ports.ledger.append("shop", [Draft("environment.held", {"environment": "dev", "n": number}, SHIPLINE, NOW)])
    publisher.publish(ports)
    lines = elsewhere.read_text().splitlines()
    found = Door(ports).ask("POST", "/ledger/verify", json={"lines": lines}).json()
    assert (found["ok"], found["rows"]) == (True, 3)

    rewritten = InMemoryLedger()
    for number in range(3):
        rewritten.append("shop", [Draft("environment.held", {"environment": "dev", "n": number + 1}, SHIPLINE, NOW)])
    forged = installation.connect(ledger=rewritten)
    ports.home.published_heads.unlink()
    assert Door(forged).get("/ledger/verify").json()["ok"], "a chain that was made anew holds in itself"
    found = Door(forged).ask("POST", "/ledger/verify", json={"lines": lines}).json()
    assert [one["reason"] for one in found["broken"]] == [
        "the head that was published outside of the database is not in the chain"
    ]
    bad = Door(ports).ask("POST", "/ledger/verify", json={"lines": ["{}"]}).json()
    assert "line 1 of what was published is not what this installation signed" in bad["broken"][0]["reason"]


def test_a_git_ref_grows_by_one_commit_each_time_and_is_never_forced(tmp_path: Path) -> None:
    remote, scratch = tmp_path / "remote.git", tmp_path / "scratch.git"
    git = ("git", "-C", str(remote))
    subprocess.run(("git", "init", "--quiet", "--bare", str(remote)), check=True)
    for line in (b'{"n":1}', b'{"n":2}'):
        publish_to_git(str(remote), line, scratch)
    shown = subprocess.run((*git, "log", "--format=%H", REF), check=True, capture_output=True, text=True).stdout.split()
    last = subprocess.run((*git, "show", f"{REF}:heads.json"), check=True, capture_output=True).stdout
    assert (len(shown), last) == (2, b'{"n":2}\n')
    subprocess.run((*git, "update-ref", REF, shown[1]), check=True)
    with pytest.raises(PermanentError, match="and we had left"):
        publish_to_git(str(remote), b'{"n":3}', scratch)


def test_trouble_in_one_place_keeps_nothing_from_the_others_and_is_tried_again(tmp_path: Path) -> None:
    ports = Installation(Home(tmp_path / "home")).connect()
    ports.ledger.append("shop", [Draft("environment.held", {"environment": "dev"}, SHIPLINE, NOW)])
    good = tmp_path / "good.jsonl"
    publisher = HeadPublisher(head_places({NAME: f"git:{tmp_path}/none file:{tmp_path}/no/folder file:{good}"}))
    publisher.publish(ports)
    assert len(good.read_text().splitlines()) == 1


@pytest.mark.parametrize("text", ["/plain", "file:relative", "git:", "git:--upload-pack=x", "http://x", "s4://x/y"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no place"):
        head_places({NAME: text})
