"""One tree is one archive under every locale, and comes out under the names that it had."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from delivery.archive import members_below, write_archive

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
