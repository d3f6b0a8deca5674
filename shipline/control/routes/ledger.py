"""The ledger: checked, rebuilt, reconciled, taken out and brought in."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from delivery.adapters.published_heads import heads_of, read_heads
from delivery.adapters.segment_files import SegmentFiles
from delivery.errors import ConfigurationError
from delivery.ledger import Break
from delivery.ledger_transfer import export_lines, import_lines
from delivery.ledger_verification import Verification, unpublished, verify
from delivery.people.roles import Permission
from shipline.control.access import Acting, Ports, Project, needs
from shipline.control.reconciling import reconcile

router = APIRouter(tags=["ledger"])


class Published(BaseModel):
    """Signed lines, as they were published."""

    model_config = ConfigDict(extra="forbid")

    lines: list[str] = Field(max_length=1000)


MOST_IMPORT_BYTES = 64 * 1024 * 1024


@router.get("/ledger/verify", dependencies=[needs(Permission.READ)])
def verify_ledger(ports: Ports) -> dict[str, JsonValue]:
    """Check every entry of every chain, and that it has what was published last."""
    return _verification(verify(ports.ledger, read_heads(ports.home), SegmentFiles(ports.home)))


@router.post("/ledger/verify", dependencies=[needs(Permission.READ)])
def verify_against(body: Published, ports: Ports) -> dict[str, JsonValue]:
    """The same, and that it has every head that was published elsewhere, as signed lines."""
    found = verify(ports.ledger, read_heads(ports.home), SegmentFiles(ports.home))
    more = [one for place, line in enumerate(body.lines, 1) for one in _missing(ports, place, line)]
    return _verification(replace(found, broken=(*found.broken, *more)))


def _missing(ports: Ports, place: int, line: str) -> list[Break]:
    heads = heads_of(ports.home, line)
    if heads is None:
        return [Break("", place, f"line {place} of what was published is not what this installation signed")]
    return unpublished(ports.ledger, heads)


def _verification(found: Verification) -> dict[str, JsonValue]:
    return {
        "ok": found.ok,
        "rows": found.rows,
        "head": {stream: {"sequence": head[0], "digest": head[1]} for stream, head in found.heads.items()},
        "broken": [{"stream": one.stream, "sequence": one.sequence, "reason": one.reason} for one in found.broken],
    }


@router.post("/ledger/rebuild", dependencies=[needs(Permission.ADMINISTER)])
def rebuild(ports: Ports) -> dict[str, JsonValue]:
    """Make the projections anew from the entries."""
    ports.ledger.rebuild()
    return {"ok": True, "rows": sum(head[0] for head in ports.ledger.streams().values())}


@router.post("/ledger/reconcile", dependencies=[needs(Permission.ADMINISTER)])
def reconcile_ledger(acting: Acting) -> dict[str, JsonValue]:
    """Append what Prefect's history knows and the ledger missed."""
    appended = reconcile(acting)
    return {"ok": True, "rows": sum(head[0] for head in acting.ports.ledger.streams().values()), "appended": appended}


@router.get("/projects/{project}/ledger/export", dependencies=[needs(Permission.READ)])
def export(ports: Ports, project: Project) -> StreamingResponse:
    """Every entry of the project as JSON Lines."""
    return StreamingResponse(_lines(export_lines(ports.ledger, [project])), media_type="application/jsonl")


@router.post("/projects/{project}/ledger/import", dependencies=[needs(Permission.ADMINISTER)])
async def bring_in(request: Request, ports: Ports, project: Project) -> dict[str, JsonValue]:
    """Append JSON Lines; nothing when any line is bad."""
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MOST_IMPORT_BYTES:
            raise ConfigurationError(f"importing: more than {MOST_IMPORT_BYTES} bytes", hint="import it in parts")
    done = await asyncio.to_thread(import_lines, ports.ledger, project, bytes(content).splitlines())
    rows = ports.ledger.streams().get(project, (0, ""))[0]
    return {"ok": True, "rows": rows, "appended": done.appended, "skipped": done.known + done.left_out}


def _lines(lines: Iterator[str]) -> Iterator[bytes]:
    return (line.encode() + b"\n" for line in lines)
