"""The tour as a stranger runs it."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]


def test_every_claim_of_the_tour_holds_and_nothing_is_left() -> None:
    with tempfile.TemporaryDirectory(prefix="sl-tour", dir="/tmp") as place:
        ran = subprocess.run(
            [sys.executable, "-m", "shipline.cli.main", "tour", "--json"],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "TMPDIR": place},
            capture_output=True,
            text=True,
            timeout=880,
            check=False,
        )
        document = json.loads(ran.stdout)
        assert document["ok"], ran.stderr
        assert ran.returncode == 0
        assert len(document["steps"]) == 10
        assert {"title", "ok", "seconds"} == set(document["steps"][0])
        running = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])]
        assert [line for line in running if place in line] == []
        assert list(Path(place).glob("shipline-tour-*")) == []
