"""The home's lock: whoever holds it is the control plane, whatever any record says."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from delivery.errors import ConfigurationError
from delivery.home import Home


@contextmanager
def only_one(home: Home, timeout_seconds: float = 0) -> Iterator[None]:
    """Hold the home's lock. The kernel drops it with its holder, however that ended, so it is never stale."""
    try:
        with FileLock(home.root / "control.lock", timeout=timeout_seconds):
            yield
    except Timeout as error:
        raise ConfigurationError(
            f"starting the control plane of {home.root}: it runs already", hint="stop it with: shipline down"
        ) from error


def held(home: Home) -> bool:
    """Whether somebody is, or is about to be, this home's control plane."""
    if not home.root.exists():
        return False
    try:
        with only_one(home):
            return False
    except ConfigurationError:
        return True


def require_whole(home: Home) -> None:
    """ConfigurationError in a home that a restore is being put together in, or was when it was killed."""
    if home.restoring.exists():
        raise ConfigurationError(
            f"starting the control plane of {home.root}: a restore into it has not come to its end",
            hint=f"begin it again: shipline restore FILE; or remove {home.restoring} for an empty home",
        )
