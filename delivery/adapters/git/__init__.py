"""Source repositories in git, read through GitPython: work trees, mirrors, and what stands in them."""

from delivery.adapters.git.heads_ref import publish_to_git
from delivery.adapters.git.location import dirty, head, identify, is_shallow, is_url, require_history
from delivery.adapters.git.mirror import SourceMirror
from delivery.adapters.git.repository import GitRepository

__all__ = [
    "GitRepository",
    "SourceMirror",
    "dirty",
    "head",
    "identify",
    "is_shallow",
    "is_url",
    "publish_to_git",
    "require_history",
]
