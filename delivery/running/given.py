"""What a step or a build is given: variables about its run, and what it sees of the home."""

from pathlib import Path

from delivery.isolation import Isolation, Visible
from delivery.running.work import RunWork


def variables(work: RunWork) -> dict[str, str]:
    """What every step may know of its run."""
    return {
        "SHIPLINE_PROJECT": work.run.project,
        "SHIPLINE_REVISION": work.run.revision,
        "SHIPLINE_RUN": work.run.id,
        "SHIPLINE_VERSION": work.plan.version,
        "SHIPLINE_TOOL_CACHE": str(_tool_cache(work)),
    }


def isolation(work: RunWork, folder: Path, private: Path) -> Isolation:
    """Of the home: the checkout and the mirror in which its objects lie, folders of its own, and the tool cache.

    Not the private folder as a whole: Shipline packs outputs in it, and would follow a link that a step laid there.
    """
    return Isolation(
        work.connections.home.root,
        (
            Visible(folder, writable=True),
            Visible(private / "home", writable=True),
            Visible(private / "tmp", writable=True),
            Visible(private / "bin"),
            Visible(_tool_cache(work), writable=True),
            Visible(work.connections.home.source(work.run.project)),
        ),
    )


def _tool_cache(work: RunWork) -> Path:
    """No input of any step: what a tool finds there must change nothing but its speed."""
    folder = work.connections.home.tool_cache(work.run.project)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
