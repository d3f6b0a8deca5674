"""Entries that nothing changes, the heads of their streams, projections, and the operations tables."""

from alembic import context, op

revision = "0001"
down_revision = None

_TABLES = """
CREATE TABLE entries (
    stream text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    idempotency_key text COLLATE "C",
    content bytea NOT NULL,
    previous text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    PRIMARY KEY (stream, sequence)
);
CREATE UNIQUE INDEX entries_idempotency_key ON entries (stream, idempotency_key) WHERE idempotency_key IS NOT NULL;
COMMENT ON TABLE entries IS 'the ledger: digest = sha256(previous || content); appended to, never changed';

CREATE TABLE heads (
    stream text COLLATE "C" PRIMARY KEY,
    sequence bigint NOT NULL,
    digest text COLLATE "C" NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE projections (
    table_name text COLLATE "C" NOT NULL,
    project text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    document jsonb NOT NULL,
    PRIMARY KEY (table_name, project, key)
) WITH (fillfactor = 80);
CREATE INDEX projections_fields ON projections USING gin (document jsonb_path_ops);
COMMENT ON TABLE projections IS 'what the entries mean; can be dropped and made anew';

CREATE TABLE documents (
    table_name text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    project text COLLATE "C" NOT NULL,
    document jsonb NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (table_name, key)
) WITH (fillfactor = 80);
CREATE INDEX documents_newest ON documents (table_name, project, number);
COMMENT ON TABLE documents IS 'operations: runs, steps, projects; no evidence';

CREATE TABLE leases (
    name text COLLATE "C" PRIMARY KEY,
    holder text COLLATE "C" NOT NULL,
    fence bigint NOT NULL,
    until timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE leases IS 'a released lease keeps its row, so that its fence only grows';
"""

# For each statement, so that one which would touch no row is refused as well; ALWAYS, so that
# session_replication_role does not pass it by.
_IMMUTABLE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entries of the ledger are never changed: % refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER entries_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE entries ENABLE ALWAYS TRIGGER entries_are_never_changed;
"""

_GRANTS = """
GRANT USAGE ON SCHEMA public TO {application};
GRANT SELECT, INSERT ON entries TO {application};
GRANT SELECT, INSERT, UPDATE ON heads TO {application};
GRANT SELECT, INSERT, UPDATE, DELETE ON projections TO {application};
GRANT SELECT, INSERT, UPDATE, DELETE ON documents TO {application};
GRANT SELECT, INSERT, UPDATE ON leases TO {application};
GRANT SELECT ON schema_versions TO {application};
"""


def upgrade() -> None:
    """Make everything, and give the application's role what it needs."""
    op.execute(_TABLES)
    op.execute(_IMMUTABLE)
    op.execute(_GRANTS.format(application=context.config.attributes["application"]))
