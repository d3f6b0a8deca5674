"""Every StepCache: a record comes back only whole and with all its blobs."""

import contextlib
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from delivery.adapters.folder_store import FolderStepCache, FolderStore
from delivery.adapters.s3_cache import S3Bucket, S3StepCache, S3Store
from delivery.artifact import Digest, digest_of
from delivery.caching.tiers import Asking, TieredStepCache, TieredStore
from delivery.ports import NearStepCache, NearStore, Recorded, StepCache, Store
from tests.fakes.store import InMemoryStepCache, InMemoryStore

KEY, OTHER = digest_of(b"key"), digest_of(b"other")


@pytest.fixture(params=["real", "fake"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[NearStore, NearStepCache]]:
    if request.param == "real":
        store = FolderStore(tmp_path / "store")
        yield store, FolderStepCache(tmp_path / "steps", store)
    else:
        fake = InMemoryStore()
        yield fake, InMemoryStepCache(fake)
        fake.close()


@pytest.fixture(
    params=[
        "real",
        "fake",
        pytest.param("s3", marks=pytest.mark.integration),
        pytest.param("tiered", marks=pytest.mark.integration),
    ]
)
def any_cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Store, StepCache]]:
    store = FolderStore(tmp_path / "store")
    if request.param == "real":
        yield store, FolderStepCache(tmp_path / "steps", store)
    elif request.param == "fake":
        fake = InMemoryStore()
        yield fake, InMemoryStepCache(fake)
        fake.close()
    else:
        request.getfixturevalue("as_writer")
        settings = request.getfixturevalue("object_storage").settings()
        asking, bucket = Asking(settings.address), S3Bucket(settings)
        far = S3Store(bucket, tmp_path / "scratch")
        far_steps = S3StepCache(bucket, far)
        tiered = TieredStore(store, far, asking)
        near = FolderStepCache(tmp_path / "steps", store)
        both = (tiered, TieredStepCache(near, far_steps, tiered, asking))
        yield (far, far_steps) if request.param == "s3" else both
        assert asking.problem == ""


def test_a_record_comes_back_by_its_key(any_cache: tuple[Store, StepCache]) -> None:
    store, cache = any_cache
    blob = store.put(b"log")
    cache.record(KEY, {"log": blob, "seconds": 1.5, "outputs": None}, [blob])
    assert cache.lookup(KEY) == {"log": blob, "seconds": 1.5, "outputs": None}
    assert cache.lookup(OTHER) is None


def test_a_later_record_replaces_an_earlier_one(any_cache: tuple[Store, StepCache]) -> None:
    _, cache = any_cache
    cache.record(KEY, {"n": 1}, [])
    cache.record(KEY, {"n": 2}, [])
    assert cache.lookup(KEY) == {"n": 2}


def test_a_record_without_its_blob_is_a_miss(any_cache: tuple[Store, StepCache]) -> None:
    _, cache = any_cache
    cache.record(KEY, {"n": 1}, [digest_of(b"never stored")])
    assert cache.lookup(KEY) is None


@pytest.fixture
def on_disk(tmp_path: Path) -> tuple[FolderStepCache, Path, Path]:
    """A cache with one record; the record's file and its blob's."""
    store = FolderStore(tmp_path / "store")
    cache = FolderStepCache(tmp_path / "steps", store)
    cache.record(KEY, {"n": 1}, [store.put(b"log")])
    [record] = (tmp_path / "steps").rglob("*.json")
    [blob] = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    return cache, record, blob


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b"null", b'{"seal": 1}', b"\xff\xfe", b'{"record": {}, "blobs": [], "key": 1, "seal": ""}'],
)
def test_a_damaged_record_is_a_miss(on_disk: tuple[FolderStepCache, Path, Path], damage: bytes) -> None:
    cache, record, _ = on_disk
    record.write_bytes(damage)
    assert cache.lookup(KEY) is None


def test_an_edited_record_is_a_miss(on_disk: tuple[FolderStepCache, Path, Path]) -> None:
    cache, record, _ = on_disk
    record.write_bytes(record.read_bytes().replace(b'{"n":1}', b'{"n":2}'))
    assert cache.lookup(KEY) is None


def test_a_record_in_the_place_of_another_is_a_miss(on_disk: tuple[FolderStepCache, Path, Path]) -> None:
    cache, record, _ = on_disk
    elsewhere = Path(
        str(record).replace(record.stem, _hex(OTHER)).replace(f"/{record.stem[:2]}/", f"/{_hex(OTHER)[:2]}/")
    )
    elsewhere.parent.mkdir(exist_ok=True)
    elsewhere.write_bytes(record.read_bytes())
    assert cache.lookup(KEY) is not None
    assert cache.lookup(OTHER) is None


def test_a_record_with_a_damaged_blob_is_a_miss(on_disk: tuple[FolderStepCache, Path, Path]) -> None:
    cache, _, blob = on_disk
    blob.write_bytes(b"gol")
    assert cache.lookup(KEY) is None


def _hex(digest: Digest) -> str:
    return digest.removeprefix("sha256:")


AGES_AGO, AHEAD = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def test_a_record_is_read_without_its_blobs(any_cache: tuple[Store, StepCache]) -> None:
    _, cache = any_cache
    cache.record(KEY, {"n": 1}, [digest_of(b"never stored")])
    assert cache.read(KEY) == Recorded({"n": 1}, (digest_of(b"never stored"),))
    assert cache.read(OTHER) is None


def test_what_is_kept_can_be_looked_through(kept: tuple[NearStore, NearStepCache]) -> None:
    store, cache = kept
    blob = store.put(b"log")
    cache.record(KEY, {"n": 1}, [blob])
    [result], [found] = list(cache.results()), list(store.blobs())
    assert (result.key, result.blobs, result.size > 0) == (KEY, (blob,), True)
    assert (found.digest, found.size) == (blob, 3)
    assert AGES_AGO < result.used_at < AHEAD


def test_what_is_unused_is_removed_and_what_was_used_since_stays(kept: tuple[NearStore, NearStepCache]) -> None:
    store, cache = kept
    blob = store.put(b"log")
    cache.record(KEY, {"n": 1}, [blob])
    assert (cache.remove(KEY, AGES_AGO), store.remove(blob, AGES_AGO)) == (False, False)
    assert cache.lookup(KEY) == {"n": 1}
    assert (cache.remove(KEY, AHEAD), store.remove(blob, AHEAD)) == (True, True)
    assert (cache.lookup(KEY), store.get(blob)) == (None, None)
    assert (list(cache.results()), list(store.blobs())) == ([], [])
    assert (cache.remove(KEY, AHEAD), store.remove(blob, AHEAD)) == (False, False)


def test_looking_a_result_up_is_a_use_of_it_and_of_its_blobs(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    cache = FolderStepCache(tmp_path / "steps", store)
    blob = store.put(b"log")
    cache.record(KEY, {"n": 1}, [blob])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]

    def again() -> None:
        store.put(b"log")
        cache.record(KEY, {"n": 1}, [blob])

    def look_up() -> None:
        cache.lookup(KEY)

    for use in (look_up, again):
        for file in files:
            os.utime(file, (0, 0))
        cache.read(KEY)
        assert {file.stat().st_mtime for file in files} == {0}, "reading alone is none"
        use()
        assert (cache.remove(KEY, AGES_AGO), store.remove(blob, AGES_AGO)) == (False, False)


def test_who_clears_and_who_writes_at_once_never_lose_a_blob_that_was_just_put(tmp_path: Path) -> None:
    """A writer puts an old blob again and then counts on it, while somebody clears what is unused since yesterday."""
    store = FolderStore(tmp_path / "store")
    digest = store.put(b"old and wanted again")
    [file] = [path for path in tmp_path.rglob("*") if path.is_file()]
    yesterday = datetime.now(UTC) - timedelta(days=1)
    stop = threading.Event()

    def clear() -> None:
        while not stop.is_set():
            store.remove(digest, yesterday)

    clearing = [threading.Thread(target=clear) for _ in range(2)]
    for thread in clearing:
        thread.start()
    try:
        for _ in range(500):
            with contextlib.suppress(FileNotFoundError):
                os.utime(file, (0, 0))
            store.put(b"old and wanted again")
            assert store.get(digest) is not None
    finally:
        stop.set()
        for thread in clearing:
            thread.join()
    assert store.get(digest) == b"old and wanted again"
