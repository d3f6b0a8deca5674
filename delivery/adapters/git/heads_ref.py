"""The ledger's heads as a git ref that only grows: one commit for each time, in anybody's repository."""

from pathlib import Path

from delivery.adapters.git.command import GitFolder
from delivery.errors import PermanentError

REF = "refs/shipline/ledger-heads"
_PERSON = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Shipline"), ("EMAIL", "shipline@localhost"))
}
_DOING = "publishing the ledger's heads"


def publish_to_git(address: str, line: bytes, scratch: Path) -> None:
    """Push a commit that holds the line, after what is there; PermanentError when somebody rewrote that since.

    Nothing is ever forced. `scratch` is a folder of ours that remembers what was pushed last.
    """
    git = GitFolder(scratch, personal=True)
    if not (scratch / "HEAD").exists():
        scratch.mkdir(parents=True, exist_ok=True)
        git.output(_DOING, "init", "--quiet", "--bare")
    ours = git.answer(_DOING, "rev-parse", "--verify", "--quiet", REF)
    there = git.text(_DOING, "ls-remote", "--", address, REF).partition("\t")[0] or None
    if ours and there != ours:
        message = f"{_DOING} at {address}: {REF} is {there or 'gone'}, and we had left {ours} there"
        raise PermanentError(message, hint="compare both with: shipline ledger verify --head FILE")
    if there and not ours:
        git.output(_DOING, "fetch", "--quiet", "--no-tags", "--", address, f"{REF}:{REF}")
    git.output(_DOING, "push", "--quiet", "--", address, f"{_commit(git, line, there)}:{REF}")
    git.output(_DOING, "fetch", "--quiet", "--no-tags", "--", address, f"+{REF}:{REF}")


def _commit(git: GitFolder, line: bytes, parent: str | None) -> str:
    """A commit of one file; the line is handed over as a file, since our git reads no standard input."""
    staged = git.folder / "heads.json"
    staged.write_bytes(line + b"\n")
    blob = git.text(_DOING, "hash-object", "-w", "--no-filters", "--", str(staged))
    index = {"GIT_INDEX_FILE": str(git.folder / "heads.index")}
    (git.folder / "heads.index").unlink(missing_ok=True)
    git.output(_DOING, "update-index", "--add", "--cacheinfo", f"100644,{blob},heads.json", environment=index)
    tree = git.text(_DOING, "write-tree", environment=index)
    after = ("-p", parent) if parent else ()
    return git.text(_DOING, "commit-tree", tree, *after, "-m", "the ledger's heads", environment=_PERSON)
