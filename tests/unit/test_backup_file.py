"""A backup's file: written and read back, damaged in every way, and by somebody else."""

import gzip
import io
import json
import os
import socket
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from delivery.adapters.backup_reader import check_backup, lay_backup, read_header
from delivery.adapters.backup_writer import BackupWriter
from delivery.adapters.gzip_members import GzipMembers
from delivery.errors import ConfigurationError
from tests.unit.test_backup import HEADER

NOISE = os.urandom(300_000)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder with every kind of file."""
    folder = tmp_path / "home"
    (folder / "credentials").mkdir(parents=True, mode=0o700)
    (folder / "credentials" / "key").write_bytes(b"secret")
    (folder / "credentials" / "key").chmod(0o600)
    (folder / "store").mkdir()
    (folder / "store" / "noise").write_bytes(NOISE)
    (folder / "store" / "noise").chmod(0o444)
    (folder / "store" / "text").write_text("the same again\n" * 20_000)
    (folder / "store" / "empty").touch()
    os.utime(folder / "store" / "text", (1_700_000_000, 1_700_000_000))
    (folder / "store" / "link").symlink_to("../credentials/key")
    (folder / "closed").mkdir()
    (folder / "closed" / os.fsdecode(b"n\xe4me")).write_text("no UTF-8")
    (folder / "closed").chmod(0o500)
    yield folder
    for closed in tmp_path.rglob("closed"):
        closed.chmod(0o700)


def written(home: Path) -> bytes:
    stream = io.BytesIO()
    writer = BackupWriter(stream, HEADER)
    assert writer.add_pieces("databases/shipline", [b"one", b"two"]) == 6
    for path in sorted(home.rglob("*")):
        writer.add_path(f"home/{path.relative_to(home)}", path)
    writer.close()
    return stream.getvalue()


def test_what_is_laid_is_what_was_copied(home: Path, tmp_path: Path) -> None:
    content = written(home)
    found = check_backup(io.BytesIO(content), "b")
    assert (found.header, read_header(io.BytesIO(content), "b")) == (HEADER, HEADER)
    lay_backup(io.BytesIO(content), "b", tmp_path / "laid")
    laid = tmp_path / "laid" / "home"
    assert (tmp_path / "laid" / "databases" / "shipline").read_bytes() == b"onetwo"
    assert told(laid) == told(home)
    assert sorted(path.name for path in (tmp_path / "laid").iterdir()) == ["databases", "home"]
    assert (laid / "store" / "text").stat().st_mtime == 1_700_000_000


def told(folder: Path) -> dict[str, tuple[str, bytes | str]]:
    """By name: the mode and the content or target of everything in a folder."""
    found: dict[str, tuple[str, bytes | str]] = {}
    for path in folder.rglob("*"):
        kind = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else b"" if path.is_dir() else path.read_bytes()
        found[str(path.relative_to(folder))] = (stat.filemode(kind.st_mode), content)
    return found


def test_an_ordinary_tar_reads_it(home: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(written(home))) as archive:
        names = archive.getnames()
        assert (names[0], names[-1]) == ("backup.json", "manifest.json")


def test_what_is_packed_already_is_stored_and_the_rest_is_packed() -> None:
    stream = io.BytesIO()
    packed = GzipMembers(stream)
    text = b"the same again\n" * 20_000
    for content in (text, NOISE, text):
        packed.suit(content[:65_536])
        packed.write(content)
    packed.suit(b"short")
    packed.close()
    assert gzip.decompress(stream.getvalue()) == text + NOISE + text
    assert packed.tell() == 2 * len(text) + len(NOISE)
    assert len(NOISE) < len(stream.getvalue()) < len(NOISE) + 20_000


def test_what_goes_or_is_no_file_is_left_out(home: Path) -> None:
    stream = io.BytesIO()
    writer = BackupWriter(stream, HEADER)
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{short}/socket")
        writer.add_path("home/socket", Path(short, "socket"))
    writer.add_path("home/gone", home / "gone")
    writer.close()
    assert check_backup(io.BytesIO(stream.getvalue()), "b").members == 1


def test_a_log_that_is_cut_meanwhile_is_copied_as_long_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 10)

    def cut(descriptor: int) -> os.stat_result:
        found = os.stat(descriptor)
        os.truncate(log, 4)
        return found

    stream = io.BytesIO()
    writer = BackupWriter(stream, HEADER)
    monkeypatch.setattr("delivery.adapters.backup_writer.os.fstat", cut)
    writer.add_path("home/log", log)
    writer.close()
    monkeypatch.undo()
    lay_backup(io.BytesIO(stream.getvalue()), "b", tmp_path / "laid")
    assert (tmp_path / "laid" / "home" / "log").read_bytes() == b"xxxx\0\0\0\0\0\0"


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_a_backup_that_is_cut_short_is_refused(home: Path, kept: float) -> None:
    content = written(home)
    with pytest.raises(ConfigurationError, match=r"cut short|damaged|no backup of Shipline"):
        check_backup(io.BytesIO(content[: int(kept * len(content))]), "b")


def test_a_backup_with_one_other_bit_is_refused(home: Path) -> None:
    content = written(home)
    for at in range(0, len(content), len(content) // 97):
        altered = bytearray(content)
        altered[at] ^= 4
        try:
            found = check_backup(io.BytesIO(bytes(altered)), "b")
        except ConfigurationError:
            continue
        assert found == check_backup(io.BytesIO(content), "b"), "a bit that means nothing"
        assert at < 10, "only gzip's own header has any"


def changed(home: Path, change: Callable[[str, bytes], Iterator[tuple[str, bytes]]]) -> io.BytesIO:
    """A backup whose members somebody has changed, packed anew so that no checksum of gzip's tells."""
    stream = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(written(home))) as old,
        tarfile.open(fileobj=stream, mode="w:gz") as new,
    ):
        for entry in old:
            content = old.extractfile(entry)
            for name, text in change(entry.name, content.read() if content else b""):
                entry.name, entry.size = name, len(text) if entry.isreg() else 0
                new.addfile(entry, io.BytesIO(text))
    stream.seek(0)
    return stream


def test_content_that_somebody_has_changed_is_refused(home: Path) -> None:
    def other_key(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
        yield name, b"SECRET" if name.endswith("key") else content

    def no_key(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
        if not name.endswith("key"):
            yield name, content

    def one_more(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
        yield name, content
        if name == "manifest.json":
            yield "home/more", b"more"

    for change in (other_key, no_key, one_more):
        with pytest.raises(ConfigurationError, match="the backup is damaged"):
            check_backup(changed(home, change), "b")


@pytest.mark.parametrize("name", ["home/../../etc/passwd", "/etc/passwd", "elsewhere/file", "home"])
def test_no_member_leads_out_of_the_home(home: Path, name: str) -> None:
    def renamed(old: str, content: bytes) -> Iterator[tuple[str, bytes]]:
        if old == "manifest.json":
            manifest = json.loads(content)
            manifest[name] = manifest.pop("home/store/text")
            content = json.dumps(manifest).encode()
        yield name if old == "home/store/text" else old, content

    with pytest.raises(ConfigurationError, match="is no part of one"):
        check_backup(changed(home, renamed), "b")


def test_something_else_is_no_backup(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as other:
        other.addfile(tarfile.TarInfo("backup.json"))
    for content in (b"", b"text", gzip.compress(b"text"), archive.getvalue()):
        for read in (check_backup, read_header):
            with pytest.raises(ConfigurationError, match="reading x: it is no backup of Shipline"):
                read(io.BytesIO(content), "x")
    assert list(tmp_path.iterdir()) == []
