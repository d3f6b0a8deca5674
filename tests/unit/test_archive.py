"""One tree is one archive under every locale and Python, comes out as it was, and reaches nothing outside."""

import io
import os
import stat
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from delivery.archive import extract_archive, members_below, write_archive
from delivery.errors import PermanentError

NAMES = ["ä☃".encode(), b"latin-\xe9"]
"""The second is no UTF-8."""
PACK_AND_UNPACK = """
import sys
from pathlib import Path
from delivery.archive import extract_archive, members_below, write_archive
tree, packed, out = map(Path, sys.argv[1:])
with packed.open("wb") as stream:
    write_archive(tree, members_below(tree), stream)
with packed.open("rb") as stream:
    extract_archive(stream, out)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    for name in NAMES:
        place = folder / os.fsdecode(name)
        place.mkdir(parents=True)
        (place / os.fsdecode(name)).write_bytes(name)
        (place / os.fsdecode(b"link-" + name)).symlink_to(os.fsdecode(name))
    return folder


def seen(folder: Path) -> list[tuple[bytes, bytes]]:
    """Names and the content that is found under them."""
    found = ((path.relative_to(folder), path.read_bytes() if path.is_file() else b"") for path in members_below(folder))
    return sorted((os.fsencode(name), content) for name, content in found)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_tree_is_the_same_archive_and_comes_out_the_same_under_every_locale(
    tree: Path, tmp_path: Path, locale: str
) -> None:
    here = tmp_path / "here.tar"
    with here.open("wb") as stream:
        write_archive(tree, members_below(tree), stream)
    there, out = tmp_path / "there.tar", tmp_path / "out"
    environment = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", PACK_AND_UNPACK, tree, there, out], env=environment, check=True)
    assert there.read_bytes() == here.read_bytes()
    assert seen(out) == seen(tree)


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, link, mode
    made.uid, made.gid, made.uname = 12345, 12345, "nobody"
    return made


def unpack(folder: Path, *entries: tarfile.TarInfo) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for one in entries:
            archive.addfile(one)
    packed.seek(0)
    extract_archive(packed, folder)


HOSTILE = {
    "absolute": ([entry("/tmp/absolute")], "unpacking /tmp/absolute: it leads out of the folder"),
    "above": ([entry("a/../../above")], "unpacking a/../../above: it leads out of the folder"),
    "link to above": (
        [entry("link", tarfile.SYMTYPE, "../above")],
        "unpacking link: the link leads out of the folder, to '../above'",
    ),
    "absolute link": (
        [entry("link", tarfile.SYMTYPE, "/etc/passwd")],
        "unpacking link: the link leads out of the folder, to '/etc/passwd'",
    ),
    "chain of links": (
        [entry("deep/up", tarfile.SYMTYPE, ".."), entry("out", tarfile.SYMTYPE, "deep/up/..")],
        "unpacking out: the link leads out of the folder, to 'deep/up/..'",
    ),
    "hard link": (
        [entry("hard", tarfile.LNKTYPE, "other")],
        "unpacking hard: it is neither a file, a folder nor a link",
    ),
    "pipe": ([entry("pipe", tarfile.FIFOTYPE)], "unpacking pipe: it is neither a file, a folder nor a link"),
    "device": ([entry("device", tarfile.CHRTYPE)], "unpacking device: it is neither a file, a folder nor a link"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_reaches_outside_or_is_no_content_is_not_unpacked(tmp_path: Path, case: str) -> None:
    entries, said = HOSTILE[case]
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(PermanentError) as refused:
        unpack(folder, *entries)
    assert refused.value.message == said
    assert list(tmp_path.iterdir()) == [folder]


def test_a_link_that_stands_there_is_no_way_out(tmp_path: Path) -> None:
    """Outputs of steps are laid over what is there."""
    folder, outside = tmp_path / "out", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / "there").symlink_to(outside)
    with pytest.raises(PermanentError, match="unpacking there/file: it leads out of the folder"):
        unpack(folder, entry("there/file"))
    assert list(outside.iterdir()) == []


def test_what_comes_out_is_ours_without_special_rights_and_of_now(tmp_path: Path) -> None:
    before = int(time.time())
    unpack(tmp_path, entry("tool", mode=0o6777), entry("text", mode=0o466), entry("folder", tarfile.DIRTYPE, mode=0))
    found = {path.name: path.lstat() for path in tmp_path.iterdir()}
    modes = {name: stat.S_IMODE(one.st_mode) for name, one in found.items()}
    assert modes == {"tool": 0o755, "text": 0o644, "folder": 0o755}
    assert {(one.st_uid, one.st_gid) for one in found.values()} == {(os.getuid(), os.getgid())}
    assert all(one.st_mtime >= before for one in found.values())


def test_nothing_is_asked_of_the_standard_library_that_only_later_pythons_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian 12 has Python 3.11.2; filters of tarfile came with 3.11.4."""
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    real = tarfile.TarFile.extract

    def extract(
        archive: tarfile.TarFile, member: tarfile.TarInfo, path: str = "", *, numeric_owner: bool = False
    ) -> None:
        real(archive, member, path, numeric_owner=numeric_owner)

    monkeypatch.setattr(tarfile.TarFile, "extract", extract)
    unpack(tmp_path, entry("file"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
