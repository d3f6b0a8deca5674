"""Taking the contents of closed segments out of the database, as its owner: places, keys and digests stay."""

from delivery.adapters.postgresql.engine import make_engine, transaction
from delivery.segments import Segment


def detach(owner_url: str, segment: Segment) -> int:
    """How many contents left; whoever calls has made sure that the segment's file holds them."""
    engine = make_engine(owner_url, pool_size=1)
    try:
        with transaction(engine, f"detaching a closed segment of '{segment.stream}'") as own:
            own.execute("SET LOCAL statement_timeout = 0")
            own.execute("SET LOCAL shipline.detaching = 'on'")
            return own.execute(
                "UPDATE entries SET content = NULL"
                " WHERE stream = %s AND sequence BETWEEN %s AND %s AND content IS NOT NULL",
                (segment.stream, segment.first, segment.last),
            ).rowcount
    finally:
        engine.dispose()
