import json
import os
from pathlib import Path

import pytest

from delivery.adapters.processes import ProcessIdentity, identify
from delivery.home import Home
from shipline.control.credentials import api_token, prefect_auth
from shipline.control.state import ControlState, read_state, write_state


def test_the_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    state = ControlState(
        ProcessIdentity(1, 2.5, "a-boot"), "http://a", "http://b", {"api": 1}, {"prefect": ProcessIdentity(3, 4.5)}
    )
    write_state(Home(tmp_path), state)
    assert read_state(Home(tmp_path)) == state


def test_the_record_of_a_version_that_named_no_boot_is_read(tmp_path: Path) -> None:
    home, own = Home(tmp_path), identify(os.getpid())
    assert own
    process = {"pid": own.pid, "started_at": own.started_at}
    record = {"process": process, "url": None, "prefect_url": None, "ports": {}, "components": {"worker": process}}
    home.control_state.write_text(json.dumps(record))
    found = ProcessIdentity(own.pid, own.started_at)
    assert read_state(home) == ControlState(process=found, components={"worker": found})
    assert read_state(home).running


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"process": 1}', b"\xff"])
def test_a_record_that_cannot_be_read_counts_as_none(tmp_path: Path, content: bytes) -> None:
    home = Home(tmp_path)
    home.control_state.write_bytes(content)
    assert read_state(home) == ControlState()


def test_a_process_number_that_another_process_has_now_is_not_running(tmp_path: Path) -> None:
    write_state(Home(tmp_path), ControlState(process=ProcessIdentity(1, 123456789.0)))
    assert not read_state(Home(tmp_path)).running


def test_credentials_are_made_once_for_their_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert api_token(home) == api_token(home) != api_token(Home(tmp_path / "other"))
    assert prefect_auth(home).startswith("shipline:")
    assert [oct(path.stat().st_mode & 0o777) for path in (home.credentials, home.credentials / "api-token")] == [
        "0o700",
        "0o600",
    ]
    assert {path.name for path in home.credentials.iterdir()} == {"api-token", "prefect-auth"}
