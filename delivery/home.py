"""The home: where one installation keeps everything. Two homes never meet."""

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from delivery.errors import ConfigurationError

_LONGEST = 200
"""Characters of a name: file systems take 255 bytes, and something is added."""


@dataclass(frozen=True, slots=True)
class Home:
    """Paths under `SHIPLINE_HOME`. Nothing here touches the disk.

    ConfigurationError for a name that would lead out of its folder; whether it is a good name is asked where it is
    given (`delivery.config.Name`), and older ones in the ledger stay.
    """

    root: Path

    @classmethod
    def here(cls) -> "Home":
        """The home that the environment names, else the platform's user state directory."""
        named = os.environ.get("SHIPLINE_HOME")
        return cls(Path(named).expanduser().absolute() if named else Path(platformdirs.user_state_dir("shipline")))

    @property
    def credentials(self) -> Path:
        """Folder, 0700: `api-token`, `prefect-auth`, `postgresql-*`, `secrets.key`."""
        return self.root / "credentials"

    @property
    def control_state(self) -> Path:
        """JSON of the control plane: process id, start time, addresses."""
        return self.root / "control.json"

    @property
    def restoring(self) -> Path:
        """Folder in which a restore puts everything together; there only until it has come to its end."""
        return self.root / "restoring"

    @property
    def published_heads(self) -> Path:
        """JSON of each ledger stream's head, outside of the database."""
        return self.root / "ledger-head.json"

    @property
    def ledger_segments(self) -> Path:
        """Closed segments of the ledger, a folder per stream: what is in them may not be in the database any more."""
        return self.root / "ledger"

    @property
    def postgresql(self) -> Path:
        """Data directory of the embedded PostgreSQL."""
        return self.root / "postgresql"

    @property
    def logs(self) -> Path:
        """Folder, 0700, of every log."""
        return self.root / "logs"

    @property
    def control_logs(self) -> Path:
        """Logs of the control plane's processes, rotated."""
        return self.logs / "control"

    def run_logs(self, run: str) -> Path:
        """Logs of one run: a file per step, and one per promotion."""
        return self.logs / "runs" / _part(run)

    def source(self, project: str) -> Path:
        """Bare mirror of a project's source repository."""
        return self.root / "sources" / f"{_part(project)}.git"

    @property
    def artifacts(self) -> Path:
        """OCI image layout with every artifact."""
        return self.root / "artifacts"

    @property
    def store(self) -> Path:
        """Content-addressed blobs: step outputs, definitions, configurations."""
        return self.root / "store"

    @property
    def steps(self) -> Path:
        """Step cache records."""
        return self.root / "steps"

    def tool_cache(self, project: str) -> Path:
        """What a project's tools keep between steps, by their own rules; may be removed whenever no step runs."""
        return self.root / "tool-caches" / _part(project)

    @property
    def secrets(self) -> Path:
        """Encrypted secrets, a file per project."""
        return self.root / "secrets"

    @property
    def work(self) -> Path:
        """Throw-away checkouts."""
        return self.root / "work"

    @property
    def data_plane(self) -> Path:
        """State of the data plane's supervisor and of every locally deployed environment."""
        return self.root / "environments"

    def environment(self, project: str, environment: str) -> Path:
        """Desired and observed state, unpacked artifacts, router files and logs of one environment."""
        return self.data_plane / _part(project) / _part(environment)


def _part(name: str) -> str:
    """The name as one folder of a path."""
    if not name.strip(".") or "/" in name or "\0" in name or len(name) > _LONGEST:
        raise ConfigurationError(f"looking for the files of {name[:_LONGEST]!r}: that is no name")
    return name
