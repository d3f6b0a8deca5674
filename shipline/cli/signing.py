"""Signing an approval with the person's own SSH key, by their own `ssh-keygen`: agents and hardware keys included."""

import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from delivery.errors import ConfigurationError
from shipline.cli.output import Document

_FINGERPRINT = re.compile(r"\d+ (SHA256:\S+)")
_SIGN_SECONDS = 120.0
"""A hardware key waits for a touch, an agent for a passphrase."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A person, and the file with which `ssh-keygen` finds their key."""

    person: str
    key: Path


def find_signer(people: Iterable[Document], person: str | None, key: Path | None) -> Signer:
    """Whose key of those on this machine is enrolled: in `~/.ssh`, or in the agent when its public half is there.

    ConfigurationError when there is none.
    """
    owners = {one["fingerprint"]: each["name"] for each in people for one in each["keys"]}
    for place in [key.expanduser()] if key else _candidates():
        owner = owners.get(_fingerprint(place))
        if owner and person in {None, owner}:
            return Signer(owner, _private_half(place))
    whose = f"of {person} " if person else ""
    hint = "enroll one with: shipline people enroll NAME --key FILE.pub; or name it with: --key FILE"
    raise ConfigurationError(f"signing: no enrolled key {whose}is on this machine", hint=hint)


def sign(statement: str, namespace: str, key: Path) -> str:
    """The armored signature; ConfigurationError when `ssh-keygen` makes none."""
    done = _keygen(("-Y", "sign", "-q", "-n", namespace, "-f", str(key)), statement.encode())
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        hint = "add the key to your agent with: ssh-add"
        raise ConfigurationError(f"signing with {key}: {said[-1] if said else 'ssh-keygen failed'}", hint=hint)
    return done.stdout.decode()


def _candidates() -> Iterator[Path]:
    configured = subprocess.run(
        ("git", "config", "--get", "user.signingkey"), capture_output=True, text=True, check=False
    ).stdout.strip()
    if configured and not configured.startswith(("ssh-", "sk-", "key::")):
        yield Path(configured).expanduser()
    yield from sorted((Path.home() / ".ssh").glob("*.pub"))


def _fingerprint(key: Path) -> str:
    if not key.is_file():
        return ""
    found = _FINGERPRINT.match(_keygen(("-l", "-f", str(key))).stdout.decode(errors="replace"))
    return found[1] if found else ""


def _private_half(key: Path) -> Path:
    """With the public half alone the agent signs."""
    private = key.with_suffix("") if key.suffix == ".pub" else key
    return private if private.is_file() else key


def _keygen(arguments: tuple[str, ...], content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ("ssh-keygen", *arguments), input=content, capture_output=True, check=False, timeout=_SIGN_SECONDS
        )
    except FileNotFoundError:
        hint = "install OpenSSH's client: apt-get install openssh-client"
        raise ConfigurationError("asking ssh-keygen: it is not there", hint=hint) from None
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"asking ssh-keygen: no answer in {_SIGN_SECONDS:.0f} s") from None
