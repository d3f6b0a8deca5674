"""Fixtures that are only named."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from delivery.config import Fixture
from delivery.errors import ConfigurationError, TransientError
from delivery.isolation import Isolation


class NamedFixtures:
    """Gives the variables a real fixture would; `failures` starts fail first."""

    def __init__(self, failures: int = 0) -> None:
        self._failures = failures
        self.running = 0
        self.isolations: list[Isolation | None] = []

    @contextlib.contextmanager
    def start(
        self, fixture: Fixture, folder: Path, output: Callable[[bytes], None], isolation: Isolation | None = None
    ) -> Iterator[Mapping[str, str]]:
        if not (fixture.postgresql or fixture.run):
            raise ConfigurationError("starting a fixture: it says neither 'postgresql' nor 'run'")
        if self._failures:
            self._failures -= 1
            raise TransientError("starting the fixture: not ready within 30 s")
        self.isolations.append(isolation)
        output(f"ready in {folder}\n".encode())
        self.running += 1
        try:
            yield _variables(fixture)
        finally:
            self.running -= 1


def _variables(fixture: Fixture) -> Mapping[str, str]:
    if fixture.run:
        provided = {name: value.replace("{port}", "54321") for name, value in fixture.run.provides.items()}
        return {"PORT": "54321", **provided}
    asked = fixture.postgresql
    assert asked is not None
    return {
        "PGHOST": "127.0.0.1",
        "PGPORT": "54321",
        "PGUSER": asked.user,
        "PGPASSWORD": asked.password,
        "PGDATABASE": asked.database,
        "DATABASE_URL": f"postgresql://{asked.user}:{asked.password}@127.0.0.1:54321/{asked.database}",
    }
