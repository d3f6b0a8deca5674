"""What a step hands on to later ones: declared files of its checkout, packed reproducibly into the store."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from delivery.archive import extract_archive, members_below, write_archive
from delivery.artifact import Digest
from delivery.errors import TransientError
from delivery.paths import matching
from delivery.ports import Store
from delivery.step import StepResult


def find_outputs(folder: Path, patterns: Sequence[str]) -> tuple[list[Path], tuple[str, ...]]:
    """Files, folders and links that the patterns mean; and a reason for each pattern that means nothing."""
    if not patterns:
        return [], ()
    found = [path.relative_to(folder).as_posix() for path in members_below(folder)]
    own = [name for name in found if name != ".git" and not name.startswith(".git/")]
    missing = [f"the output '{pattern}' was not written" for pattern in patterns if not matching([pattern], own)]
    return [folder / name for name in matching(patterns, own)], tuple(missing)


def pack_outputs(store: Store, folder: Path, written: Iterable[Path], scratch: Path) -> Digest:
    """Store the files as one archive, by way of a file in `scratch`; the same files give the same digest."""
    packed = scratch / "outputs.tar"
    try:
        with packed.open("wb") as stream:
            write_archive(folder, written, stream)
        return store.put_file(packed)
    finally:
        packed.unlink(missing_ok=True)


def restore_outputs(store: Store, results: Iterable[StepResult], folder: Path) -> None:
    """Lay the outputs of earlier steps into a folder; TransientError when the store has lost them."""
    for result in results:
        if result.outputs is None:
            continue
        packed = store.open(result.outputs)
        if packed is None:
            raise TransientError(
                f"restoring the outputs of step '{result.name}': {result.outputs} is not in the store any more",
                hint="run again: the step will not be reused",
            )
        with packed.open("rb") as stream:
            extract_archive(stream, folder)
