"""Every ArtifactStore: a tree goes in, the same tree comes out, and the digest is the tree's identity."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.adapters.oci_layout import OciLayoutStore
from delivery.archive import members_below
from delivery.artifact import Digest
from delivery.errors import PermanentError
from delivery.ports import ArtifactStore
from tests.fakes.artifact_store import InMemoryArtifactStore

NAME = "org.opencontainers.image.ref.name"


@pytest.fixture(params=["real", "fake"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    return OciLayoutStore(tmp_path / "oci") if request.param == "real" else InMemoryArtifactStore()


@pytest.fixture
def real(tmp_path: Path) -> OciLayoutStore:
    return OciLayoutStore(tmp_path / "oci")


def tree(folder: Path, *, reverse: bool = False) -> Path:
    """A folder with what artifacts hold: programs, data, empty folders, links, long and foreign names."""
    files = {"bin/serve": "#!/bin/sh\n", "data/a": "a" * 5000, "data/b": "", f"deep/{'n' * 120}/ä☃": "name"}
    for name in sorted(files, reverse=reverse):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(files[name])
    (folder / "bin/serve").chmod(0o755)
    (folder / "empty").mkdir()
    (folder / "bin/link").symlink_to("../data/a")
    return folder


def seen(folder: Path) -> dict[str, tuple[str, bool]]:
    """What matters of each path: its content or target, and whether it can be executed."""
    return {
        path.relative_to(folder).as_posix(): (
            str(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else "folder",
            path.is_file() and not path.is_symlink() and os.access(path, os.X_OK) and bool(path.stat().st_mode & 0o100),
        )
        for path in members_below(folder)
    }


def test_a_tree_comes_out_as_it_went_in(store: ArtifactStore, tmp_path: Path) -> None:
    folder = tree(tmp_path / "in")
    digest, size = store.pack(folder, {})
    assert size == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    assert store.has(digest)
    store.unpack(digest, tmp_path / "out")
    assert seen(tmp_path / "out") == seen(folder)


def test_place_order_umask_times_and_names_do_not_reach_the_digest(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = store.pack(tree(tmp_path / "one"), {NAME: "web-1"})
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    umask = os.umask(0o077)
    try:
        other = tree(tmp_path / "a different place" / "two", reverse=True)
        for path in members_below(other):
            os.utime(path, (1, 1_000_000_000), follow_symlinks=False)
        second, _ = store.pack(other, {NAME: "web-2", "built": "today"})
    finally:
        os.umask(umask)
        monkeypatch.undo()
        time.tzset()
    assert first == second


@pytest.mark.parametrize("change", ["content", "name", "mode", "link", "extra"])
def test_whatever_matters_changes_the_digest(store: ArtifactStore, tmp_path: Path, change: str) -> None:
    folder = tree(tmp_path / "in")
    before, _ = store.pack(folder, {})
    match change:
        case "content":
            (folder / "data/b").write_text("b")
        case "name":
            (folder / "data/b").rename(folder / "data/c")
        case "mode":
            (folder / "data/b").chmod(0o755)
        case "link":
            (folder / "bin/link").unlink()
            (folder / "bin/link").symlink_to("../data/b")
        case _:
            (folder / "another").mkdir()
    assert store.pack(folder, {})[0] != before


def test_what_is_not_there_is_said(store: ArtifactStore, tmp_path: Path) -> None:
    absent = Digest("sha256:" + "0" * 64)
    assert not store.has(absent)
    with pytest.raises(PermanentError, match=f"reading artifact {absent}"):
        store.unpack(absent, tmp_path / "out")
    with pytest.raises(PermanentError, match="there is no such folder"):
        store.pack(tmp_path / "gone", {})


def test_a_folder_with_something_in_it_is_left_alone(store: ArtifactStore, tmp_path: Path) -> None:
    digest, _ = store.pack(tree(tmp_path / "in"), {})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(PermanentError, match="is not empty"):
        store.unpack(digest, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "../..", "loop/../../.."])
def test_a_link_that_leads_out_is_refused(store: ArtifactStore, tmp_path: Path, target: str) -> None:
    folder = tree(tmp_path / "in")
    (folder / "bin/bad").symlink_to(target)
    with pytest.raises(PermanentError, match="bin/bad: the link leads out of the folder"):
        store.pack(folder, {})


def test_a_chain_of_links_that_leads_out_is_refused(store: ArtifactStore, tmp_path: Path) -> None:
    """Neither link leaves the folder by its own text."""
    folder = tree(tmp_path / "in")
    (folder / "deep" / "up").symlink_to("..")
    (folder / "out").symlink_to("deep/up/..")
    with pytest.raises(PermanentError, match="out: the link leads out"):
        store.pack(folder, {})


def test_a_socket_is_refused(store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tree(tmp_path / "in")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        with pytest.raises(PermanentError, match="packing s: it is neither a file, a folder nor a link"):
            store.pack(folder, {})


def blobs(root: Path) -> Iterator[Path]:
    return (root / "oci" / "blobs" / "sha256").iterdir()


def test_damage_anywhere_is_found(real: OciLayoutStore, tmp_path: Path) -> None:
    digest, _ = real.pack(tree(tmp_path / "in"), {})
    whole = tmp_path / "whole"
    shutil.copytree(tmp_path / "oci", whole)
    for blob in sorted(path.name for path in blobs(tmp_path)):
        place = tmp_path / "oci" / "blobs" / "sha256" / blob
        if b"diff_ids" in place.read_bytes():
            continue  # the image configuration: for other tools, not read by us
        place.write_bytes(place.read_bytes()[:-1] + b"!")
        with pytest.raises(PermanentError, match="damaged"):
            real.unpack(digest, tmp_path / "out")
        assert not real.has(digest)
        place.unlink()
        assert not real.has(digest)
        assert not (tmp_path / "out").exists()
        shutil.copyfile(whole / "blobs" / "sha256" / blob, place)
    real.unpack(digest, tmp_path / "out")


def test_packing_again_repairs_what_is_damaged(real: OciLayoutStore, tmp_path: Path) -> None:
    folder = tree(tmp_path / "in")
    digest, _ = real.pack(folder, {})
    for place in blobs(tmp_path):
        place.write_bytes(b"!" * place.stat().st_size)
    assert not real.has(digest)
    assert real.pack(folder, {})[0] == digest
    assert real.has(digest)
    real.unpack(digest, tmp_path / "out")
    assert seen(tmp_path / "out") == seen(folder)


def test_the_index_names_artifacts_and_a_name_moves_on(real: OciLayoutStore, tmp_path: Path) -> None:
    folder = tree(tmp_path / "in")
    first, _ = real.pack(folder, {NAME: "web", "by": "run 1"})
    real.pack(folder, {NAME: "web", "by": "run 2"})
    (folder / "data/b").write_text("b")
    second, _ = real.pack(folder, {NAME: "web"})
    index = json.loads((tmp_path / "oci" / "index.json").read_bytes())
    assert [(entry["digest"], entry["annotations"]) for entry in index["manifests"]] == [(second, {NAME: "web"})]
    assert real.has(first)


def test_writers_side_by_side_lose_no_entry(tmp_path: Path) -> None:
    def write(number: int) -> None:
        folder = tmp_path / f"tree{number}"
        folder.mkdir()
        (folder / "file").write_text(str(number))
        OciLayoutStore(tmp_path / "oci").pack(folder, {NAME: f"service-{number}"})

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    entries = json.loads((tmp_path / "oci" / "index.json").read_bytes())["manifests"]
    assert sorted(entry["annotations"][NAME] for entry in entries) == [f"service-{number}" for number in range(8)]
    assert list((tmp_path / "oci").rglob(".new-*")) == []


def test_skopeo_reads_it(real: OciLayoutStore, tmp_path: Path) -> None:
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        pytest.skip("skopeo is not installed")
    digest, _ = real.pack(tree(tmp_path / "in"), {NAME: "web"})
    layout = f"oci:{tmp_path}/oci:web"
    told = subprocess.run([skopeo, "inspect", layout], capture_output=True, check=True)
    assert json.loads(told.stdout)["Digest"] == digest
    copied = f"oci:{tmp_path}/copy:web"
    subprocess.run([skopeo, "copy", "--insecure-policy", layout, copied], capture_output=True, check=True)
    OciLayoutStore(tmp_path / "copy").unpack(digest, tmp_path / "out")
    assert seen(tmp_path / "out") == seen(tmp_path / "in")
