"""What of a home goes into its backup, in which order, and which backup fits a machine."""

from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from delivery.artifact import digest_of
from delivery.backup import Header, belongs, keeps_prefect, require_fit, turn
from delivery.errors import ConfigurationError

HEADER = Header(
    made_at="2026-11-26T04:00:00.000000Z",
    shipline="0.2.0",
    schema="0004",
    prefect="3.8.8",
    platform="linux-x86_64",
    embedded=True,
    ports={"api": 4200, "prefect": 4300},
    streams={"shop": (7, digest_of(b"seven")), "@control": (1, digest_of(b"one"))},
)


@pytest.mark.parametrize(
    "path",
    [
        "credentials/secrets.key",
        "credentials/postgresql-owner",
        "secrets/shop.json",
        "secrets/shop.uses.json",
        "store/sha256/ab/abcd",
        "sources/shop.git/packed-refs",
        "sources/shop.git/objects/pack/pack-1.idx",
        "logs/runs/0198/build:web.log",
        "environments/shop/dev/logs/web.log",
        "environments/shop/dev/private/web/home/poetry.lock",
        "environments/shop/dev/private/web/home/.config/settings",
        "environments/shop/dev/groups/eu/logs/web.log",
        "environments/shop/dev/groups/eu/private/web/home/data",
    ],
)
def test_what_cannot_be_made_again_belongs_to_a_backup(path: str) -> None:
    assert belongs(PurePosixPath(path), folder=False)
    assert all(belongs(one, folder=True) for one in PurePosixPath(path).parents[:-2])


@pytest.mark.parametrize(
    "path",
    [
        "credentials/.api-token-0123",
        "secrets/shop.lock",
        "store/.new-abc",
        "sources/shop.lock",
        "sources/shop.git/packed-refs.lock",
        "sources/shop.git/objects/pack/tmp_pack_1",
        "environments/supervisor.json",
        "environments/supervisor.lock",
        "environments/supervisor.log",
        "environments/stopped",
        "environments/shop/dev/desired.json",
        "environments/shop/dev/observed.json",
        "environments/shop/dev/desired.lock",
        "environments/shop/dev/router/router@web-20416.yaml",
        "environments/shop/dev/artifacts/abcd/web.py",
        "environments/shop/dev/private/web/tmp/upload",
        "environments/shop/dev/groups/eu/desired.json",
        "environments/shop/dev/groups/eu/artifacts/abcd/web.py",
    ],
)
def test_what_is_made_anew_or_has_to_fit_the_ledger_is_left_to_others(path: str) -> None:
    whole = PurePosixPath(path)
    kept = [belongs(one, folder=one != whole) for one in (whole, *whole.parents[:-2])]
    assert not all(kept)


def test_what_names_something_is_copied_before_it() -> None:
    mirror = {"HEAD": False, "objects": True, "refs": True, "packed-refs": False, "info": True}
    assert sorted(mirror, key=lambda name: turn(name, folder=mirror[name])) == [
        *("refs", "HEAD", "packed-refs", "info", "objects")
    ]
    layout = {"blobs": True, "index.json": False}
    assert sorted(layout, key=lambda name: turn(name, folder=layout[name])) == ["index.json", "blobs"]


def test_a_header_is_what_was_written() -> None:
    assert Header.read(HEADER.document()) == HEADER


def test_a_later_format_is_not_guessed_at() -> None:
    with pytest.raises(ConfigurationError, match="does not know its format") as refused:
        Header.read({**HEADER.document(), "format": 2})
    assert refused.value.hint == "restore it with Shipline 0.2.0 or newer"


def test_a_backup_fits_the_same_platform_and_the_same_or_a_newer_schema() -> None:
    require_fit(HEADER, "0004", "linux-x86_64")
    require_fit(HEADER, "0005", "linux-x86_64")
    with pytest.raises(ConfigurationError, match="its database is of schema 0004, this Shipline knows 0003") as older:
        require_fit(HEADER, "0003", "linux-x86_64")
    assert older.value.hint == "install the Shipline that made it, 0.2.0, or a newer one"
    with pytest.raises(ConfigurationError, match="it was made on linux-x86_64, this machine is darwin-arm64"):
        require_fit(HEADER, "0004", "darwin-arm64")


@pytest.mark.parametrize(
    ("saved", "installed", "kept"),
    [
        ("3.8.8", "3.8.8", True),
        ("3.8.8", "3.9.0", True),
        ("3.8.8", "3.10.0rc1", True),
        ("3.9.0", "3.8.8", False),
        (None, "3.8.8", False),
    ],
)
def test_prefects_database_is_kept_unless_the_installed_prefect_is_older(
    saved: str | None, installed: str, *, kept: bool
) -> None:
    assert keeps_prefect(replace(HEADER, prefect=saved), installed) is kept
