"""Block type: environments on this machine."""

from prefect.blocks.core import Block

from delivery.home import Home
from delivery.ports import Deployer


class LocalEnvironment(Block):
    """Environments of the home on this machine: supervised processes behind a router. No isolation."""

    _block_type_name = "Shipline local environment"
    _block_type_slug = "shipline-local-environment"
    _description = "Runs releases on this machine, as supervised processes behind a router. No isolation."

    def connect(self) -> Deployer:
        """The port, on the home of this process."""
        from delivery.adapters.local import LocalDeployer
        from delivery.adapters.oci_layout import OciLayoutStore

        home = Home.here()
        return LocalDeployer(home, OciLayoutStore(home.artifacts))
