"""How a promotion's release stands in the environments that come before."""

from datetime import datetime

from delivery.artifact import Digest
from delivery.connections import Connections
from delivery.gates.upstream import Upstream
from delivery.pipeline import After, names_of
from delivery.promoting.turn import read_promotions
from delivery.promotion import FINAL, Phase


def upstreams_of(connections: Connections, project: str, release: Digest, after: After) -> tuple[Upstream, ...]:
    """Every environment that is named, in its order."""
    return tuple(_upstream(connections, project, release, name) for name in names_of(after))


def verified_at(connections: Connections, project: str, environment: str, release: Digest) -> datetime | None:
    """Since when a release is verified in an environment; None when it is not, or no longer."""
    rows = connections.ledger.rows("verified", project=project, environment=environment, release=release)
    if not rows or rows[0].get("revoked_at") is not None:
        return None
    return datetime.fromisoformat(str(rows[0]["verified_at"]))


def _upstream(connections: Connections, project: str, release: Digest, name: str) -> Upstream:
    since = verified_at(connections, project, name, release)
    return Upstream(name, since, since is None and is_on_its_way(connections, project, name, release))


def is_on_its_way(connections: Connections, project: str, environment: str, release: Digest) -> bool:
    """Whether a promotion of a release into an environment is not done yet."""
    phases = [phase.value for phase in Phase if phase not in FINAL]
    here = read_promotions(connections, project=project, environment=environment, release=release, phase=phases)
    return bool(here)
