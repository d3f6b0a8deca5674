"""The shared tier on a real S3 server: checked on read, repaired by the next write, and never in the way."""

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import JsonValue

from delivery.adapters.local_steps import Tiers, near_cache, tiers_of
from delivery.adapters.s3_cache import S3Bucket, S3Store
from delivery.artifact import Digest, digest_of
from delivery.caching.tiers import Asking, TieredStore
from delivery.connections import Near
from delivery.errors import PermanentError, TransientError
from delivery.home import Home
from delivery.shared_cache import SharedCacheSettings
from tests.servers.object_storage import READER, ObjectStorage, as_identity

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("as_writer")]
KEY, LOG, OUTPUTS = digest_of(b"key"), b"the log", b"o" * 9_000_000
"""The outputs are longer than what is written in one part."""
SHARED: dict[str, JsonValue] = {"origin": {"shared": True}}


@dataclass(frozen=True)
class Place:
    """One installation's tiers."""

    near: Near
    tiers: Tiers

    def make(self, *contents: bytes, run: int = 1) -> list[Digest]:
        """A result made here."""
        blobs = [self.tiers.store.put(content) for content in contents]
        self.tiers.steps.record(KEY, {"log": blobs[0], "n": run, **SHARED}, blobs)
        return blobs

    def share(self) -> bool:
        assert self.tiers.shared is not None
        return self.tiers.shared.share(KEY)

    @property
    def problem(self) -> str:
        assert self.tiers.shared is not None
        return self.tiers.shared.asking.problem


def place(folder: Path, settings: SharedCacheSettings) -> Place:
    home = Home(folder)
    near = near_cache(home)
    return Place(near, tiers_of(home, near, settings))


@pytest.fixture
def settings(object_storage: ObjectStorage) -> SharedCacheSettings:
    return object_storage.settings()


def test_what_one_shares_another_finds_and_keeps_near(
    object_storage: ObjectStorage, settings: SharedCacheSettings, tmp_path: Path
) -> None:
    one, other = place(tmp_path / "one", settings), place(tmp_path / "other", settings)
    blobs = one.make(LOG, OUTPUTS)
    assert other.tiers.steps.lookup(KEY) is None, "nothing is shared by making it"
    assert object_storage.names(settings) == []
    assert one.share()
    assert other.tiers.steps.lookup(KEY) == {"log": blobs[0], "n": 1, **SHARED}
    assert other.near.steps.lookup(KEY) == {"log": blobs[0], "n": 1, **SHARED}
    assert [other.near.store.get(blob) for blob in blobs] == [LOG, OUTPUTS]
    assert list((tmp_path / "other" / "work" / "shared-cache").iterdir()) == []
    names = object_storage.names(settings)
    assert len(names) == 3
    assert all(name.startswith(f"{settings.prefix}/st") for name in names)
    assert (one.problem, other.problem) == ("", "")


def test_a_reader_writes_nothing(object_storage: ObjectStorage, settings: SharedCacheSettings, tmp_path: Path) -> None:
    one = place(tmp_path / "one", settings)
    one.make(LOG)
    one.tiers.steps.lookup(KEY)
    one.tiers.store.open(digest_of(b"absent"))
    assert object_storage.names(settings) == []


@pytest.mark.parametrize("spoilt", ["store/", "steps/"])
@pytest.mark.parametrize("damage", [b"", b"something else", None])
def test_what_is_damaged_or_missing_is_a_miss_and_is_repaired_by_the_next_share(
    object_storage: ObjectStorage, settings: SharedCacheSettings, tmp_path: Path, spoilt: str, damage: bytes | None
) -> None:
    one = place(tmp_path / "one", settings)
    one.make(LOG)
    one.share()
    client = object_storage.client()
    [name] = [name for name in object_storage.names(settings) if spoilt in name]
    if damage is None:
        client.delete_object(Bucket=settings.bucket, Key=name)
    else:
        client.put_object(Bucket=settings.bucket, Key=name, Body=damage)
    other = place(tmp_path / "other", settings)
    assert (other.tiers.steps.lookup(KEY), other.problem) == (None, "")
    other.make(LOG, run=2)
    assert other.share()
    assert (place(tmp_path / "third", settings).tiers.steps.lookup(KEY) or {})["n"] == 2


def test_what_is_shared_already_is_not_written_again_unless_a_blob_is_missing(
    object_storage: ObjectStorage, settings: SharedCacheSettings, tmp_path: Path
) -> None:
    one, client = place(tmp_path / "one", settings), object_storage.client()
    one.make(LOG)
    one.share()
    written = _written(object_storage, settings)
    one.share()
    assert _written(object_storage, settings) == written
    [blob] = [name for name in written if "store/" in name]
    client.delete_object(Bucket=settings.bucket, Key=blob)
    one.share()
    assert set(_written(object_storage, settings)) == set(written)


def _written(object_storage: ObjectStorage, settings: SharedCacheSettings) -> dict[str, object]:
    """By name: when each object was written."""
    client = object_storage.client()
    return {
        name: client.head_object(Bucket=settings.bucket, Key=name)["LastModified"]
        for name in object_storage.names(settings)
    }


def test_an_edited_record_is_a_miss(
    object_storage: ObjectStorage, settings: SharedCacheSettings, tmp_path: Path
) -> None:
    one = place(tmp_path / "one", settings)
    one.make(LOG)
    one.share()
    client = object_storage.client()
    [name] = [name for name in object_storage.names(settings) if "steps/" in name]
    content = json.loads(client.get_object(Bucket=settings.bucket, Key=name)["Body"].read())
    edited = json.dumps({**content, "record": {**content["record"], "n": 2}})
    client.put_object(Bucket=settings.bucket, Key=name, Body=edited.encode())
    assert place(tmp_path / "other", settings).tiers.steps.lookup(KEY) is None


def test_who_may_only_read_finds_and_is_told_that_it_cannot_write(
    settings: SharedCacheSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = place(tmp_path / "one", settings)
    one.make(LOG)
    one.share()
    for name, value in as_identity(READER).items():
        monkeypatch.setenv(name, value)
    reader = place(tmp_path / "reader", settings)
    assert reader.tiers.steps.lookup(KEY) is not None
    reader.make(b"other", run=2)
    assert not reader.share()
    hint = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may do there"
    assert reader.problem.endswith(f"in the shared cache {settings.address}: it is refused (AccessDenied); {hint}")


def test_a_wrong_secret_and_a_bucket_that_is_not_there_are_said_without_the_secret(
    settings: SharedCacheSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = S3Store(S3Bucket(SharedCacheSettings("not-there", "", settings.endpoint_url)), tmp_path)
    with pytest.raises(PermanentError, match="in the shared cache s3://not-there: there is no such bucket"):
        nowhere.get(KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2hunter2")
    with pytest.raises(PermanentError, match=r"it is refused \(SignatureDoesNotMatch\)") as refused:
        S3Store(S3Bucket(settings), tmp_path).get(KEY)
    assert "hunter2" not in f"{refused.value.message}{refused.value.hint}"


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_a_server_that_is_away_is_a_warning_once_and_a_miss(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    away = SharedCacheSettings("cache", "", f"http://127.0.0.1:{_closed_port()}")
    one = place(tmp_path / "one", away)
    with caplog.at_level(logging.WARNING, "shipline.cache"):
        assert one.tiers.steps.lookup(KEY) is None
        blobs = one.make(LOG)
        assert not one.share()
        assert one.tiers.store.get(digest_of(b"absent")) is None
    assert [record.name for record in caplog.records] == ["shipline.cache"]
    assert "the shared cache is left alone for 60 s: reading steps/" in caplog.text
    assert "Could not connect to the endpoint URL" in one.problem
    assert one.tiers.steps.lookup(KEY) == {"log": blobs[0], "n": 1, **SHARED}, "what is near goes on working"


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        ({"AWS_PROFILE": "nobody"}, "The config profile (nobody) could not be found"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "Unable to locate credentials"),
    ],
)
def test_credentials_that_cannot_be_found_are_a_warning_too(
    settings: SharedCacheSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str], cause: str
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    one = place(tmp_path / "one", settings)
    assert one.tiers.steps.lookup(KEY) is None
    assert one.problem.endswith(cause)


def test_after_its_rest_a_server_that_is_back_is_asked_again(settings: SharedCacheSettings, tmp_path: Path) -> None:
    far = S3Store(S3Bucket(settings), tmp_path / "scratch")
    digest = far.put(LOG)
    asking = Asking(settings.address, rest_seconds=0.0)

    def away() -> None:
        raise TransientError("it is away")

    asking.ask(away, None)
    assert asking.problem == "it is away"
    assert TieredStore(near_cache(Home(tmp_path)).store, far, asking).get(digest) == LOG
    assert asking.problem == ""


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        bucket = S3Bucket(SharedCacheSettings("cache", "", endpoint), read_seconds=0.2)
        gave_up: list[str] = []

        def ask() -> None:
            try:
                bucket.get("steps/x")
            except TransientError as error:
                gave_up.append(error.message)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(60)
        assert ["Read timeout on endpoint URL" in one for one in gave_up] == [True]


def test_nothing_of_boto3_is_imported_before_a_shared_cache_is_asked(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
import delivery.adapters.embedded
from delivery.adapters.local_steps import near_cache, tiers_of
from delivery.home import Home
from delivery.shared_cache import SharedCacheSettings
from shipline.control import api, process
def loaded():
    return sorted({{"boto3", "botocore", "delivery.adapters.s3_cache"}} & set(sys.modules))
home = Home(Path({str(tmp_path)!r}))
tiers_of(home, near_cache(home), None)
print(loaded())
tiers_of(home, near_cache(home), SharedCacheSettings("cache"))
print(loaded())
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ}, cwd=Path.cwd()
    )
    assert ran.stdout.splitlines() == ["[]", "['delivery.adapters.s3_cache']"]


def test_many_threads_make_one_client(settings: SharedCacheSettings, tmp_path: Path) -> None:
    store = S3Store(S3Bucket(settings), tmp_path)
    digest, found = store.put(LOG), []
    threads = [threading.Thread(target=lambda: found.append(store.get(digest))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [LOG] * 8


def test_many_may_bring_the_same_result_near_at_once(settings: SharedCacheSettings, tmp_path: Path) -> None:
    one, other = place(tmp_path / "one", settings), place(tmp_path / "other", settings)
    one.make(LOG, OUTPUTS)
    one.share()
    found: list[object] = []

    def look_up() -> None:
        try:
            found.append(other.tiers.steps.lookup(KEY) is not None)
        except TransientError as error:
            found.append(error.message)

    threads = [threading.Thread(target=look_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 8
    assert list((tmp_path / "other" / "work" / "shared-cache").iterdir()) == []


def test_each_has_a_copy_of_its_own_to_bring_near(settings: SharedCacheSettings, tmp_path: Path) -> None:
    """Whoever is done first removes his: it must not be the other's."""
    store = S3Store(S3Bucket(settings), tmp_path / "scratch")
    digest = store.put(LOG)
    first, second = store.open(digest), store.open(digest)
    assert first is not None
    assert second is not None
    first.unlink()
    assert second.read_bytes() == LOG
