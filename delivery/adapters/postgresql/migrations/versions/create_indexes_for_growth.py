"""What a year of rows needs: indexes for what is asked all the time, and the right to forget what has ended."""

from alembic import context, op

revision = "0004"
down_revision = "0003"

# Each predicate and expression is written as queries ask for it, or it would not be used:
# `json_columns.equals` for a field that is null, `ledger._order` for an order.
_INDEXES = """
CREATE INDEX documents_unfinished ON documents (project, number) WHERE table_name = 'runs'
    AND (document['verified_at'] IS NULL OR document['verified_at'] = 'null'::jsonb);
CREATE INDEX leases_until ON leases (until);
CREATE INDEX promotions_by_sequence ON projections
    (project, (nullif(document['sequence'], 'null'::jsonb)) DESC NULLS LAST, key DESC)
    WHERE table_name = 'promotions';
CREATE INDEX revisions_by_time ON projections
    (project, (nullif(document['tested_at'], 'null'::jsonb)) DESC NULLS LAST, key DESC)
    WHERE table_name = 'revisions';
"""


def upgrade() -> None:
    """Make them; large tables are locked meanwhile, and nobody works with the database yet."""
    op.execute(_INDEXES)
    op.execute(f"GRANT DELETE ON leases TO {context.config.attributes['application']}")
