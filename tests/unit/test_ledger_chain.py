import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from delivery.actor import Actor
from delivery.artifact import Digest
from delivery.ledger import GENESIS, Break, Draft, Entry, breaks, chained, utc_text

ANN = Actor("person", "ann", "api-token")
AT = datetime(2026, 11, 22, 13, 0, tzinfo=timezone(timedelta(hours=1)))


def _chain(length: int, stream: str = "shop") -> list[Entry]:
    entries: list[Entry] = []
    for number in range(1, length + 1):
        previous = entries[-1].digest if entries else GENESIS
        entries.append(chained(stream, number, previous, Draft("thing.happened", {"number": number}, ANN, AT)))
    return entries


def _head(entries: Sequence[Entry]) -> tuple[int, Digest]:
    return entries[-1].sequence, entries[-1].digest


def test_content_is_canonical_and_says_everything() -> None:
    content = chained("shop", 7, GENESIS, Draft("thing.happened", {"b": 1.0, "a": "ä"}, ANN, AT, "key-1")).content

    assert content.decode() == (
        '{"actor":{"evidence":"api-token","kind":"person","subject":"ann"},"at":"2026-11-22T12:00:00.000000Z",'
        '"body":{"a":"ä","b":1},"key":"key-1","kind":"thing.happened","schema":1,"sequence":7,"stream":"shop"}'
    )


def test_times_are_utc_whatever_the_zone() -> None:
    assert utc_text(AT) == "2026-11-22T12:00:00.000000Z"
    assert utc_text(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)) == "2026-01-02T03:04:05.000006Z"


def test_the_same_draft_at_the_same_place_has_the_same_digest() -> None:
    assert _chain(3) == _chain(3)


@pytest.mark.parametrize("length", [0, 1, 5])
def test_a_whole_chain_has_no_breaks(length: int) -> None:
    entries = _chain(length)

    assert breaks(entries) == []
    assert breaks(iter(entries), _head(entries) if entries else None) == []


def test_an_edited_entry_is_found() -> None:
    entries = _chain(3)
    entries[1] = replace(entries[1], content=entries[1].content.replace(b"2", b"3"))

    assert breaks(entries, _head(entries)) == [Break("shop", 2, "content does not match its hash")]


def test_an_entry_edited_with_its_hash_is_found_by_the_next() -> None:
    entries = _chain(3)
    entries[1] = chained("shop", 2, entries[0].digest, Draft("thing.happened", {"number": 9}, ANN, AT))

    assert breaks(entries, _head(entries)) == [Break("shop", 3, "does not follow the entry before it")]


def test_a_removed_entry_is_found() -> None:
    entries = _chain(4)
    del entries[1]

    assert breaks(entries, _head(entries)) == [
        Break("shop", 2, "expected entry 2, found 3"),
        Break("shop", 3, "does not follow the entry before it"),
    ]


def test_swapped_entries_are_found() -> None:
    entries = _chain(4)
    entries[1], entries[2] = entries[2], entries[1]

    assert {broken.sequence for broken in breaks(entries, _head(entries))} == {2, 3, 4}


def test_a_chain_cut_off_at_its_end_is_found_by_its_head() -> None:
    entries = _chain(3)

    assert breaks(entries[:2]) == []
    assert breaks(entries[:2], _head(entries)) == [Break("shop", 3, "the chain does not end at the recorded head")]
    assert [broken.sequence for broken in breaks([], _head(entries))] == [3]


def test_an_entry_of_another_stream_does_not_fit() -> None:
    entries = _chain(2)
    entries[1] = replace(_chain(2, "blog")[1], stream="shop")

    assert breaks(entries) == [Break("shop", 2, "does not follow the entry before it")]


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="nan"):
        chained("shop", 1, GENESIS, Draft("thing.happened", {"number": float("nan")}, ANN, AT))


def test_content_reads_back_as_json() -> None:
    assert json.loads(_chain(1)[0].content)["body"] == {"number": 1}
