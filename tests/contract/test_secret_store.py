"""What every secret store does, and what the encrypted one does besides."""

import base64
import json
import multiprocessing
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from delivery.adapters.encrypted_secrets import EncryptedSecrets
from delivery.errors import ConfigurationError, NotFoundError, PermanentError
from delivery.home import Home
from delivery.ports import SecretStore
from tests.fakes.secret_store import InMemorySecrets


@dataclass
class Hands:
    """A clock that a test moves."""

    at: datetime = field(default_factory=lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture(params=["memory", "encrypted"])
def secrets(request: pytest.FixtureRequest, home: Home, clock: Hands) -> SecretStore:
    made: dict[str, Callable[[], SecretStore]] = {
        "memory": lambda: InMemorySecrets(clock.now),
        "encrypted": lambda: EncryptedSecrets(home, clock.now),
    }
    return made[str(request.param)]()


def test_a_secret_comes_back_as_it_was_set(secrets: SecretStore) -> None:
    value = "pa$$ wörd\nsecond line\t" + "x" * 60_000
    secrets.put("DATABASE_URL", value, "shop", None, "ada")
    assert secrets.resolve("secret:DATABASE_URL", "shop", None, "test") == value


def test_an_environments_own_value_comes_before_the_projects(secrets: SecretStore) -> None:
    secrets.put("TOKEN", "of the project", "shop", None, "ada")
    secrets.put("TOKEN", "of staging", "shop", "staging", "ada")
    assert secrets.resolve("secret:TOKEN", "shop", "staging", "test") == "of staging"
    assert secrets.resolve("secret:TOKEN", "shop", "production", "test") == "of the project"
    assert secrets.resolve("secret:TOKEN", "shop", None, "test") == "of the project"


def test_an_environments_value_reaches_neither_another_environment_nor_the_project(secrets: SecretStore) -> None:
    secrets.put("TOKEN", "of staging", "shop", "staging", "ada")
    for environment in ("production", None):
        with pytest.raises(NotFoundError):
            secrets.resolve("secret:TOKEN", "shop", environment, "test")


def test_projects_do_not_see_each_others_secrets(secrets: SecretStore) -> None:
    secrets.put("TOKEN", "of the shop", "shop", None, "ada")
    with pytest.raises(NotFoundError):
        secrets.resolve("secret:TOKEN", "shop-2", None, "test")
    assert secrets.list("shop-2") == []


def test_a_secret_that_is_not_set_says_how_to_set_it(secrets: SecretStore) -> None:
    with pytest.raises(NotFoundError) as raised:
        secrets.resolve("secret:TOKEN", "shop", "staging", "test")
    assert raised.value.message == "resolving secret TOKEN for shop/staging: not set"
    assert raised.value.hint == "set it with: shipline secret set TOKEN --env staging"


def test_setting_again_replaces(secrets: SecretStore) -> None:
    secrets.put("TOKEN", "first value", "shop", None, "ada")
    secrets.put("TOKEN", "second value", "shop", None, "grace")
    assert secrets.resolve("secret:TOKEN", "shop", None, "test") == "second value"
    assert [row["owner"] for row in secrets.list("shop")] == ["grace"]


def test_removing_says_whether_there_was_one(secrets: SecretStore) -> None:
    secrets.put("TOKEN", "a value", "shop", "staging", "ada")
    assert secrets.remove("TOKEN", "shop", None) is False
    assert secrets.remove("TOKEN", "shop", "staging") is True
    assert secrets.remove("TOKEN", "shop", "staging") is False
    assert secrets.list("shop") == []


def test_the_list_tells_everything_but_the_value(secrets: SecretStore, clock: Hands) -> None:
    secrets.put("TOKEN", "a value", "shop", "staging", "ada", clock.at + timedelta(days=1))
    secrets.put("KEY", "another value", "shop", None, "grace")
    secrets.resolve("secret:KEY", "shop", "staging", "step unit")
    assert secrets.list("shop") == [
        {
            "name": "KEY",
            "scope": "shop",
            "owner": "grace",
            "expires_at": None,
            "last_used_at": "2026-03-01T12:00:00Z",
            "last_used_for": "step unit",
        },
        {
            "name": "TOKEN",
            "scope": "shop/staging",
            "owner": "ada",
            "expires_at": "2026-03-02T12:00:00Z",
            "last_used_at": None,
            "last_used_for": None,
        },
    ]


def test_an_expired_secret_is_refused_by_name(secrets: SecretStore, clock: Hands) -> None:
    secrets.put("TOKEN", "a value", "shop", None, "ada", clock.at + timedelta(hours=1))
    clock.at += timedelta(hours=1)
    with pytest.raises(PermanentError, match="opening secret TOKEN of shop: it expired at 2026-03-01T13:00:00Z"):
        secrets.resolve("secret:TOKEN", "shop", None, "test")


@pytest.mark.parametrize("name", ["", "1TOKEN", "A B", "a/b", "../x", "TÖKEN", "secret:X"])
def test_a_name_that_no_reference_could_say_is_refused(secrets: SecretStore, name: str) -> None:
    with pytest.raises(ConfigurationError, match="secret name must be"):
        secrets.put(name, "a value", "shop", None, "ada")


@pytest.mark.parametrize("value", ["", "abc", "x" * 65_537, "nul\0nul", "\ud800abc"])
def test_a_value_that_cannot_be_masked_or_kept_is_refused_without_showing_it(secrets: SecretStore, value: str) -> None:
    with pytest.raises(ConfigurationError, match="setting secret TOKEN") as raised:
        secrets.put("TOKEN", value, "shop", None, "ada")
    assert not value or value not in str(raised.value)
    assert secrets.list("shop") == []


@pytest.mark.parametrize("project", ["../other", "a/b", "", ".hidden"])
def test_a_project_cannot_name_a_path(secrets: SecretStore, project: str) -> None:
    with pytest.raises(ConfigurationError):
        secrets.put("TOKEN", "a value", project, None, "ada")


def test_a_reference_must_be_one(secrets: SecretStore) -> None:
    with pytest.raises(ConfigurationError, match="secret reference must be 'secret:NAME', got 'TOKEN'"):
        secrets.resolve("TOKEN", "shop", None, "test")


def _files(home: Home) -> list[Path]:
    return [path for path in home.root.rglob("*") if path.is_file()]


def test_no_value_stands_on_disk_in_any_simple_form(home: Home) -> None:
    value = "correct horse battery"
    EncryptedSecrets(home).put("TOKEN", value, "shop", None, "ada")
    EncryptedSecrets(home).resolve("secret:TOKEN", "shop", None, "test")
    written = b"".join(path.read_bytes() for path in _files(home))
    assert value.encode() not in written
    assert base64.b64encode(value.encode()).rstrip(b"=") not in written


def test_only_the_owner_reads_the_files(home: Home) -> None:
    EncryptedSecrets(home).put("TOKEN", "a value", "shop", None, "ada")
    EncryptedSecrets(home).resolve("secret:TOKEN", "shop", None, "test")
    modes = {path.name: path.stat().st_mode & 0o777 for path in _files(home) if path.suffix in {".json", ".key"}}
    assert modes == {"secrets.key": 0o600, "shop.json": 0o600, "shop.uses.json": 0o600}
    assert home.credentials.stat().st_mode & 0o777 == 0o700
    assert home.secrets.stat().st_mode & 0o777 == 0o700


def test_another_key_opens_nothing_and_destroys_nothing(home: Home) -> None:
    EncryptedSecrets(home).put("TOKEN", "a value", "shop", None, "ada")
    key = home.credentials / "secrets.key"
    right, before = key.read_bytes(), (home.secrets / "shop.json").read_bytes()
    key.write_bytes(bytes(32))
    for attempt in (
        lambda: EncryptedSecrets(home).resolve("secret:TOKEN", "shop", None, "test"),
        lambda: EncryptedSecrets(home).put("TOKEN", "another", "shop", None, "ada"),
        lambda: EncryptedSecrets(home).remove("TOKEN", "shop", None),
    ):
        with pytest.raises(PermanentError, match="sealed with another key"):
            attempt()
    assert (home.secrets / "shop.json").read_bytes() == before
    key.write_bytes(right)
    assert EncryptedSecrets(home).resolve("secret:TOKEN", "shop", None, "test") == "a value"


def test_a_lost_key_is_not_replaced_while_secrets_need_it(home: Home) -> None:
    EncryptedSecrets(home).put("TOKEN", "a value", "shop", None, "ada")
    (home.credentials / "secrets.key").unlink()
    with pytest.raises(PermanentError, match="is missing and secrets are there"):
        EncryptedSecrets(home).put("TOKEN", "a value", "other", None, "ada")
    assert not (home.credentials / "secrets.key").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"version": 1}', b'{"key": "x", "secrets": 3}'])
def test_a_damaged_file_is_reported_and_kept(home: Home, content: bytes) -> None:
    EncryptedSecrets(home).put("TOKEN", "a value", "shop", None, "ada")
    path = home.secrets / "shop.json"
    path.write_bytes(content)
    with pytest.raises(PermanentError, match="is damaged or unreadable"):
        EncryptedSecrets(home).put("TOKEN", "a value", "shop", None, "ada")
    assert path.read_bytes() == content


def test_a_sealed_value_opens_only_in_its_place_and_with_its_date(home: Home) -> None:
    EncryptedSecrets(home).put("TOKEN", "of staging", "shop", "staging", "ada")
    path = home.secrets / "shop.json"
    document = json.loads(path.read_bytes())
    document["secrets"]["production/TOKEN"] = document["secrets"]["staging/TOKEN"]
    document["secrets"]["staging/TOKEN"] = {
        **document["secrets"]["staging/TOKEN"],
        "expires_at": "2099-01-01T00:00:00Z",
    }
    path.write_text(json.dumps(document))
    for environment in ("production", "staging"):
        with pytest.raises(PermanentError, match=f"opening secret TOKEN of shop/{environment}: its seal is broken"):
            EncryptedSecrets(home).resolve("secret:TOKEN", "shop", environment, "test")


def test_a_use_that_cannot_be_noted_does_not_keep_the_secret_back(home: Home) -> None:
    """A service must restart on a full disk."""
    EncryptedSecrets(home).put("TOKEN", "a value", "shop", None, "ada")
    shutil.rmtree(home.secrets / "shop.uses.json", ignore_errors=True)
    (home.secrets / "shop.uses.json").mkdir()
    assert EncryptedSecrets(home).resolve("secret:TOKEN", "shop", None, "test") == "a value"
    assert EncryptedSecrets(home).list("shop")[0]["last_used_at"] is None


def _set_one(root: Path, number: int) -> None:
    EncryptedSecrets(Home(root)).put(f"TOKEN_{number}", f"value {number}", "shop", None, "ada")


def test_processes_that_start_at_once_share_one_key_and_lose_nothing(home: Home) -> None:
    spawn = multiprocessing.get_context("fork")
    workers = [spawn.Process(target=_set_one, args=(home.root, number)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    store = EncryptedSecrets(home)
    values = [store.resolve(f"secret:TOKEN_{number}", "shop", None, "test") for number in range(8)]
    assert values == [f"value {number}" for number in range(8)]
