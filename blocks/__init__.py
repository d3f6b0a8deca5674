"""Prefect block types: what is needed to connect, and connect() to a port.

This is the registration list: Prefect imports it through the entry point `prefect.collections`. Blocks
hold no secrets, because on our own server the key would lie in the same database.
"""

from blocks.artifact_store import ArtifactStore
from blocks.local_environment import LocalEnvironment
from blocks.secret_store import SecretStore
from blocks.source_repository import SourceRepository

__all__ = ["ArtifactStore", "LocalEnvironment", "SecretStore", "SourceRepository"]
