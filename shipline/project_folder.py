"""One folder of a work tree as `shipline init` sees it, and the words for what it finds there."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Language = Literal["python", "go", "node"]

NOT_OURS = frozenset(
    {"node_modules", "vendor", "venv", "env", "dist", "build", "target", "testdata", "site-packages", "artifact"}
)
_FOR_PEOPLE = (".md", ".rst")
_LARGEST_FILE = 200_000
_PLAIN_PATH = re.compile(r"[\w./+@ -]+")


@dataclass(frozen=True, slots=True)
class FoundService:
    """Something that can be started."""

    name: str
    paths: tuple[str, ...]
    build: str
    output: str
    start: str
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class FoundStep:
    """A command that tests a part."""

    kind: Literal["lint", "unit"]
    command: str
    junit: str = ""
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One folder of one language: its steps, and its services, if any."""

    name: str
    folder: str
    """Relative to the work tree; `.` is the work tree itself."""
    language: Language
    steps: tuple[FoundStep, ...]
    services: tuple[FoundService, ...]
    shared: tuple[str, ...] = ()
    """Paths that all of several services depend on."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A part's folder, and what its neighbours have taken."""

    tree: Path
    folder: str
    name: str
    others: set[str]
    """Folders that belong to other parts."""
    services: set[str]
    """Names that are taken."""

    @property
    def here(self) -> Path:
        """Where it is."""
        return self.tree / self.folder

    def text(self, name: str) -> str:
        """A small file's text; empty when there is none."""
        return text_of(self.here / name)

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.here / name).is_file()

    def paths(self) -> tuple[str, ...]:
        """The folder, or what no other part has of it."""
        return tuple(map(self.inside, self.own())) if self._inner() else (self.folder,)

    def own(self, *without: str) -> list[str]:
        """What stands here, can be copied and belongs to nobody else."""
        left_out = {*self._inner(), *NOT_OURS, "shipline.yaml", *without}
        return [one.name for one in entries(self.here) if one.name not in left_out]

    def copied(self) -> str:
        """All of that but the tests and what only people read, as words of a shell."""
        names = (name for name in self.own("tests", "test") if not name.endswith(_FOR_PEOPLE))
        return " ".join(f'"{name}"' for name in names)

    def commands(self, *lines: str) -> str:
        """Shell lines run in the folder."""
        return "\n".join(lines if self.folder == "." else (f'cd "{self.folder}"', *lines))

    def output(self, service: str) -> tuple[str, str]:
        """The artifact's folder: from the checkout's root, and from here."""
        up = "" if self.folder == "." else "../" * len(Path(self.folder).parts)
        return f"artifact/{service}", f"{up}artifact/{service}"

    def inside(self, path: str) -> str:
        """A path in the folder, from the checkout's root."""
        return path if self.folder == "." else f"{self.folder}/{path}"

    def _inner(self) -> set[str]:
        """What of this folder leads to another part."""
        prefix = "" if self.folder == "." else f"{self.folder}/"
        return {other.removeprefix(prefix).split("/")[0] for other in self.others if other.startswith(prefix)} - {"."}


def slug(text: str) -> str:
    """A name that the configuration allows, and that YAML takes for a text."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower())[:30].strip("-") or "app"
    return name if name[0].isalpha() and name not in {"true", "false", "null"} else f"app-{name}"


def free(name: str, used: set[str], suffix: str) -> str:
    """The name, or with a suffix, or with the first number that nobody has."""
    names = (name, f"{name[:30]}-{suffix}", *(f"{name[:30]}-{number}" for number in range(2, 100)))
    return next(one for one in names if one not in used)


def entries(folder: Path) -> list[Path]:
    """What stands in a folder and can be named in a pattern, in order."""
    return sorted(one for one in folder.iterdir() if one.name[0] not in "._" and _PLAIN_PATH.fullmatch(one.name))


def text_of(path: Path) -> str:
    """A small file's text; empty when there is none."""
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(_LARGEST_FILE)
