"""The tables as queries see them; `migrations` makes them."""

from sqlalchemy import BigInteger, Column, DateTime, Identity, Integer, LargeBinary, MetaData, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

_metadata = MetaData()

entries = Table(
    "entries",
    _metadata,
    Column("stream", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("idempotency_key", Text),
    Column("content", LargeBinary, nullable=True),
    Column("previous", Text),
    Column("digest", Text),
)
heads = Table(
    "heads",
    _metadata,
    Column("stream", Text, primary_key=True),
    Column("sequence", BigInteger),
    Column("digest", Text),
)
projections = Table(
    "projections",
    _metadata,
    Column("table_name", Text, primary_key=True),
    Column("project", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("document", JSONB),
)
documents = Table(
    "documents",
    _metadata,
    Column("table_name", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("project", Text),
    Column("document", JSONB),
    Column("number", BigInteger, Identity(always=True)),
)
leases = Table(
    "leases",
    _metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text),
    Column("fence", BigInteger),
    Column("until", DateTime(timezone=True)),
)
claims = Table(
    "claims",
    _metadata,
    Column("flow_run", Text, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("process", JSONB),
)
queue = Table(
    "queue",
    _metadata,
    Column("subject", Text, primary_key=True),
    Column("standing", Text, primary_key=True),
    Column("project", Text),
    Column("environment", Text),
    Column("priority", SmallInteger),
    Column("asked_at", DateTime(timezone=True)),
    Column("flow_run", Text),
    Column("fed_at", DateTime(timezone=True)),
    Column("begun_at", DateTime(timezone=True)),
    Column("left_at", DateTime(timezone=True)),
    Column("starts", Integer),
)
