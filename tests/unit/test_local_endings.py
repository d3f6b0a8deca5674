"""What is told of a service that ended: the last that it said, and none of its secrets, not even a part of one."""

import base64
from pathlib import Path

import pytest

from delivery.adapters.local.starting import Starter
from delivery.adapters.local.state import EnvironmentState, ProcessRecord, Side
from delivery.artifact import digest_of
from delivery.config import Run
from delivery.home import Home
from delivery.rollout import Target

SECRET = "".join(f"{number:04}" for number in range(100))
DIGEST = digest_of(b"any")
RUN = Run.model_validate({"command": "./web", "secrets": {"KEY": "secret:KEY"}})
SIDE = Side(id="web-1-1", service="web", artifact=DIGEST, release=DIGEST, run=RUN)
INSTANCE = ProcessRecord(id="web-1-1-0", service="web", side=SIDE.id)
ROUTER = ProcessRecord(id="router@web-80", service="web")
ENDED = "ended while nobody looked"


def told(tmp_path: Path, record: ProcessRecord, side: Side | None, said: str) -> str:
    starter = Starter(EnvironmentState(Home(tmp_path), Target("shop", "staging")), lambda _reference: SECRET)
    log = starter.log(record.id)
    log.parent.mkdir(parents=True)
    log.write_text(said)
    return starter.ending(record, side)


def test_the_last_lines_are_told(tmp_path: Path) -> None:
    said = "".join(f"line {number}\n" for number in range(1000))
    last = "\n".join(f"line {number}" for number in range(994, 1000))
    assert told(tmp_path, INSTANCE, SIDE, said) == f"{ENDED}; its last output:\n{last}"


def test_a_secret_that_began_before_the_last_lines_is_hidden(tmp_path: Path) -> None:
    wrapped = base64.encodebytes(SECRET.encode()).decode()
    assert wrapped.count("\n") == 8
    ending = told(tmp_path, INSTANCE, SIDE, "ready\n" * 2000 + wrapped + "bye\n")
    assert ending == f"{ENDED}; its last output:\n" + "ready\n" * 4 + "***\nbye"


@pytest.mark.parametrize("shown", [1, 8, 200, 399])
def test_a_secret_that_the_first_byte_told_is_in_the_middle_of_is_hidden(tmp_path: Path, shown: int) -> None:
    said = f"{SECRET * 20}{'x' * (2048 - shown)}"
    ending = told(tmp_path, INSTANCE, SIDE, said)
    assert ending == f"{ENDED}; its last output:\n***{'x' * (2048 - shown)}"


def test_a_service_whose_secrets_nobody_can_name_any_more_is_not_quoted(tmp_path: Path) -> None:
    assert told(tmp_path, INSTANCE, None, f"{SECRET}\n") == ENDED


def test_a_router_has_no_secrets_and_is_quoted(tmp_path: Path) -> None:
    assert told(tmp_path, ROUTER, None, "port taken\n") == f"{ENDED}; its last output:\nport taken"
