"""Signatures in memory: whoever knows a key's line can make one."""

import base64
import hashlib
from collections.abc import Sequence

from delivery.errors import ConfigurationError
from delivery.ports import SigningKey


class InMemorySignatures:
    """`delivery.ports.Signatures` without any cryptography."""

    def read_key(self, line: str) -> SigningKey:
        kind, _, rest = line.strip().partition(" ")
        blob = rest.strip().partition(" ")[0]
        if kind != "ssh-ed25519" or len(blob) < 20:
            raise ConfigurationError("reading a public key: that is none")
        digest = base64.b64encode(hashlib.sha256(blob.encode()).digest()).decode().rstrip("=")
        return SigningKey(f"{kind} {blob}", f"SHA256:{digest}")

    def verify(self, content: bytes, signature: str, person: str, keys: Sequence[str]) -> str | None:
        signed = [key for key in keys if signature == self.sign(key, content)]
        return self.read_key(signed[0]).fingerprint if signed and person else None

    @staticmethod
    def sign(key: str, content: bytes) -> str:
        """What `verify` takes."""
        return hashlib.sha256(key.encode() + content).hexdigest()
