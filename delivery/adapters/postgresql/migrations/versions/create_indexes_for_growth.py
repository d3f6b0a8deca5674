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

# Contents of closed segments may leave, and nothing else may change: one who sets `shipline.detaching` can blank
# contents, and the application's role cannot even do that, for it may not UPDATE.
_DETACHING = """
ALTER TABLE entries ALTER COLUMN content DROP NOT NULL;
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('shipline.detaching', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'entries of the ledger are never changed: % refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE FUNCTION refuse_all_but_detaching() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.content IS NULL AND (NEW.stream, NEW.sequence, NEW.idempotency_key, NEW.previous, NEW.digest)
        IS NOT DISTINCT FROM (OLD.stream, OLD.sequence, OLD.idempotency_key, OLD.previous, OLD.digest) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'entries of the ledger are never changed: contents may only be detached'
        USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER entries_are_only_detached BEFORE UPDATE ON entries
    FOR EACH ROW EXECUTE FUNCTION refuse_all_but_detaching();
ALTER TABLE entries ENABLE ALWAYS TRIGGER entries_are_only_detached;
COMMENT ON COLUMN entries.content IS 'null once its closed segment is read from the file instead';
"""


def upgrade() -> None:
    """Make them; large tables are locked meanwhile, and nobody works with the database yet."""
    op.execute(_INDEXES)
    op.execute(_DETACHING)
    op.execute(f"GRANT DELETE ON leases TO {context.config.attributes['application']}")
