"""Sections with more entries than are read: told without looking at each of the entries."""

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from delivery.config import Configuration
from delivery.config_findings import Finding

_MOST: dict[str, int] = {
    name: limit.max_length
    for name, declared in Configuration.model_fields.items()
    for limit in declared.metadata
    if hasattr(limit, "max_length")
}


def crowded_sections(value: Mapping[str, JsonValue]) -> Iterator[Finding]:
    """One finding for each section that is longer than the types allow."""
    for name, most in _MOST.items():
        section = value.get(name)
        if isinstance(section, dict) and len(section) > most:
            message = f"{name} must not be longer than {most}, and has {len(section)} entries"
            yield Finding((name,), message, "split the repository", at_key=True)
