"""A step's log can be read while it is written, and shows lines of text."""

from pathlib import Path

from delivery.adapters.step_log import StepLog


def test_what_is_written_can_be_read_at_once(tmp_path: Path) -> None:
    log = StepLog(tmp_path / "logs" / "test.log")
    log.source()(b"half a li")
    assert (tmp_path / "logs" / "test.log").read_bytes() == b"half a li"
    assert log.written == 9
    log.close()


def test_secrets_are_masked_in_the_file_and_in_what_is_shown(tmp_path: Path) -> None:
    shown: list[str] = []
    log = StepLog(tmp_path / "log", ["hunter2"], shown.append)
    take = log.source()
    take(b"the token is hun")
    take(b"ter2\nend hunt")
    log.close()
    assert (tmp_path / "log").read_bytes() == b"the token is ***\nend hunt"
    assert shown == ["the token is ***", "end hunt"]


def test_a_note_is_whole_and_stands_between_what_was_said_before_and_after_it(tmp_path: Path) -> None:
    shown: list[str] = []
    log = StepLog(tmp_path / "log", ["sesame open"], shown.append)
    log.source()(b"plain\nses")
    log.note("timed out after 4 s")
    assert (tmp_path / "log").read_bytes() == b"plain\nses\nshipline: timed out after 4 s\n"
    assert shown == ["plain", "ses", "shipline: timed out after 4 s"]
    log.source()(b"again\n")
    log.note("not with sesame open")
    log.close()
    assert shown[3:] == ["again", "shipline: not with ***"]


def test_a_fixture_between_the_halves_of_a_secret_does_not_reveal_it(tmp_path: Path) -> None:
    log = StepLog(tmp_path / "log", ["hunter2"])
    step, fixture = log.source(), log.source("[db] ")
    step(b"hun")
    fixture(b"ready\nliste")
    step(b"ter2\n")
    fixture(b"ning\n")
    log.close()
    assert (tmp_path / "log").read_bytes() == b"[db] ready\n***\n[db] listening\n"


def test_bytes_that_are_no_text_are_kept_and_shown_as_replaced(tmp_path: Path) -> None:
    shown: list[str] = []
    log = StepLog(tmp_path / "log", (), shown.append)
    log.source()(b"\xff\r\nx\n")
    log.close()
    assert (tmp_path / "log").read_bytes() == b"\xff\r\nx\n"
    assert shown == ["\N{REPLACEMENT CHARACTER}", "x"]


def test_a_line_without_end_is_shown_in_pieces(tmp_path: Path) -> None:
    shown: list[str] = []
    log = StepLog(tmp_path / "log", (), shown.append)
    take = log.source()
    for _ in range(100):
        take(b"x" * 1000)
    assert len(shown) == 12
    log.close()
    assert sum(map(len, shown)) == 100_000
