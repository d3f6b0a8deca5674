"""How a Python project is started, by what it says itself, its application objects, and its programs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipline.project_folder import NOT_OURS, Folder, entries, text_of

_SCRIPTS = ("app", "main", "server", "wsgi", "asgi")
_MODULES = ("main", "app", "asgi", "wsgi", "server", "api", "application", "__init__")
_NO_PACKAGES = NOT_OURS | {"tests", "test", "docs", "examples", "scripts", "src"}
_SERVERS = ("gunicorn", "uvicorn", "flask", "hypercorn", "daphne", "waitress")
_ASGI = re.compile(
    r"^(?:(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)*(?:FastAPI|Starlette|Quart|Litestar|get_asgi_application)\("
    r"|async def (app|application)\()",
    re.MULTILINE,
)
_WSGI = re.compile(
    r"^(?:(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)*(?:Flask|Bottle|get_wsgi_application)\(|def (app|application)\()",
    re.MULTILINE,
)
# A server is named by a requirement, or comes with one.
_NAMED = {
    "uvicorn": re.compile(r"\buvicorn\b|\bfastapi\[(?:standard|all)\]", re.IGNORECASE),
    "hypercorn": re.compile(r"\bhypercorn\b", re.IGNORECASE),
    "gunicorn": re.compile(r"\bgunicorn\b", re.IGNORECASE),
    "waitress": re.compile(r"\bwaitress\b", re.IGNORECASE),
    "flask": re.compile(r"\bflask\b", re.IGNORECASE),
}
_COMMANDS = {
    "uvicorn": "uvicorn {app} --host 127.0.0.1 --port {{port}}",
    "hypercorn": "hypercorn {app} --bind 127.0.0.1:{{port}}",
    "gunicorn": "gunicorn {app} --bind 127.0.0.1:{{port}}",
    "waitress": "waitress --listen=127.0.0.1:{{port}} {app}",
    "flask": "flask --app {app} run --host 127.0.0.1 --port {{port}}",
}


@dataclass(frozen=True, slots=True)
class _Application:
    """An application object of a module."""

    module: str
    name: str
    servers: tuple[str, ...]
    """Those that can serve it, the first named one is taken."""


def python_start(folder: Folder, project: dict[str, Any], needs: str) -> str:
    """The command, or nothing when it looks like a library; `needs` is every text that names a requirement."""
    return (
        _by_procfile(folder)
        or _by_server(folder, needs)
        or _by_manage(folder)
        or _by_script(folder)
        or _by_main(folder)
        or _by_entry(project)
    )


def _by_procfile(folder: Folder) -> str:
    found = re.search(r"^web:[ \t]*(\S.*)$", folder.text("Procfile"), re.MULTILINE)
    if not found or not found.group(1).isprintable():
        return ""
    command = found.group(1).strip()
    return f"python3 -m {command}" if command.split()[0] in _SERVERS else command


def _by_server(folder: Folder, needs: str) -> str:
    """An application object by the server that the requirements name: its own file would often start nothing."""
    for one in _applications(folder):
        server = next((server for server in one.servers if _NAMED[server].search(needs)), "")
        if server:
            return "python3 -m " + _COMMANDS[server].format(app=f"{one.module}:{one.name}")
    return ""


def _applications(folder: Folder) -> Iterator[_Application]:
    for module, path in _modules(folder):
        text = text_of(path)
        if found := _ASGI.search(text):
            yield _Application(module, found.group(1) or found.group(2), ("uvicorn", "hypercorn"))
        elif found := _WSGI.search(text):
            servers = ("gunicorn", "waitress", "flask") if "Flask(" in text else ("gunicorn", "waitress")
            yield _Application(module, found.group(1) or found.group(2), servers)


def _modules(folder: Folder) -> Iterator[tuple[str, Path]]:
    """The likely modules: of the folder and `src`, then of the packages there."""
    for root in (folder.here, folder.here / "src"):
        yield from ((name, root / f"{name}.py") for name in _MODULES[:-1])
    for package in _packages(folder):
        for name in _MODULES:
            module = package.name if name == "__init__" else f"{package.name}.{name}"
            yield module, package / f"{name}.py"


def _packages(folder: Folder) -> Iterator[Path]:
    """Of the folder and its `src`, without what is another part's."""
    own = set(folder.own())
    source = folder.here / "src"
    found = [one for one in entries(folder.here) if one.name in own]
    found += entries(source) if source.name in own and source.is_dir() else []
    yield from (one for one in found if one.is_dir() and one.name.isidentifier() and one.name not in _NO_PACKAGES)


def _by_manage(folder: Folder) -> str:
    return "python3 manage.py runserver --noreload 127.0.0.1:{port}" if folder.has("manage.py") else ""


def _by_script(folder: Folder) -> str:
    paths = (f"{place}{name}.py" for place in ("", "src/") for name in _SCRIPTS)
    return next((f"python3 {path}" for path in paths if folder.has(path)), "")


def _by_main(folder: Folder) -> str:
    return next((f"python3 -m {one.name}" for one in _packages(folder) if (one / "__main__.py").is_file()), "")


def _by_entry(project: dict[str, Any]) -> str:
    """A script of the project, named like it if one is; by what it calls, for its own file would name this machine."""
    table = project.get("project")
    scripts = table.get("scripts") if isinstance(table, dict) else None
    if not isinstance(table, dict) or not isinstance(scripts, dict) or not scripts:
        return ""
    found = re.fullmatch(r"([\w.]+)\s*:\s*(\w+)", str(scripts.get(table.get("name"), next(iter(scripts.values())))))
    return f'python3 -c "import sys; from {found[1]} import {found[2]} as main; sys.exit(main())"' if found else ""
