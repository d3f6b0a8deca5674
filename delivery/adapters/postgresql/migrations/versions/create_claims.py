"""Which process took up which flow run: each Scheduled state of one is taken up once."""

from alembic import context, op

revision = "0002"
down_revision = "0001"

_TABLE = """
CREATE TABLE claims (
    flow_run text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    process jsonb NOT NULL,
    PRIMARY KEY (flow_run, state)
) WITH (fillfactor = 80);
COMMENT ON TABLE claims IS 'flow runs that a process has taken up and not yet finished with';
"""


def upgrade() -> None:
    """Make the table, and let the application's role use it."""
    op.execute(_TABLE)
    op.execute(f"GRANT SELECT, INSERT, DELETE ON claims TO {context.config.attributes['application']}")
