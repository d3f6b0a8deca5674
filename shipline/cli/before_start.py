"""What a plan or run is about, looked at here: nothing is started or registered for what would be refused."""

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from delivery.errors import DeliveryError, NotFoundError
from shipline.cli.configure import configuration_content
from shipline.cli.session import Session, recorded_address


def check_before_start(
    session: Session,
    revision: str | None,
    *,
    base: str | None,
    dirty: bool,
    only: Collection[str],
    force: Collection[str],
) -> None:
    """ConfigurationError for what a work tree cannot be planned from; who knows the project looks for itself."""
    if os.environ.get("SHIPLINE_URL") or session.tree is None:
        return
    known = _registered(session)
    if str(session.tree) in {one["location"] for one in known}:  # nothing is started or registered then
        return
    _check_history(session.tree, base)
    try:
        commit = None if dirty else _commit(session.tree, revision or "HEAD")
    except NotFoundError:
        if _is_source_of(session.tree, known):
            return
        raise
    _check_configuration(session.tree, commit, only, force)


def _check_history(tree: Path, base: str | None) -> None:
    from delivery.adapters.git import require_history
    from delivery.adapters.git.location import resolve

    require_history(tree)
    if base is not None:
        resolve(tree, base)


def _check_configuration(tree: Path, commit: str | None, only: Collection[str], force: Collection[str]) -> None:
    from delivery.config_reading import read_configuration
    from delivery.step_choice import Wishes, check_wishes

    configuration = read_configuration(configuration_content(tree, commit))
    check_wishes(configuration, Wishes(frozenset(force), frozenset(only)))


def _commit(tree: Path, name: str) -> str:
    from delivery.adapters.git import GitRepository

    return GitRepository(tree, personal=True).resolve(name).commit


def _is_source_of(tree: Path, known: Iterable[Mapping[str, str]]) -> bool:
    """Whether a control plane that runs has this source: its mirror keeps what no work tree has any more."""
    from delivery.adapters.git import identify

    return identify(tree).source in {one["source"] for one in known}


def _registered(session: Session) -> list[dict[str, str]]:
    """The projects of the control plane that runs; none when none does."""
    from shipline.cli.client import Client

    recorded = recorded_address(session.home)
    try:
        return list(Client(recorded, seconds=5).get("/projects")) if recorded else []
    except DeliveryError:
        return []
