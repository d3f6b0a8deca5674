"""What goes of the cache, as the API shows it."""

from pydantic import JsonValue

from delivery.artifact import Digest
from delivery.caching.keeping import Holdings, Removal
from delivery.caching.tiers import SharedTier
from delivery.ledger import utc_text

_NO_KEY = Digest("sha256:" + "0" * 64)


def shared_document(shared: SharedTier | None) -> dict[str, JsonValue] | None:
    """Where the shared tier is, and what is wrong with it; None without one."""
    return {"address": shared.asking.address, "problem": shared.look(_NO_KEY) or None} if shared else None


def removal_document(keep: str, holdings: Holdings, removal: Removal, *, removed: bool) -> dict[str, JsonValue]:
    """`shipline cache gc --json`: what goes, or what has gone, and what stays whatever was asked for."""
    needed = [one for one in holdings.blobs if one.digest in holdings.needed]
    recent = [one for one in holdings.results if one.used_at > holdings.unused_since]
    under_way = [one for one in holdings.results if one.key in holdings.under_way]
    oldest = min((one.used_at for one in holdings.results), default=None)
    return {
        "keep": keep,
        "removed": removed,
        "results": len(removal.results),
        "blobs": len(removal.blobs),
        "bytes": removal.size,
        "kept": {
            "results": len(holdings.results) - len(removal.results),
            "blobs": len(holdings.blobs) - len(removal.blobs),
            "bytes": holdings.size - removal.size,
            "needed_bytes": sum(one.size for one in needed),
            "recent_results": len(recent),
            "results_under_way": len(under_way),
        },
        "oldest_used_at": utc_text(oldest) if oldest else None,
    }
