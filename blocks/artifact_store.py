"""Block type: the OCI image layout that holds every artifact."""

from prefect.blocks.core import Block
from pydantic import Field

from delivery.home import Home
from delivery.ports import ArtifactStore as ArtifactStorePort


class ArtifactStore(Block):
    """An OCI image layout on disk: every artifact, known by its digest."""

    _block_type_name = "Shipline artifact store"
    _block_type_slug = "shipline-artifact-store"
    _description = "An OCI image layout on disk that holds every artifact, known by its digest."

    folder: str = Field(default="", description="Folder of the layout; empty means the one in this process's home.")

    def connect(self) -> ArtifactStorePort:
        """The port."""
        from pathlib import Path

        from delivery.adapters.oci_layout import OciLayoutStore

        return OciLayoutStore(Path(self.folder) if self.folder else Home.here().artifacts)
