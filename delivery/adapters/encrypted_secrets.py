"""Secrets in the home: a file per project, each value sealed with AES-256-GCM under the home's key.

    secrets/PROJECT.json         {version, key, secrets: {"ENVIRONMENT/NAME": {owner, expires_at, sealed}}}
    secrets/PROJECT.uses.json    {"ENVIRONMENT/NAME": {at, purpose}}; losing it loses no secret
    credentials/secrets.key      32 random bytes, 0600

The seal covers project, environment, name, owner and expiry, so that a value moved to another place, or
given another date, does not open. Why so: docs/decisions/0011-secrets-on-disk.md.
"""

import base64
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from delivery.adapters.atomic_file import replace_file, writing
from delivery.canonical import canonical_bytes
from delivery.errors import PermanentError, TransientError
from delivery.home import Home
from delivery.ports import Row
from delivery.secret import SecretScope, check_name, check_value, referenced_name, unset

_KEY_BYTES = 32
_NONCE_BYTES = 12
_LOCK_SECONDS = 10


class _Sealed(BaseModel):
    """One secret as it lies on disk; `sealed` is base64 of nonce and ciphertext."""

    model_config = ConfigDict(extra="forbid")

    owner: str
    expires_at: datetime | None = None
    sealed: str


class _Vault(BaseModel):
    """A project's file; `key` is the fingerprint of the key that sealed it."""

    model_config = ConfigDict(extra="forbid")

    version: int = 1
    key: str
    secrets: dict[str, _Sealed] = {}


class EncryptedSecrets:
    """`delivery.ports.SecretStore` in the home's files."""

    def __init__(self, home: Home, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._folder = home.secrets
        self._key_file = home.credentials / "secrets.key"
        self._now = now

    def resolve(self, reference: str, project: str, environment: str | None, purpose: str) -> str:
        name, scope = referenced_name(reference), SecretScope(project, environment)
        vault = self._read(project)
        for one in scope.widening:
            found = vault.secrets.get(_slot(one, name)) if vault else None
            if found:
                value = self._open(one, name, found)
                self._note_use(one, name, purpose)
                return value
        raise unset(name, scope)

    def put(
        self,
        name: str,
        value: str,
        project: str,
        environment: str | None,
        owner: str,
        expires_at: datetime | None = None,
    ) -> None:
        scope = SecretScope(project, environment)
        check_value(check_name(name), value)
        with self._changing(project) as vault:
            vault.secrets[_slot(scope, name)] = self._seal(scope, name, value, owner, expires_at)

    def remove(self, name: str, project: str, environment: str | None) -> bool:
        slot = _slot(SecretScope(project, environment), check_name(name))
        vault = self._read(project)
        if vault is None or slot not in vault.secrets:
            return False
        with self._changing(project) as changing:
            return changing.secrets.pop(slot, None) is not None

    def list(self, project: str) -> Sequence[Row]:
        vault = self._read(project)
        uses = self._uses(project)
        return [
            _row(project, slot, one, uses.get(slot, {}))
            for slot, one in sorted((vault.secrets if vault else {}).items())
        ]

    def _seal(self, scope: SecretScope, name: str, value: str, owner: str, expires_at: datetime | None) -> _Sealed:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._key()).encrypt(nonce, value.encode(), _bound(scope, name, owner, expires_at))
        return _Sealed(owner=owner, expires_at=expires_at, sealed=base64.b64encode(nonce + sealed).decode())

    def _open(self, scope: SecretScope, name: str, found: _Sealed) -> str:
        try:
            blob = base64.b64decode(found.sealed, validate=True)
            bound = _bound(scope, name, found.owner, found.expires_at)
            value = AESGCM(self._key()).decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], bound).decode()
        except (InvalidTag, ValueError) as error:
            raise PermanentError(
                f"opening secret {name} of {scope}: its seal is broken",
                hint=f"set it again, or restore {self._path(scope.project)} from a backup",
            ) from error
        if found.expires_at and found.expires_at <= self._now():
            raise PermanentError(
                f"opening secret {name} of {scope}: it expired at {_text(found.expires_at)}",
                hint="set it again with a new value",
            )
        return value

    def _path(self, project: str) -> Path:
        return self._folder / f"{SecretScope(project).project}.json"

    def _read(self, project: str) -> _Vault | None:
        """The project's file, known to be sealed with our key; None when nothing was ever set."""
        path = self._path(project)
        try:
            vault = _Vault.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValidationError, OSError) as error:
            raise PermanentError(
                f"reading the secrets of {project}: {path} is damaged or unreadable",
                hint="nothing was changed; restore the file from a backup",
            ) from error
        if vault.key != _fingerprint(self._key()):
            raise PermanentError(
                f"reading the secrets of {project}: they were sealed with another key than {self._key_file}",
                hint="nothing was changed; restore the key that belongs to them",
            )
        return vault

    @contextmanager
    def _changing(self, project: str) -> Iterator[_Vault]:
        """The project's file under its lock, written back whole."""
        with self._locked(project):
            vault = self._read(project) or _Vault(key=_fingerprint(self._key()))
            yield vault
            with writing(f"changing the secrets of {project}", self._folder):
                replace_file(self._path(project), vault.model_dump_json(indent=1).encode())

    @contextmanager
    def _locked(self, project: str) -> Iterator[None]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with FileLock(self._folder / f"{project}.lock", timeout=_LOCK_SECONDS):
                yield
        except Timeout as error:
            raise TransientError(f"changing the secrets of {project}: another process holds their lock") from error

    def _uses(self, project: str) -> dict[str, dict[str, str]]:
        try:
            return dict(json.loads((self._folder / f"{project}.uses.json").read_bytes()))
        except (OSError, ValueError):
            return {}

    def _note_use(self, scope: SecretScope, name: str, purpose: str) -> None:
        # A full disk must not keep a service from restarting: the use is noted if it can be.
        with suppress(OSError, TransientError), self._locked(scope.project):
            uses = {**self._uses(scope.project), _slot(scope, name): {"at": _text(self._now()), "purpose": purpose}}
            replace_file(self._folder / f"{scope.project}.uses.json", json.dumps(uses, indent=1).encode())

    def _key(self) -> bytes:
        try:
            key = self._key_file.read_bytes()
        except FileNotFoundError:
            self._make_key()
            key = self._key_file.read_bytes()
        if len(key) != _KEY_BYTES:
            raise PermanentError(
                f"reading the key of the secrets: {self._key_file} does not hold {_KEY_BYTES} bytes",
                hint="restore it from a backup; a new key opens no secret that is there",
            )
        return key

    def _make_key(self) -> None:
        """First use. Of several processes one wins, and all read the winner's."""
        if any(self._folder.glob("*.json")) and not self._key_file.exists():
            raise PermanentError(
                f"reading the key of the secrets: {self._key_file} is missing and secrets are there",
                hint="restore it from a backup; a new key opens no secret that is there",
            )
        self._key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._key_file.parent, prefix=".secrets.key.") as made:
            made.write(os.urandom(_KEY_BYTES))
            made.flush()
            os.fsync(made.fileno())
            with suppress(FileExistsError):
                os.link(made.name, self._key_file)


def _slot(scope: SecretScope, name: str) -> str:
    return f"{scope.environment or ''}/{name}"


def _row(project: str, slot: str, one: _Sealed, use: dict[str, str]) -> Row:
    environment, _, name = slot.partition("/")
    return {
        "name": name,
        "scope": str(SecretScope(project, environment or None)),
        "owner": one.owner,
        "expires_at": _text(one.expires_at) if one.expires_at else None,
        "last_used_at": use.get("at"),
        "last_used_for": use.get("purpose"),
    }


def _bound(scope: SecretScope, name: str, owner: str, expires_at: datetime | None) -> bytes:
    """What the seal covers besides the value."""
    return canonical_bytes([str(scope), name, owner, _text(expires_at) if expires_at else None])


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _fingerprint(key: bytes) -> str:
    return hashlib.sha256(b"shipline secrets key\0" + key).hexdigest()[:16]
