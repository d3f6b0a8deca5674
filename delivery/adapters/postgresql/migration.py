"""Bringing a database to the schema that this version of Shipline knows."""

import json
import sys
from importlib.resources import files

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from delivery.adapters.postgresql.engine import make_engine, translating
from delivery.adapters.postgresql.urls import EMBEDDED

_LOCK = 7_201_964
"""Of everybody who migrates this database: any number, the same for all."""


def migrate(owner_url: str, application: str = EMBEDDED.application) -> None:
    """Run every step that is missing, in one transaction; whoever comes second waits, and finds nothing to do.

    `application` is the role that gets the application's rights.
    """
    engine = make_engine(owner_url, pool_size=1)
    try:
        with translating("migrating the database"), _transactional(engine).begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            config = Config()
            config.set_main_option("script_location", str(files("delivery.adapters.postgresql") / "migrations"))
            config.attributes.update(connection=connection, application=application)
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def _transactional(engine: Engine) -> Engine:
    return engine.execution_options(isolation_level="READ COMMITTED")


if __name__ == "__main__":
    migrate(**json.load(sys.stdin))
