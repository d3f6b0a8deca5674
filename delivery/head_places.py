"""Where the ledger's heads are published besides the home, as `SHIPLINE_PUBLISH_HEADS` says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from delivery.errors import ConfigurationError

NAME = "SHIPLINE_PUBLISH_HEADS"


@dataclass(frozen=True, slots=True)
class HeadPlace:
    """A file that grows, a git repository, or an S3 bucket."""

    kind: Literal["file", "git", "s3"]
    address: str


def head_places(environment: Mapping[str, str]) -> tuple[HeadPlace, ...]:
    """Every place, separated by spaces: `file:/PATH`, `git:URL`, `s3://BUCKET/PREFIX`; ConfigurationError otherwise."""
    return tuple(_place(text) for text in (environment.get(NAME) or "").split())


def _place(text: str) -> HeadPlace:
    if text.startswith("s3://"):
        return HeadPlace("s3", text)
    kind, _, address = text.partition(":")
    if kind == "file" and Path(address).is_absolute():
        return HeadPlace("file", address)
    if kind == "git" and address and not address.startswith("-"):
        return HeadPlace("git", address)
    hint = "places are file:/PATH, git:URL and s3://BUCKET/PREFIX, separated by spaces"
    raise ConfigurationError(f"reading {NAME}: '{text}' is no place", hint=hint)
