"""One invocation: its shared options, its control plane and its project."""

import functools
import inspect
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from delivery.errors import ConfigurationError, DeliveryError, TransientError
from shipline.cli.errors import Interrupted, complain

if TYPE_CHECKING:
    from delivery.home import Home
    from shipline.cli.client import Address, Client

Given = ParamSpec("Given")

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
_Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
_Project = Annotated[
    str | None,
    typer.Option("--project", metavar="SLUG|DIR", help="The project; otherwise the git work tree you stand in."),
]
SHARED = {"as_json": (_Json, False), "debug": (_Debug, False), "project": (_Project, None)}


@dataclass(frozen=True)
class Session:
    """What every command knows besides its own arguments."""

    as_json: bool = False
    debug: bool = False
    project: str | None = None

    @functools.cached_property
    def home(self) -> "Home":
        """The installation this command is about."""
        from delivery.home import Home

        return Home.here()

    @functools.cached_property
    def api(self) -> "Client":
        """The control plane's client; the embedded one is started when none runs."""
        from shipline.cli.client import Client

        remote = os.environ.get("SHIPLINE_URL")
        return Client(lambda: _remote(remote)) if remote else Client(self._embedded, again=self._recorded)

    @functools.cached_property
    def tree(self) -> Path | None:
        """The work tree that is meant; None when the project is named by its slug."""
        if self.project and not _is_folder(self.project):
            return None
        return work_tree(Path(self.project) if self.project else Path.cwd())

    @functools.cached_property
    def slug(self) -> str:
        """The project's slug; a work tree is registered the first time."""
        if self.tree is None:
            return str(self.project)
        if os.environ.get("SHIPLINE_URL"):
            return str(self._elsewhere["slug"])
        return str(self.api.post("/projects", {"location": str(self.tree)})["slug"])

    @functools.cached_property
    def far(self) -> bool:
        """Whether the control plane reads the project from anywhere else than the work tree that is meant."""
        if self.tree is None or not os.environ.get("SHIPLINE_URL"):
            return False
        return bool(self._elsewhere["location"] != str(self.tree))

    def revision(self, name: str | None, *, dirty: bool = False) -> str | None:
        """What to call a revision, by default HEAD, so that the control plane takes it for what it is here."""
        from shipline.cli.remote import commit_here, refuse_dirty

        if self.tree is None or not self.far:
            return name
        if dirty:
            raise refuse_dirty(self.tree)
        return commit_here(self.tree, name or "HEAD")

    @functools.cached_property
    def _elsewhere(self) -> dict[str, Any]:
        from shipline.cli.remote import remote_project

        return remote_project(self.api, work_tree(Path(self.project) if self.project else Path.cwd()))

    def path(self, *parts: str) -> str:
        """A path of the API under the project."""
        from shipline.cli.client import segments

        return segments("projects", self.slug, *parts)

    def say(self, text: str = "") -> None:
        """People's words: on standard output, or on standard error when that is for a program."""
        place = sys.stderr if self.as_json else sys.stdout
        if place.isatty():
            from shipline.cli.output import for_terminal

            text = for_terminal(text)
        print(text, file=place, flush=True)

    def show(self, document: Any, render: Callable[[Any], None]) -> None:  # noqa: ANN401  # JSON
        """The command's result: as JSON, or as a person wants to read it."""
        from shipline.cli.output import emit

        emit(document) if self.as_json else render(document)

    def _embedded(self) -> "Address":
        from shipline.cli.client import Client

        recorded = recorded_address(self.home)
        if recorded:
            try:
                if Client(recorded, seconds=5).get("/health", {"memory": False}).get("ready"):
                    return recorded
            except DeliveryError:
                pass  # it was recorded and does not answer: start it
        return self._started()

    def _started(self) -> "Address":
        from shipline.control.lifecycle import up

        require_usable(self.home)
        complain(f"no control plane runs for {self.home.root}: starting it")
        up(self.home, complain)
        return self._recorded()

    def _recorded(self) -> "Address":
        """Where it listens now, without starting it: somebody may have stopped it on purpose."""
        recorded = recorded_address(self.home)
        if recorded is None:
            raise TransientError(
                f"looking for the control plane of {self.home.root}: it is stopped", hint="shipline up"
            )
        return recorded


def command(function: Callable[Concatenate[Session, Given], None], *, local: str | None = None) -> Callable[..., None]:
    """A typer callback of a function whose first argument is the session made from the shared options.

    `local` names a command that is about this machine always, for whoever might expect something else.
    """

    @functools.wraps(function)
    def callback(**given: Any) -> None:  # noqa: ANN401  # what typer read
        shared = {name: given.pop(name) for name in SHARED}
        if local and os.environ.get("SHIPLINE_URL"):
            complain(f"shipline {local} is about this machine: the control plane of SHIPLINE_URL is not asked")
        try:
            function(Session(**shared), **given)  # type: ignore[call-arg]
        except KeyboardInterrupt:  # typer would make an exit code of it that says nothing
            raise Interrupted("interrupted") from None

    own = list(inspect.signature(function).parameters.values())[1:]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in SHARED.items()
    ]
    callback.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    callback.__annotations__ = {one.name: one.annotation for one in (*own, *shared)}
    return callback


def work_tree(start: Path) -> Path:
    """The top of the git work tree that a folder lies in, or ConfigurationError."""
    start = start.expanduser().absolute()
    if not start.is_dir():
        raise ConfigurationError(f"looking for a git work tree at {start}: no such folder")
    for folder in (start, *start.parents):
        if (folder / ".git").exists():
            return folder
    raise ConfigurationError(
        f"looking for a git work tree at {start}: not a git repository",
        hint="go into one, make one with: git init, or name a project with: --project SLUG|DIR",
    )


def require_usable(home: "Home") -> None:
    """Make the home if it is not there; ConfigurationError when nothing can be kept in it."""
    from tempfile import TemporaryFile

    try:
        home.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with TemporaryFile(dir=home.root):
            pass
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        message = f"using the home {home.root}: {cause}"
        raise ConfigurationError(message, hint="set SHIPLINE_HOME to a folder that you may write") from error


def _is_folder(text: str) -> bool:
    return os.sep in text or text in {".", "..", "~"} or Path(text).is_dir()


def _remote(url: str) -> "Address":
    from shipline.cli.client import Address

    token = os.environ.get("SHIPLINE_TOKEN")
    if not token:
        raise ConfigurationError(
            f"reaching the control plane at {url}: SHIPLINE_TOKEN is not set",
            hint="set it to that control plane's token",
        )
    return Address(url, token)


def recorded_address(home: "Home") -> "Address | None":
    """Where this home's control plane said it listens; None when it never did."""
    from shipline.cli.client import Address

    try:
        url = json.loads(home.control_state.read_bytes())["url"]
        token = (home.credentials / "api-token").read_text().strip()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Address(url, token) if url else None
