# ruff: noqa: INP001  # a script that stands alone, not part of a package
"""Build a git repository out of Kinto's published releases: a commit and a tag for each.

    python make_repository.py FOLDER 26.3.3 26.4.0 [--suite ci]

A later call with newer releases adds to the same repository. The releases come from the package index
as source distributions, checked against `releases.lock`; nothing of them is stored here.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
IDENTITY = ("-c", "user.name=Kinto's releases", "-c", "user.email=releases@example.org", "-c", "commit.gpgsign=false")


def main(arguments: list[str] | None = None) -> None:
    """Read the arguments and add each release."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("releases", nargs="+", metavar="RELEASE")
    parser.add_argument("--suite", choices=("all", "ci"), default="all", help="how much of Kinto's suite the step runs")
    asked = parser.parse_args(arguments)
    for release in asked.releases:
        add_release(asked.folder, release, asked.suite)


def add_release(folder: Path, release: str, suite: str = "all") -> str:
    """Commit and tag a release as the new content of the repository; gives the commit id."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    with tempfile.TemporaryDirectory() as downloads:
        source = download(release, Path(downloads))
        replace_content(folder, source)
    add_pipeline(folder, suite)
    git(folder, "add", "--all", "--force")
    git(folder, *IDENTITY, "commit", "--quiet", "--message", f"Kinto {release}")
    git(folder, "tag", f"v{release}")
    return git(folder, "rev-parse", "HEAD")


def download(release: str, folder: Path) -> Path:
    """The unpacked source distribution of a release, with its hash checked by pip."""
    pinned = [
        line for line in (HERE / "releases.lock").read_text().splitlines() if line.startswith(f"kinto=={release} ")
    ]
    if not pinned:
        sys.exit(f"release {release} is not in {HERE / 'releases.lock'}; add it with its hash")
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{pinned[0]}\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "kinto", "--require-hashes"]
    subprocess.run([*pip, "--requirement", str(wanted), "--dest", str(folder)], check=True)
    (archive,) = folder.glob("kinto-*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / f"kinto-{release}"


def replace_content(folder: Path, source: Path) -> None:
    """Make a work tree hold exactly what a folder holds."""
    for old in folder.iterdir():
        if old.name != ".git":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    shutil.copytree(source, folder, dirs_exist_ok=True)


def add_pipeline(folder: Path, suite: str) -> None:
    """Add how it is tested, built and run."""
    shutil.copytree(HERE / "deploy", folder / "deploy", ignore=shutil.ignore_patterns("shipline.yaml"))
    pipeline = (HERE / "deploy" / "shipline.yaml").read_text()
    (folder / "shipline.yaml").write_text(pipeline.replace("SUITE: all", f"SUITE: {suite}"))


def git(folder: Path, *arguments: str) -> str:
    """Run git there, without the caller's configuration; gives what it printed."""
    isolated = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    ran = subprocess.run(["git", *arguments], cwd=folder, env=isolated, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


if __name__ == "__main__":
    main()
