"""Where a kept result came from, as its record says. Pure."""

from delivery.ports import Row


def may_be_shared(record: Row) -> bool:
    """Whether a run that shares its results made this one, here or in another installation."""
    origin = record.get("origin")
    return isinstance(origin, dict) and origin.get("shared") is True
