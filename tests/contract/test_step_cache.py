"""Every StepCache: a record comes back only whole and with all its blobs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.adapters.folder_store import FolderStepCache, FolderStore
from delivery.artifact import Digest, digest_of
from delivery.ports import StepCache, Store
from tests.fakes.store import InMemoryStepCache, InMemoryStore

KEY, OTHER = digest_of(b"key"), digest_of(b"other")


@pytest.fixture(params=["real", "fake"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Store, StepCache]]:
    if request.param == "real":
        store = FolderStore(tmp_path / "store")
        yield store, FolderStepCache(tmp_path / "steps", store)
    else:
        fake = InMemoryStore()
        yield fake, InMemoryStepCache(fake)
        fake.close()


def test_a_record_comes_back_by_its_key(kept: tuple[Store, StepCache]) -> None:
    store, cache = kept
    blob = store.put(b"log")
    cache.record(KEY, {"log": blob, "seconds": 1.5, "outputs": None}, [blob])
    assert cache.lookup(KEY) == {"log": blob, "seconds": 1.5, "outputs": None}
    assert cache.lookup(OTHER) is None


def test_a_later_record_replaces_an_earlier_one(kept: tuple[Store, StepCache]) -> None:
    _, cache = kept
    cache.record(KEY, {"n": 1}, [])
    cache.record(KEY, {"n": 2}, [])
    assert cache.lookup(KEY) == {"n": 2}


def test_a_record_without_its_blob_is_a_miss(kept: tuple[Store, StepCache]) -> None:
    _, cache = kept
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
