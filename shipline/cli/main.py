"""The command `shipline`: its table of commands, and how a call ends."""

import functools
import inspect
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from delivery.errors import DeliveryError
from shipline.cli.errors import (
    ERRORED,
    USAGE,
    Interrupted,
    complain,
    document_of,
    exit_code,
    unexpected,
    words_of,
)
from shipline.cli.session import command

COMMANDS = {
    "init": "configure:init",
    "check": "configure:check",
    "schema": "configure:schema",
    "plan": "plan:plan",
    "run": "run:run",
    "promote": "promote:promote",
    "approvals": "approve:approvals",
    "approve": "approve:approve",
    "reject": "approve:reject",
    "check-result": "check_result:check_result",
    "rollback": "promote:rollback",
    "retry": "promote:retry",
    "abort": "promote:abort",
    "hold": "promote:hold",
    "unhold": "promote:unhold",
    "status": "status:status",
    "history": "history:history",
    "logs": "logs:logs",
    "incidents": "incidents:incidents",
    "evidence": "evidence:evidence",
    "dora": "dora:dora",
    "up": "control:up",
    "down": "control:down",
    "backup": "backup:backup",
    "restore": "backup:restore",
    "doctor": "control:doctor",
    "tour": "control:tour",
}
LOCAL = frozenset({"init", "check", "schema", "up", "down", "backup", "restore", "doctor", "tour"})
"""About this machine and its home, wherever `SHIPLINE_URL` leads the others."""
GROUPS = {
    "cache": (
        "What is kept for reuse.",
        {"why": "cache:why", "stats": "cache:stats", "gc": "cache:gc"},
    ),
    "incident": ("Incidents.", {"close": "incidents:close"}),
    "ledger": (
        "The chain of entries.",
        {
            "verify": "ledger:verify",
            "rebuild": "ledger:rebuild",
            "reconcile": "ledger:reconcile",
            "export": "ledger:export",
            "import": "ledger:bring_in",
        },
    ),
    "people": (
        "Who may do what here, and how they prove who they are.",
        {
            "list": "people:show",
            "add": "people:add",
            "remove": "people:remove",
            "role": "people:role",
            "change": "people:change",
            "enroll": "enroll:enroll",
            "withdraw": "enroll:withdraw",
            "token": "enroll:token",
            "delegate": "enroll:delegate",
            "history": "people:history",
            "signers": "people:signers",
        },
    ),
    "policy": ("The policy in force and what is proposed.", {"": "policy:policy", "accept": "policy:accept"}),
    "project": ("Registered projects.", {"add": "project:add", "list": "project:show"}),
    "secret": ("Secrets by reference.", {"set": "secret:put", "list": "secret:show", "remove": "secret:remove"}),
}
"""`MODULE:FUNCTION` by name; the function without a name answers to the group itself."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code that says how it ended."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_call(given))


def application(words: Sequence[str] = ()) -> typer.Typer:
    """The typer application; of the modules only those are imported that a call with these words can need."""
    app = _group("Continuous delivery on Prefect: from a commit to production, on your own machine.")
    app.callback()(_root)
    named = next((word for word in words if not word.startswith("-")), "")
    only = {named} & {*COMMANDS, *GROUPS}
    for name, place in COMMANDS.items():
        if name in (only or COMMANDS):
            app.command(name)(command(load(place), local=name if name in LOCAL else None))
    for name, (about, members) in GROUPS.items():
        if name in (only or GROUPS):
            app.add_typer(_made_group(about, members), name=name)
    return app


def _group(about: str) -> typer.Typer:
    return typer.Typer(
        help=about,
        rich_markup_mode=None,  # plain help needs no rich, which costs as much as all the rest
        pretty_exceptions_enable=False,
        invoke_without_command=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )


def _made_group(about: str, members: dict[str, str]) -> typer.Typer:
    group = _group(f"{about}\n\n{_example(members)}")
    group.callback()(_by_itself(command(load(members[""]))) if "" in members else _help)
    for member, place in members.items():
        if member:
            group.command(member)(command(load(place)))
    return group


def _example(members: dict[str, str]) -> str:
    """The example of the group's first member, which is the group itself when that is a command too."""
    _, mark, example = (inspect.getdoc(load(next(iter(members.values())))) or "").partition("Example: ")
    return f"{mark}{example}"


def load(place: str) -> Callable[..., None]:
    """The function of a command, from `MODULE:FUNCTION`."""
    module, _, name = place.partition(":")
    loaded: Callable[..., None] = getattr(import_module(f"shipline.cli.{module}"), name)
    return loaded


def _help(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _by_itself(callback: Callable[..., None]) -> Callable[..., None]:
    """The callback of a group that is a command too: it does nothing when a member follows."""

    @functools.wraps(callback)
    def guarded(context: typer.Context, **given: Any) -> None:  # noqa: ANN401  # what typer read
        if context.invoked_subcommand is None:
            callback(**given)

    own = inspect.signature(callback).parameters.values()
    first = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    guarded.__signature__ = inspect.Signature([first, *own])  # type: ignore[attr-defined]
    guarded.__annotations__ = {"context": typer.Context, **callback.__annotations__}
    return guarded


def _root(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from importlib.metadata import PackageNotFoundError
        from importlib.metadata import version as installed

        try:
            typer.echo(f"shipline {installed('shipline')}")
        except PackageNotFoundError:
            typer.echo("shipline, from a source tree that is not installed")
    else:
        _help(context)


def _call(given: list[str]) -> int:
    debug, as_json = "--debug" in given, "--json" in given
    try:
        code = application(given)(given, prog_name="shipline", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except (KeyboardInterrupt, typer.Abort):
        return _report(Interrupted("interrupted"), as_json=as_json)
    except BrokenPipeError:
        # The reader had enough; Python would complain once more while it exits.
        sys.stdout = sys.stderr
        return ERRORED
    except Exception as error:  # noqa: BLE001  # the one place where every error becomes an exit code
        if debug:
            traceback.print_exc()
        return _report(error, as_json=as_json)


def _report(error: Exception, *, as_json: bool) -> int:
    usage = _usage(error)
    told = usage or (error if isinstance(error, DeliveryError) else unexpected(error))
    if as_json:
        from shipline.cli.output import emit

        document = document_of(told)
        if usage:
            document["error"]["code"] = "usage"
        emit(document)
    complain(words_of(told))
    return USAGE if usage else exit_code(told)


def _usage(error: Exception) -> DeliveryError | None:
    """What typer has against the words of the call, in our form."""
    message = getattr(error, "format_message", None)
    if message is None:
        return None
    path = getattr(getattr(error, "ctx", None), "command_path", "shipline")
    return DeliveryError(f"reading the command: {message()}", hint=f"see: {path} --help")


if __name__ == "__main__":
    main()
