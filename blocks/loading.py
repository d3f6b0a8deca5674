"""The one typed way to load a saved block."""

from typing import TypeVar, cast

from prefect.blocks.core import Block

BlockType = TypeVar("BlockType", bound=Block)


def saved(block_type: type[BlockType], name: str) -> BlockType:
    """A saved block document by name, as its type; ValueError when there is none. Not for use inside an event loop."""
    return cast(BlockType, block_type.load(name))
