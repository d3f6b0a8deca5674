"""Whether a database has the schema of this version, and bringing it there when it has not.

Migrating is done by a process of its own: Alembic would stay in the control plane's memory for ever,
for what is needed once after an update.
"""

import json
import subprocess
import sys

from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from delivery.adapters.postgresql.engine import connected, make_engine, translating
from delivery.errors import PermanentError

NEWEST = "0004"
"""The last step in `migrations/versions`."""


def bring_up_to_date(owner_url: str, application: str) -> None:
    """Migrate unless nothing is missing; PermanentError with its last line when that fails."""
    if version_of(owner_url) == NEWEST:
        return
    command = (sys.executable, "-I", "-m", "delivery.adapters.postgresql.migration")
    given = json.dumps({"owner_url": owner_url, "application": application})  # not as arguments: everybody sees those
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        cause = next(reversed(done.stderr.strip().splitlines()), "no output")
        raise PermanentError(f"migrating the database: {cause}", hint="the database is as it was before")


def version_of(owner_url: str) -> str | None:
    """The step that was made last; None when there was none."""
    engine = make_engine(owner_url, pool_size=1)
    doing = "reading the version of the database"
    try:
        with translating(doing), connected(engine, doing) as connection:
            return connection.execute(text("SELECT version_num FROM schema_versions")).scalar_one_or_none()
    except PermanentError as error:
        if isinstance(error.__cause__, ProgrammingError):  # no such table
            return None
        raise
    finally:
        engine.dispose()
