"""Block type: the encrypted secrets of the home. The block says where they are, and never what they are."""

from prefect.blocks.core import Block

from delivery.home import Home
from delivery.ports import SecretStore as SecretStorePort


class SecretStore(Block):
    """Secrets by reference, encrypted in the home with a key that is kept beside them and outside the database."""

    _block_type_name = "Shipline secret store"
    _block_type_slug = "shipline-secret-store"
    _description = "Where secret references are resolved: encrypted files in the home. Holds no secret itself."

    def connect(self) -> SecretStorePort:
        """The port, on the home of this process."""
        from delivery.adapters.encrypted_secrets import EncryptedSecrets

        return EncryptedSecrets(Home.here())
