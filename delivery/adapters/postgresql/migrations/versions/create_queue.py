"""What waits for a flow run: fed to Prefect in its own order, at the pace that slots allow."""

from alembic import context, op

revision = "0003"
down_revision = "0002"

_TABLE = """
CREATE TABLE queue (
    subject text COLLATE "C" NOT NULL,
    standing text COLLATE "C" NOT NULL,
    project text COLLATE "C" NOT NULL,
    environment text COLLATE "C",
    priority smallint NOT NULL,
    asked_at timestamptz NOT NULL,
    flow_run text,
    fed_at timestamptz,
    begun_at timestamptz,
    left_at timestamptz,
    starts integer NOT NULL,
    PRIMARY KEY (subject, standing)
) WITH (fillfactor = 70);
COMMENT ON TABLE queue IS 'runs and promotions that a flow run is to take up, or has lately';
CREATE INDEX queue_entries ON queue (asked_at) WHERE left_at IS NULL;
CREATE INDEX queue_begun ON queue (begun_at) WHERE begun_at IS NOT NULL;
CREATE INDEX queue_left ON queue (asked_at) WHERE left_at IS NOT NULL;
"""


def upgrade() -> None:
    """Make the table, and let the application's role use it."""
    op.execute(_TABLE)
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON queue TO {context.config.attributes['application']}")
    op.execute("DELETE FROM documents WHERE table_name = 'flow_runs'")  # its predecessor
