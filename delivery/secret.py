"""Secrets: what a name, a reference and a value may be, and which scope wins."""

import re
from dataclasses import dataclass

from delivery.errors import ConfigurationError, NotFoundError

MINIMUM_CHARACTERS = 4
"""Shorter values cannot be masked in logs without masking half of every line."""
MAXIMUM_BYTES = 65_536

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_PLACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class SecretScope:
    """Where a secret holds: a whole project, or one of its environments."""

    project: str
    environment: str | None = None

    def __post_init__(self) -> None:
        for place in (self.project, self.environment):
            if place is not None and not _PLACE.fullmatch(place):
                raise ConfigurationError(f"naming the scope of a secret: '{place}' is not a project or environment")

    def __str__(self) -> str:
        return f"{self.project}/{self.environment}" if self.environment else self.project

    @property
    def widening(self) -> tuple["SecretScope", ...]:
        """Where to look, in order: the environment's own before the project's."""
        return (self, SecretScope(self.project)) if self.environment else (self,)


def check_name(name: str) -> str:
    """Return the name, or raise ConfigurationError."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"secret name must be a letter or '_' and then letters, digits, '_', '.' or '-', got '{name}'"
        )
    return name


def check_value(name: str, value: str) -> str:
    """Return the value, or raise ConfigurationError, which never shows it."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ConfigurationError(f"setting secret {name}: its value is not text that UTF-8 can say") from None
    if len(value) < MINIMUM_CHARACTERS:
        raise ConfigurationError(
            f"setting secret {name}: its value has fewer than {MINIMUM_CHARACTERS} characters",
            hint="a value this short cannot be masked in logs; use a longer one",
        )
    if size > MAXIMUM_BYTES:
        raise ConfigurationError(f"setting secret {name}: its value has {size} bytes, at most {MAXIMUM_BYTES} are kept")
    if "\0" in value:
        raise ConfigurationError(f"setting secret {name}: its value has a NUL, which no environment variable can hold")
    return value


def referenced_name(reference: str) -> str:
    """NAME of `secret:NAME`, or ConfigurationError."""
    prefix, _, name = reference.partition(":")
    if prefix != "secret":
        raise ConfigurationError(f"secret reference must be 'secret:NAME', got '{reference}'")
    return check_name(name)


def unset(name: str, scope: SecretScope) -> NotFoundError:
    """The error for a secret that nobody has set."""
    option = f" --env {scope.environment}" if scope.environment else ""
    return NotFoundError(
        f"resolving secret {name} for {scope}: not set", hint=f"set it with: shipline secret set {name}{option}"
    )
