"""Fixtures that many tests share."""

import gc
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.servers.postgresql import Database, PostgresqlServer, running_postgresql

if TYPE_CHECKING:
    from tests.servers.object_storage import ObjectStorage
    from tests.servers.prefect import RunningPrefect


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    """What libraries leave to the collector is collected with its module, not in the middle of another one's test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(autouse=True)
def _no_terminal_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Test runners that share work out set COLUMNS, which folds tables as a narrow terminal would."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """One real PostgreSQL for the whole session."""
    with running_postgresql() as server:
        yield server


@pytest.fixture
def database(postgresql_server: PostgresqlServer) -> Iterator[Database]:
    """A fresh migrated database."""
    with postgresql_server.database() as fresh:
        yield fresh


@pytest.fixture(scope="session")
def object_storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator["ObjectStorage"]:
    """One real S3 server for the whole session; each test has a place of its own in it."""
    from tests.servers.object_storage import running_object_storage

    with running_object_storage(tmp_path_factory.mktemp("object-storage")) as server:
        yield server


@pytest.fixture
def as_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's own libraries know who may write there."""
    from tests.servers.object_storage import WRITER, as_identity

    for name, value in as_identity(WRITER).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator["RunningPrefect"]:
    """One real Prefect server for the whole session; its tests take project names of their own."""
    from tests.servers.prefect import running_prefect

    with running_prefect() as server:
        yield server
