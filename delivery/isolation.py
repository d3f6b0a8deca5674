"""What a command may see of the machine that it runs on."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from delivery.errors import ConfigurationError

MODE = "SHIPLINE_STEP_ISOLATION"


@dataclass(frozen=True, slots=True)
class Visible:
    """A folder that a command sees, with everything in it."""

    folder: Path
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Isolation:
    """A folder that a command does not see, but for parts of it; and of processes it sees its own only."""

    hidden: Path
    visible: tuple[Visible, ...] = ()
    """What of it is there all the same; one that does not exist is not."""

    def showing(self, *folders: Visible) -> "Isolation":
        """The same, with more to see."""
        return replace(self, visible=(*self.visible, *folders))


class IsolationMode(StrEnum):
    """What becomes of a command that is to be isolated."""

    AUTO = "auto"
    """Isolated where the machine lets us; elsewhere it runs all the same, and that is said."""
    OFF = "off"
    """Never isolated."""
    REQUIRED = "required"
    """It does not run where it cannot be isolated."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "IsolationMode":
        """By `SHIPLINE_STEP_ISOLATION`, otherwise AUTO; ConfigurationError for any other word."""
        word = environment.get(MODE) or cls.AUTO.value
        if word not in {*cls}:
            raise ConfigurationError(f"reading {MODE}: it must be one of {', '.join(cls)}, got '{word}'")
        return cls(word)
