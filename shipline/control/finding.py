"""What `shipline doctor` finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    found: str
    """What is there, or what is wrong."""
    hint: str = ""
    """What to do about it; empty when it is well."""
    required: bool = True
    """Whether Shipline does not work without it."""

    @property
    def ok(self) -> bool:
        """Whether nothing has to be done."""
        return not self.hint
