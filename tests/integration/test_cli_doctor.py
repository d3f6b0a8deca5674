"""`shipline doctor`: no control plane is needed."""

import json
from pathlib import Path

import pytest

from shipline.cli.main import main


def test_doctor_says_for_everything_needed_what_is_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SHIPLINE_HOME", str(tmp_path / "home"))
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert ended.value.code == (0 if document["ok"] else 1)
    found = {one["name"]: one["state"] for one in document["components"]}
    assert (found["python"], found["git"]) == ("ok", "ok")
    assert all({"name", "state", "version", "url", "pid"} <= set(one) for one in document["components"])


def test_what_is_missing_is_exit_1_and_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SHIPLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    assert ended.value.code == 1
    assert "apt-get install git" in capsys.readouterr().out
