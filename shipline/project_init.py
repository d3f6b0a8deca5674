"""`shipline init`: a commented first `shipline.yaml` fitted to what a work tree holds."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from delivery.config_reading import read_configuration
from delivery.errors import ConfigurationError
from shipline.project_folder import FoundService, FoundStep, Part
from shipline.project_parts import make_target, parts_of

FILE = "shipline.yaml"
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./ -]*[A-Za-z0-9_./-]|[A-Za-z_./]")
_WORDS = re.compile(r"(true|false|null|[-+0-9.eExo]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A first file, and what it declares."""

    text: str
    services: tuple[str, ...]
    steps: tuple[str, ...]


def propose(folder: Path) -> Proposal:
    """The first `shipline.yaml` for a work tree: the same tree gives the same text; nothing is written."""
    try:
        text = "\n".join(_lines(folder, parts_of(folder))) + "\n"
    except OSError as error:
        raise ConfigurationError(
            f"looking into {error.filename or folder}: {(error.strerror or 'cannot be read').lower()}",
            hint="name a folder that you may read",
        ) from error
    configuration = read_configuration(text.encode())
    return Proposal(text, tuple(configuration.services), tuple(configuration.steps))


def write(folder: Path) -> Proposal:
    """Propose and write; ConfigurationError when there is a file already, which is never touched."""
    path = folder / FILE
    proposal = propose(folder)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(proposal.text)
    except FileExistsError:
        raise ConfigurationError(
            f"writing {path}: it exists already", hint="edit it, or move it away first", where=f"{FILE}:1:1"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"writing {path}: {error.strerror}", where=f"{FILE}:1:1") from error
    return proposal


def _lines(folder: Path, parts: tuple[Part, ...]) -> Iterator[str]:
    services = [service for part in parts for service in part.services]
    yield "# How this repository is tested, built and delivered. Check it with `shipline check`."
    yield "# Every key: docs/reference/configuration.md; for editors: `shipline schema`."
    yield "version: 1"
    yield from _service_lines(parts) if services else _LIBRARY
    yield from _library_lines(parts)
    yield from _step_lines(folder, parts)
    if services:
        yield from _smoke_lines(services)
        yield from _ENVIRONMENTS


_LIBRARY = (
    "",
    "# Nothing here looks like a service, so it is tested and versioned, and nothing is deployed.",
    "# To deploy something, declare it:",
    "# services:",
    "#   web:",
    "#     paths: [web]",
    "#     build:",
    "#       command: make web  # fills the folder that `output` names",
    "#       output: artifact/web",
    "#     run:",
    '#       command: ./serve --port "$PORT"',
)

_ENVIRONMENTS = (
    "",
    "# Where a release runs, in order. This is a proposal: what is in force is accepted with `shipline policy accept`.",
    "environments:",
    "  dev:",
    "    tier: development",
    "    smoke: basic",
    "    watch_seconds: 3  # looked at after a rollout; what falls ill meanwhile is rolled back",
    "  staging:",
    "    tier: staging",
    "    after: dev  # takes only what is verified there",
    "    approvals: {count: 1}  # waits until a person has said yes: `shipline approve staging`",
    "    smoke: basic",
    "    watch_seconds: 10",
    "  production:",
    "    tier: production",
    "    after: staging",
    "    approvals: {count: 1}",
    "    smoke: basic",
    "    watch_seconds: 90",
    "    # What this environment adds to a service:",
    "    # services:",
    "    #   NAME:",
    "    #     environment: {LOG_LEVEL: warning}",
    "    #     secrets: {DATABASE_URL: 'secret:DATABASE_URL'}  # set with `shipline secret set`",
)


def _service_lines(parts: Iterable[Part]) -> Iterator[str]:
    yield ""
    yield "# What is built once and runs in every environment."
    yield "services:"
    for part in parts:
        for service in part.services:
            yield f"  {service.name}:"
            yield f"    paths: {_list(service.paths)}"
            if part.shared:
                yield f"    depends_on: [{_library(part)}]"
            yield "    build:"
            yield from _command_lines(service.build, "      ")
            if part.shared:
                yield f"      inputs: {_list((*service.paths, *part.shared))}"
            yield f"      output: {service.output}  # its content is the artifact, and must run from any path"
            yield from _tools(part.steps, "      ")
            yield from _run_lines(service)


def _run_lines(service: FoundService) -> Iterator[str]:
    yield "    run:"
    yield "      # Must listen on 127.0.0.1 at the port in PORT (or write {port} in the command)."
    yield from _command_lines(service.start, "      ")
    if service.environment:
        yield "      environment:"
        yield from (f"        {name}: {json.dumps(value)}" for name, value in service.environment)
    yield "      health: {path: /}  # answers below 400 once it can serve"


def _library_lines(parts: Iterable[Part]) -> Iterator[str]:
    shared = [part for part in parts if part.shared]
    if shared:
        yield ""
        yield "# Shared code: its change reaches what depends on it."
        yield "libraries:"
    for part in shared:
        yield f"  {_library(part)}:"
        yield f"    paths: {_list(part.shared)}"


def _library(part: Part) -> str:
    return f"{part.name}-shared"


def _step_lines(folder: Path, parts: tuple[Part, ...]) -> Iterator[str]:
    yield ""
    yield "# What has to pass first. A step whose inputs are unchanged is not run again."
    yield "steps:"
    found = [(part, step) for part in parts for step in part.steps]
    several = len({part.name for part, _ in found}) > 1
    for part, step in found:
        yield f"  {step.kind}-{part.name}:" if several else f"  {step.kind}:"
        yield from _command_lines(step.command, "    ")
        yield from _tools([step], "    ")
        if part.services:
            yield f"    services: [{', '.join(service.name for service in part.services)}]"
        if part.folder != "." and (part.shared or not part.services):
            yield f"    inputs: [{_text(part.folder)}]"
        if step.junit:
            yield f"    reports: {{junit: [{_text(step.junit)}]}}"
    if not found:
        yield from _unknown_step(folder)


def _unknown_step(folder: Path) -> Iterator[str]:
    target = next((target for target in ("test", "check") if make_target(folder, target)), "")
    yield "  unit:"
    if target:
        yield f"    command: make {target}"
        return
    yield "    # No tests were found. Put the command here that shows whether this repository works."
    yield "    command: echo 'shipline.yaml does not say yet how to test this repository' >&2; exit 1"


def _smoke_lines(services: list[FoundService]) -> Iterator[str]:
    yield ""
    yield "# Asked after every rollout; a wrong answer rolls back."
    yield "smoke:"
    yield "  basic:"
    yield "    requests:"
    for service in services:
        yield f"      - {{service: {service.name}, path: /, status: 200, retries: 3}}"


def _command_lines(command: str, indent: str) -> Iterator[str]:
    lines = command.splitlines()
    if len(lines) == 1:
        yield f"{indent}command: {_text(command)}"
        return
    yield f"{indent}command: |"
    yield from (f"{indent}  {line}" for line in lines)


def _tools(steps: Iterable[FoundStep], indent: str) -> Iterator[str]:
    tools = sorted({tool for step in steps for tool in step.tools})
    if tools:
        yield f"{indent}tools: [{', '.join(tools)}]"


def _list(paths: tuple[str, ...]) -> str:
    return f"[{', '.join(_text(path) for path in paths)}]"


def _text(text: str) -> str:
    """A scalar: plain where that is safe, quoted otherwise."""
    plain = _PLAIN.fullmatch(text) and not _WORDS.fullmatch(text)
    return text if plain else json.dumps(text, ensure_ascii=False)
