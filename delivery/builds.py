"""What builds have made: the `artifacts` projection of one project, read as artifacts."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, cast

from delivery.artifact import Artifact, Digest, parse_digest
from delivery.ports import Ledger, Row


@dataclass(frozen=True, slots=True)
class LedgerBuilds:
    """A `Builds` port over the ledger."""

    ledger: Ledger
    project: str

    def by_key(self, build_key: Digest) -> Artifact | None:
        """The artifact that this key already has."""
        rows = self.ledger.rows("artifacts", limit=1, project=self.project, build_key=build_key)
        return _artifact(rows[0]) if rows else None

    def by_keys(self, build_keys: Collection[Digest]) -> dict[Digest, Artifact]:
        """The artifacts that these keys already have."""
        rows = self.ledger.rows("artifacts", project=self.project, build_key=list(build_keys)) if build_keys else []
        return {artifact.build_key: artifact for artifact in map(_artifact, reversed(rows))}


def _artifact(row: Row) -> Artifact:
    return Artifact(
        service=str(row["service"]),
        digest=parse_digest(str(row["digest"])),
        build_key=parse_digest(str(row["build_key"])),
        revision=str(row["revision"]),
        media_type=str(row["media_type"]),
        platform=str(row["platform"]),
        size=int(cast("int", row["size"])),
        origin=cast("Literal['built', 'imported']", row.get("origin", "built")),
        unprotected=row.get("unprotected") is not False,  # nothing was, before that was recorded
    )
