"""What a work tree holds, judged by the files that every ecosystem has: its parts, their tests, their services."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from shipline.project_folder import (
    NOT_OURS,
    Folder,
    FoundService,
    FoundStep,
    Language,
    Part,
    entries,
    free,
    slug,
    text_of,
)
from shipline.python_part import python_part

_LANGUAGES: tuple[Language, ...] = ("python", "go", "node")
_MARKERS: dict[str, Language] = {
    "pyproject.toml": "python",
    "requirements.txt": "python",
    "setup.py": "python",
    "setup.cfg": "python",
    "manage.py": "python",
    "go.mod": "go",
    "package.json": "node",
}
_DEPTH = 2
_MOST_PARTS = 12


def parts_of(tree: Path) -> tuple[Part, ...]:
    """The parts of a work tree, in order of their folders; the first language of a folder has its services."""
    found = sorted(_marked(tree), key=lambda one: (one[0] != ".", one[0], _LANGUAGES.index(one[1])))[:_MOST_PARTS]
    folders = {folder for folder, _ in found}
    parts: list[Part] = []
    for folder, language in found:
        name = free(_part_name(tree, folder), {part.name for part in parts}, language)
        services = {service.name for part in parts for service in part.services}
        part = _part(Folder(tree, folder, name, folders - {folder}, services), language)
        taken = any(one.services and one.folder == folder for one in parts)
        parts.append(replace(part, services=(), shared=()) if taken else part)
    return tuple(parts)


def make_target(tree: Path, target: str) -> bool:
    """Whether the work tree has a Makefile with such a target."""
    return re.search(rf"^{target}\s*:(?!=)", text_of(tree / "Makefile"), re.MULTILINE) is not None


def _marked(tree: Path) -> Iterator[tuple[str, Language]]:
    """(folder, language) of every folder with a marker, two levels deep."""
    for folder in _folders(tree, _DEPTH):
        languages = {_MARKERS[name] for name in _MARKERS if (folder / name).is_file()}
        for language in languages:
            yield folder.relative_to(tree).as_posix(), language


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    yield folder
    if depth:
        for inner in entries(folder):
            if inner.is_dir() and not inner.is_symlink() and inner.name not in NOT_OURS:
                yield from _folders(inner, depth - 1)


def _part_name(tree: Path, folder: str) -> str:
    return slug(tree.resolve().name if folder == "." else Path(folder).name)


def _part(folder: Folder, language: Language) -> Part:
    match language:
        case "python":
            return python_part(folder)
        case "go":
            return _go(folder)
        case "node":
            return _node(folder)


_GO_CACHES = (
    "# Kept between runs: without them each step compiles the standard library anew.",
    'export GOCACHE="${SHIPLINE_TOOL_CACHE:-$HOME/.cache}/go-build" GOFLAGS=-modcacherw',
    'export GOMODCACHE="${SHIPLINE_TOOL_CACHE:-$HOME/.cache}/go-mod"',
)


def _go(folder: Folder) -> Part:
    steps = (
        FoundStep("lint", folder.commands(*_GO_CACHES, "go vet ./..."), tools=("go",)),
        FoundStep("unit", folder.commands(*_GO_CACHES, "go test ./..."), tools=("go",)),
    )
    commands = [one for one in _programs(folder.here / "cmd") if (one / "main.go").is_file()]
    if commands:
        shared = tuple(path for path in _go_shared(folder) if path not in folder.others)
        services = tuple(_go_command(folder, one) for one in commands)
        return Part(folder.name, folder.folder, "go", steps, services, shared)
    found = (_go_service(folder, folder.name, ".", folder.paths()),) if folder.has("main.go") else ()
    return Part(folder.name, folder.folder, "go", steps, found)


def _go_command(folder: Folder, program: Path) -> FoundService:
    """The service of a folder below `cmd`."""
    path = f"cmd/{program.name}"
    return _go_service(folder, slug(program.name), f"./{path}", (folder.inside(path),))


def _go_shared(folder: Folder) -> list[str]:
    left_out = {*NOT_OURS, "cmd", "shipline.yaml"} - {"vendor"}
    return [folder.inside(one.name) for one in entries(folder.here) if one.name not in left_out]


def _go_service(folder: Folder, name: str, package: str, paths: tuple[str, ...]) -> FoundService:
    service = free(name, folder.services, "go")
    output, target = folder.output(service)
    build = folder.commands(
        *_GO_CACHES, f"CGO_ENABLED=0 go build -trimpath -buildvcs=false -o {target}/{service} {package}"
    )
    return FoundService(service, paths, build, output, f"./{service}")


def _node(folder: Folder) -> Part:
    scripts = _node_scripts(folder.text("package.json"))
    install = "npm ci" if folder.has("package-lock.json") else "npm install"
    kinds: tuple[tuple[Literal["lint", "unit"], str], ...] = (("lint", "lint"), ("unit", "test"))
    steps = tuple(
        FoundStep(kind, folder.commands(install, f"npm run {script}"), tools=("node", "npm"))
        for kind, script in kinds
        if script in scripts and "no test specified" not in scripts[script]
    )
    services = (_node_service(folder, install, scripts),) if "start" in scripts else ()
    return Part(folder.name, folder.folder, "node", steps, services)


def _node_service(folder: Folder, install: str, scripts: dict[str, str]) -> FoundService:
    name = free(folder.name, folder.services, "node")
    output, target = folder.output(name)
    # npm makes no node_modules where nothing is needed.
    lines = [install, "npm prune --omit=dev", f"mkdir -p {target} node_modules"]
    lines.append(f"cp -R {folder.copied()} node_modules {target}/")
    if "build" in scripts:
        lines.insert(1, "npm run build")
        lines.append(f'for made in dist build; do if [ -d "$made" ]; then cp -R "$made" {target}/; fi; done')
    return FoundService(name, folder.paths(), folder.commands(*lines), output, "npm start")


def _programs(folder: Path) -> list[Path]:
    return [one for one in entries(folder) if one.is_dir()][:_MOST_PARTS] if folder.is_dir() else []


def _node_scripts(text: str) -> dict[str, str]:
    """The scripts of a package.json; none when it cannot be read."""
    try:
        scripts = json.loads(text).get("scripts", {})
        return {str(name): str(command) for name, command in scripts.items()}
    except (ValueError, AttributeError, RecursionError):
        return {}
