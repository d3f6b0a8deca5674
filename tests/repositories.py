"""Real git repositories for tests, declared as a list of commits and made by one `git fast-import`."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

GIT_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Ada Lovelace",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "2026-01-05T12:00:00+00:00",
    "GIT_COMMITTER_NAME": "Ada Lovelace",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_COMMITTER_DATE": "2026-01-05T12:00:00+00:00",
}
FIRST_COMMIT_SECONDS = 1_767_614_400  # 2026-01-05T12:00:00Z; each further commit is a minute later


@dataclass(frozen=True, slots=True)
class Submodule:
    """The content of a path that is a commit of another repository."""

    commit: str


@dataclass(frozen=True, slots=True)
class Link:
    """The content of a path that is a symbolic link."""

    target: str


Content = str | bytes | Submodule | Link | None


@dataclass(frozen=True, slots=True)
class Made:
    """One commit: what it changes (None deletes), on which branch, and after what.

    A branch's first commit follows `after` (a label or branch); without it the branch has a history of its own.
    """

    files: Mapping[str, Content] = field(default_factory=dict)
    label: str = ""
    branch: str = "main"
    after: str = ""
    merges: str = ""
    tags: tuple[str, ...] = ()
    executable: frozenset[str] = frozenset()
    message: str = ""


@dataclass(slots=True)
class Repository:
    """A work tree in a test's folder; `ids` gives the full commit of each label, branch and tag."""

    folder: Path
    ids: dict[str, str] = field(default_factory=dict)

    def git(self, *arguments: str) -> str:
        """Run git there; what it prints, without the last newline."""
        return run_git(self.folder, *arguments)

    def commit(self, files: Mapping[str, Content], label: str = "", message: str = "a change") -> str:
        """Write the files in the work tree and commit everything; the full commit id."""
        for path, content in files.items():
            write(self.folder / path, content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        commit = self.git("rev-parse", "HEAD")
        self.ids[label or message] = commit
        return commit


def make_repository(
    tmp_path: Path, commits: Sequence[Made] = (Made({"README.md": "hello\n"}, label="first"),), name: str = "repository"
) -> Repository:
    """A repository with these commits, its work tree on `main` (or the first branch)."""
    folder = tmp_path / name
    folder.mkdir(parents=True)
    repository = Repository(folder)
    repository.git("init", "--quiet", "--initial-branch", commits[0].branch if commits else "main")
    if commits:
        _import(repository, commits)
        repository.git("reset", "--quiet", "--hard")
    return repository


def run_git(folder: Path, *arguments: str) -> str:
    """Run git with isolated configuration and fixed dates; raises with git's own words."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", "-C", str(folder), *arguments],
        capture_output=True,
        check=False,
        env={**inherited, **GIT_ENVIRONMENT},
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return done.stdout.decode(errors="backslashreplace").removesuffix("\n")


def write(path: Path, content: Content) -> None:
    """Put a content into a work tree; None removes the file."""
    if content is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Link):
        path.symlink_to(content.target)
    elif isinstance(content, str | bytes):
        path.write_bytes(_bytes(content))
    else:
        raise TypeError("a submodule is added with git submodule add")


def _import(repository: Repository, commits: Sequence[Made]) -> None:
    marks = repository.folder / ".git" / "marks"
    known: dict[str, int] = {}
    stream = bytearray()
    for mark, made in enumerate(commits, start=1):
        stream += _commit(mark, made, known)
        known |= {name: mark for name in (made.label, made.branch, *made.tags) if name}
    subprocess.run(
        ["git", "-C", str(repository.folder), "fast-import", "--quiet", f"--export-marks={marks}"],
        input=bytes(stream),
        check=True,
        env={**os.environ, **GIT_ENVIRONMENT},
    )
    by_mark = dict(line.split(" ") for line in marks.read_text().splitlines())
    repository.ids |= {name: by_mark[f":{mark}"] for name, mark in known.items()}


def _commit(mark: int, made: Made, known: Mapping[str, int]) -> bytes:
    moment = f"{FIRST_COMMIT_SECONDS + 60 * (mark - 1)} +0000"
    person = f"Ada Lovelace <ada@example.org> {moment}"
    parent = known.get(made.branch) or (known[made.after] if made.after else None)
    lines = [f"commit refs/heads/{made.branch}", f"mark :{mark}", f"author {person}", f"committer {person}"]
    head = "\n".join(lines).encode() + b"\n" + _data(made.message or made.label or f"commit {mark}")
    head += f"from :{parent}\n".encode() if parent else b""
    head += f"merge :{known[made.merges]}\n".encode() if made.merges else b""
    files = b"".join(_file(path, content, made) for path, content in made.files.items())
    return head + files + b"".join(_tag(tag, mark) for tag in made.tags)


def _file(path: str, content: Content, made: Made) -> bytes:
    quoted = b'"' + path.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
    if content is None:
        return b"D " + quoted + b"\n"
    if isinstance(content, Submodule):
        return f"M 160000 {content.commit} ".encode() + quoted + b"\n"
    if isinstance(content, Link):
        return b"M 120000 inline " + quoted + b"\n" + _data(content.target)
    mode = b"100755" if path in made.executable else b"100644"
    return b"M " + mode + b" inline " + quoted + b"\n" + _data(content)


def _tag(name: str, mark: int) -> bytes:
    return f"reset refs/tags/{name}\nfrom :{mark}\n\n".encode()


def _data(content: str | bytes) -> bytes:
    return b"data %d\n%s\n" % (len(_bytes(content)), _bytes(content))


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
