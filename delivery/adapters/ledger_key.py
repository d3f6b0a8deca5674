"""The key that signs what leaves the ledger: Ed25519, in the home's credentials, where the database never sees it."""

from base64 import b64decode, b64encode
from typing import cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from delivery.adapters.atomic_file import replace_file
from delivery.home import Home


class LedgerKey:
    """Made when it is first needed; PEM in `credentials/ledger-signing.key`, 0600."""

    def __init__(self, home: Home) -> None:
        self._file = home.credentials / "ledger-signing.key"

    def sign(self, content: bytes) -> str:
        """The signature in base64."""
        if not self._file.exists():
            self._make()
        return b64encode(self._private().sign(content)).decode()

    def require(self, content: bytes, signature: str) -> None:
        """ValueError unless this key signed exactly this."""
        try:
            self._private().public_key().verify(b64decode(signature, validate=True), content)
        except (InvalidSignature, OSError) as error:
            raise ValueError("another key signed it, or none") from error

    def public(self) -> str:
        """The public half, raw and in base64, for whoever checks elsewhere."""
        raw = self._private().public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return b64encode(raw).decode()

    def _private(self) -> Ed25519PrivateKey:
        return cast("Ed25519PrivateKey", serialization.load_pem_private_key(self._file.read_bytes(), password=None))

    def _make(self) -> None:
        private = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(self._file, private)
