"""What a work tree holds, judged by the files that every ecosystem has: its parts, their tests, their services."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

Language = Literal["python", "go", "node"]

_LANGUAGES: tuple[Language, ...] = ("python", "go", "node")
_MARKERS: dict[str, Language] = {
    "pyproject.toml": "python",
    "requirements.txt": "python",
    "setup.py": "python",
    "setup.cfg": "python",
    "go.mod": "go",
    "package.json": "node",
}
_NOT_OURS = frozenset(
    {"node_modules", "vendor", "venv", "env", "dist", "build", "target", "testdata", "site-packages", "artifact"}
)
_PYTHON_STARTS = ("app.py", "main.py", "server.py", "wsgi.py", "asgi.py")
_PYTHON_SERVERS = ("gunicorn", "uvicorn", "flask", "hypercorn", "daphne")
_DEPTH = 2
_LARGEST_FILE = 200_000
_MOST_PARTS = 12
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


def parts_of(tree: Path) -> tuple[Part, ...]:
    """The parts of a work tree, in order of their folders; the first language of a folder has its services."""
    found = sorted(_marked(tree), key=lambda one: (one[0] != ".", one[0], _LANGUAGES.index(one[1])))[:_MOST_PARTS]
    folders = {folder for folder, _ in found}
    parts: list[Part] = []
    for folder, language in found:
        name = _free(_part_name(tree, folder), {part.name for part in parts}, language)
        services = {service.name for part in parts for service in part.services}
        part = _Finder(tree, folder, name, folders - {folder}, services).part(language)
        taken = any(one.services and one.folder == folder for one in parts)
        parts.append(replace(part, services=(), shared=()) if taken else part)
    return tuple(parts)


def slug(text: str) -> str:
    """A name that the configuration allows, and that YAML takes for a text."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower())[:30].strip("-") or "app"
    return name if name[0].isalpha() and name not in {"true", "false", "null"} else f"app-{name}"


def make_target(tree: Path, target: str) -> bool:
    """Whether the work tree has a Makefile with such a target."""
    return re.search(rf"^{target}\s*:(?!=)", _text(tree / "Makefile"), re.MULTILINE) is not None


def _marked(tree: Path) -> Iterator[tuple[str, Language]]:
    """(folder, language) of every folder with a marker, two levels deep."""
    for folder in _folders(tree, _DEPTH):
        languages = {_MARKERS[name] for name in _MARKERS if (folder / name).is_file()}
        for language in languages:
            yield folder.relative_to(tree).as_posix(), language


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    yield folder
    if depth:
        for inner in _entries(folder):
            if inner.is_dir() and not inner.is_symlink() and inner.name not in _NOT_OURS:
                yield from _folders(inner, depth - 1)


def _entries(folder: Path) -> list[Path]:
    """What stands in a folder and can be named in a pattern, in order."""
    return sorted(one for one in folder.iterdir() if one.name[0] not in "._" and _PLAIN_PATH.fullmatch(one.name))


def _part_name(tree: Path, folder: str) -> str:
    return slug(tree.resolve().name if folder == "." else Path(folder).name)


def _free(name: str, used: set[str], suffix: str) -> str:
    """The name, or with a suffix, or with the first number that nobody has."""
    names = (name, f"{name[:30]}-{suffix}", *(f"{name[:30]}-{number}" for number in range(2, 100)))
    return next(one for one in names if one not in used)


def _text(path: Path) -> str:
    """A small file's text; empty when there is none."""
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(_LARGEST_FILE)


@dataclass(frozen=True, slots=True)
class _Finder:
    """Looks at one folder of the work tree."""

    tree: Path
    folder: str
    name: str
    others: set[str]
    """Folders that belong to other parts."""
    services: set[str]
    """Names that are taken."""

    @property
    def here(self) -> Path:
        return self.tree / self.folder

    def part(self, language: Language) -> Part:
        match language:
            case "python":
                return self._python()
            case "go":
                return self._go()
            case "node":
                return self._node()

    def _paths(self) -> tuple[str, ...]:
        """The part's folder, or what no other part has of it."""
        prefix = "" if self.folder == "." else f"{self.folder}/"
        inner = {other.removeprefix(prefix).split("/")[0] for other in self.others if other.startswith(prefix)} - {"."}
        if not inner:
            return (self.folder,)
        names = [one.name for one in _entries(self.here) if one.name not in {*inner, *_NOT_OURS, "shipline.yaml"}]
        return tuple(f"{prefix}{name}" for name in names)

    def _inside(self, *lines: str) -> str:
        """Shell lines run in the part's folder."""
        return "\n".join(lines if self.folder == "." else (f'cd "{self.folder}"', *lines))

    def _output(self, service: str) -> tuple[str, str]:
        """The artifact's folder: from the checkout's root, and from the part's folder."""
        up = "" if self.folder == "." else "../" * len(Path(self.folder).parts)
        return f"artifact/{service}", f"{up}artifact/{service}"

    def _in_folder(self, path: str) -> str:
        return path if self.folder == "." else f"{self.folder}/{path}"

    def _python(self) -> Part:
        install = self._python_requirements()
        steps = [FoundStep("lint", self._inside("python3 -m compileall -q ."), tools=("python3",))]
        if self._has_pytest():
            command = self._inside(
                "python3 -m venv .venv",
                f".venv/bin/pip install --quiet {install} pytest".replace("  ", " "),
                ".venv/bin/python -m pytest --junitxml=report.xml",
            )
            steps.append(FoundStep("unit", command, self._in_folder("report.xml"), ("python3",)))
        elif self._python_tests():
            start = " -s tests -t ." if (self.here / "tests").is_dir() else ""
            steps.append(FoundStep("unit", self._inside(f"python3 -m unittest discover{start}"), tools=("python3",)))
        start = self._python_start()
        services = (self._python_service(start, install),) if start else ()
        return Part(self.name, self.folder, "python", tuple(steps), services)

    def _python_requirements(self) -> str:
        if (self.here / "requirements.txt").is_file():
            return "-r requirements.txt"
        installable = (self.here / "setup.py").is_file() or "[build-system]" in _text(self.here / "pyproject.toml")
        return "." if installable else ""

    def _has_pytest(self) -> bool:
        names = ("pyproject.toml", "requirements.txt", "requirements-dev.txt", "setup.cfg", "setup.py", "tox.ini")
        named = any("pytest" in _text(self.here / name) for name in names)
        return named or any((self.here / name).is_file() for name in ("pytest.ini", "conftest.py", "tests/conftest.py"))

    def _python_tests(self) -> bool:
        folders = (self.here, self.here / "tests")
        return any(folder.is_dir() and any(folder.glob("test*.py")) for folder in folders)

    def _python_start(self) -> str:
        found = re.search(r"^web:[ \t]*(\S.*)$", _text(self.here / "Procfile"), re.MULTILINE)
        if found and found.group(1).isprintable():
            command = found.group(1).strip()
            return f"python3 -m {command}" if command.split()[0] in _PYTHON_SERVERS else command
        return next((f"python3 {name}" for name in _PYTHON_STARTS if (self.here / name).is_file()), "")

    def _python_service(self, start: str, install: str) -> FoundService:
        name = _free(self.name, self.services, "python")
        output, target = self._output(name)
        files = [one.name for one in _entries(self.here) if one.name not in _NOT_OURS]
        sources = " ".join(
            f'"{name}"' for name in files if name != "tests" and self._in_folder(name) not in self.others
        )
        lines = [f"mkdir -p {target}", f"cp -R {sources} {target}/"]
        if install:
            lines.insert(1, f"python3 -m pip install --quiet --no-compile --target {target} {install}")
        environment = (("PYTHONPATH", "."), ("PYTHONDONTWRITEBYTECODE", "1"))
        return FoundService(name, self._paths(), self._inside(*lines), output, start, environment)

    def _go(self) -> Part:
        steps = (
            FoundStep("lint", self._inside("go vet ./..."), tools=("go",)),
            FoundStep("unit", self._inside("go test ./..."), tools=("go",)),
        )
        commands = [one for one in _programs(self.here / "cmd") if (one / "main.go").is_file()]
        if commands:
            shared = tuple(path for path in self._go_shared() if path not in self.others)
            return Part(self.name, self.folder, "go", steps, tuple(map(self._go_command, commands)), shared)
        if (self.here / "main.go").is_file():
            return Part(self.name, self.folder, "go", steps, (self._go_service(self.name, ".", self._paths()),))
        return Part(self.name, self.folder, "go", steps, ())

    def _go_command(self, folder: Path) -> FoundService:
        """The service of a folder below `cmd`."""
        path = f"cmd/{folder.name}"
        return self._go_service(slug(folder.name), f"./{path}", (self._in_folder(path),))

    def _go_shared(self) -> list[str]:
        left_out = {*_NOT_OURS, "cmd", "shipline.yaml"} - {"vendor"}
        return [self._in_folder(one.name) for one in _entries(self.here) if one.name not in left_out]

    def _go_service(self, name: str, package: str, paths: tuple[str, ...]) -> FoundService:
        free = _free(name, self.services, "go")
        output, target = self._output(free)
        build = self._inside(f"CGO_ENABLED=0 go build -trimpath -buildvcs=false -o {target}/{free} {package}")
        return FoundService(free, paths, build, output, f"./{free}")

    def _node(self) -> Part:
        scripts = _node_scripts(_text(self.here / "package.json"))
        install = "npm ci" if (self.here / "package-lock.json").is_file() else "npm install"
        kinds: tuple[tuple[Literal["lint", "unit"], str], ...] = (("lint", "lint"), ("unit", "test"))
        steps = tuple(
            FoundStep(kind, self._inside(install, f"npm run {script}"), tools=("node", "npm"))
            for kind, script in kinds
            if script in scripts and "no test specified" not in scripts[script]
        )
        services = (self._node_service(install, scripts),) if "start" in scripts else ()
        return Part(self.name, self.folder, "node", steps, services)

    def _node_service(self, install: str, scripts: dict[str, str]) -> FoundService:
        name = _free(self.name, self.services, "node")
        output, target = self._output(name)
        files = [one.name for one in _entries(self.here) if one.name not in {*_NOT_OURS, "tests", "test"}]
        sources = " ".join(f'"{one}"' for one in files if self._in_folder(one) not in self.others)
        lines = [install, "npm prune --omit=dev", f"mkdir -p {target}", f"cp -R {sources} node_modules {target}/"]
        if "build" in scripts:
            lines.insert(1, "npm run build")
            lines.append(f'for made in dist build; do if [ -d "$made" ]; then cp -R "$made" {target}/; fi; done')
        return FoundService(name, self._paths(), self._inside(*lines), output, "npm start")


def _programs(folder: Path) -> list[Path]:
    return [one for one in _entries(folder) if one.is_dir()][:_MOST_PARTS] if folder.is_dir() else []


def _node_scripts(text: str) -> dict[str, str]:
    """The scripts of a package.json; none when it cannot be read."""
    try:
        scripts = json.loads(text).get("scripts", {})
        return {str(name): str(command) for name, command in scripts.items()}
    except (ValueError, AttributeError, RecursionError):
        return {}
