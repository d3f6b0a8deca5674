"""Block type: the mirror of a project's source repository."""

from prefect.blocks.core import Block
from pydantic import Field

from delivery.home import Home
from delivery.ports import SourceRepository as SourceRepositoryPort


class SourceRepository(Block):
    """The mirror of one project's git repository, kept in the control plane's home."""

    _block_type_name = "Shipline source repository"
    _block_type_slug = "shipline-source-repository"
    _description = "The mirror of one project's git repository, read by plans, checkouts and change sets."

    project: str = Field(description="Slug of the registered project.")

    def connect(self) -> SourceRepositoryPort:
        """The port, on the home of this process."""
        from delivery.adapters.git.repository import GitRepository

        return GitRepository(Home.here().source(self.project))
