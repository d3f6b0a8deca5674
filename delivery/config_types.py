"""What the sections of `shipline.yaml` have in common: names, durations, and the keys of a section."""

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints
from pydantic.fields import FieldInfo

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")]
"""Lower-case letters, digits and inner hyphens, at most 40 characters."""
Label = Annotated[str, StringConstraints(min_length=1, max_length=80)]
"""What people call something, on one line."""
Seconds = Annotated[float, Field(gt=0, le=86_400)]
LongSeconds = Annotated[float, Field(gt=0, le=31 * 86_400)]
"""Up to 31 days."""


def keys_of(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """What may stand in a section, by the key that is written there."""
    return {field.alias or name: field for name, field in section.model_fields.items()}
