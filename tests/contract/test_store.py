"""Every Store: what goes in comes out, or nothing does."""

import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.adapters.folder_store import FolderStore
from delivery.adapters.s3_cache import S3Bucket, S3Store
from delivery.artifact import Digest, digest_of
from delivery.caching.tiers import Asking, TieredStore
from delivery.errors import TransientError
from delivery.ports import Store
from tests.fakes.store import InMemoryStore

ABSENT = Digest("sha256:" + "0" * 64)


REAL_SERVER = [pytest.mark.integration]


@pytest.fixture(
    params=["real", "fake", pytest.param("s3", marks=REAL_SERVER), pytest.param("tiered", marks=REAL_SERVER)]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "real":
        yield FolderStore(tmp_path / "store")
    elif request.param == "fake":
        fake = InMemoryStore()
        yield fake
        fake.close()
    else:
        request.getfixturevalue("as_writer")
        settings = request.getfixturevalue("object_storage").settings()
        far = S3Store(S3Bucket(settings), tmp_path / "scratch")
        asking = Asking(settings.address)
        yield far if request.param == "s3" else TieredStore(FolderStore(tmp_path / "store"), far, asking)
        assert asking.problem == ""


@pytest.mark.parametrize("content", [b"", b"x", b"\0\xff" * 100_000])
def test_what_is_put_is_got_by_its_digest(store: Store, content: bytes) -> None:
    digest = store.put(content)
    assert digest == digest_of(content)
    assert store.has(digest)
    assert store.get(digest) == content
    opened = store.open(digest)
    assert opened is not None
    assert opened.read_bytes() == content


def test_a_file_and_its_bytes_are_one_blob(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"same")
    assert store.put_file(tmp_path / "file") == store.put(b"same")


def test_what_was_never_put_is_absent(store: Store) -> None:
    assert (store.get(ABSENT), store.open(ABSENT), store.has(ABSENT)) == (None, None, False)


def _only_blob(root: Path) -> Path:
    [blob] = [path for path in root.rglob("*") if path.is_file()]
    return blob


@pytest.mark.parametrize("damage", [b"", b"short", b"other bytes of some length"])
def test_a_damaged_blob_is_absent_and_can_be_put_again(tmp_path: Path, damage: bytes) -> None:
    store = FolderStore(tmp_path)
    digest = store.put(b"a blob that matters")
    _only_blob(tmp_path).write_bytes(damage)
    assert store.get(digest) is None
    assert not store.has(digest)
    store.put(b"a blob that matters")
    _only_blob(tmp_path).write_bytes(damage)
    assert store.open(digest) is None
    store.put(b"a blob that matters")
    assert store.get(digest) == b"a blob that matters"


@pytest.mark.parametrize("damage", [b"a blob", b"A BLOB THAT MATTERS"])
def test_a_damaged_blob_is_written_again_by_the_next_put(tmp_path: Path, damage: bytes) -> None:
    """Also when nobody has read it since, and when its length is right."""
    store = FolderStore(tmp_path)
    digest = store.put(b"a blob that matters")
    _only_blob(tmp_path).write_bytes(damage)
    store.put(b"a blob that matters")
    assert store.get(digest) == b"a blob that matters"


def test_many_writers_of_one_blob_leave_one_file(tmp_path: Path) -> None:
    content = b"z" * 1_000_000
    writers = [threading.Thread(target=FolderStore(tmp_path).put, args=(content,)) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert _only_blob(tmp_path).read_bytes() == content


def test_a_full_disk_is_said_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    """The limit on a file's size fails the same write as a full disk does, without needing a disk to fill."""
    (tmp_path / "big").write_bytes(b"x" * 200_000)
    program = textwrap.dedent(f"""
        import resource
        from pathlib import Path
        from delivery.adapters.folder_store import FolderStore
        from delivery.errors import TransientError
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        store = FolderStore(Path({str(tmp_path / "store")!r}))
        for put, what in ((store.put, b"y" * 200_000), (store.put_file, Path({str(tmp_path / "big")!r}))):
            try:
                put(what)
            except TransientError as error:
                print(error.message.rpartition(": ")[2], "|", error.hint)
        store.put(b"small")
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    hint = f"free space where {tmp_path / 'store'} is, then try again"
    assert done.stdout.splitlines() == [f"file too large | {hint}"] * 2
    assert _only_blob(tmp_path / "store").read_bytes() == b"small"


def test_a_disk_that_is_really_full_is_said(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.strip()}")
    try:
        store = FolderStore(disk / "store")
        with pytest.raises(TransientError, match="no space left on device"):
            store.put(b"x" * 200_000)
        assert [path for path in disk.rglob("*") if path.is_file()] == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)
