"""`python -m deployments.apply PROJECT [ENVIRONMENT...]`: what a Prefect server needs before `prefect deploy --all`.

Makes the project's work pools and registers the block types; safe to repeat. The server is the one that
PREFECT_API_URL and PREFECT_API_AUTH_STRING name. The embedded control plane does all this by itself.
"""

import argparse
import asyncio
from collections.abc import Sequence

from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.settings import get_current_settings

import blocks
from deployments.prefect_placement import PrefectPlacement
from deployments.prefect_rest import PrefectRest

TIERS = ("dev", "staging", "production")
"""The environments in `prefect.yaml`."""


def block_types() -> list[type[Block]]:
    """Every block type that Shipline has."""
    return [getattr(blocks, name) for name in blocks.__all__]


async def register_block_types() -> None:
    """Make or update the block types and their schemas on the server."""
    async with get_client() as client:
        for block_type in block_types():
            await block_type.register_type_and_schema(client=client)


def apply(project: str, environments: Sequence[str]) -> None:
    """Make the pools and register the block types on the server of Prefect's settings."""
    api = get_current_settings().api
    auth = api.auth_string.get_secret_value() if api.auth_string else ""
    placement = PrefectPlacement(PrefectRest(str(api.url), auth))
    placement.ensure_work_pools(project, environments)
    placement.close()
    asyncio.run(register_block_types())


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m deployments.apply", description="Prepare a Prefect server.")
    parser.add_argument("project", help="slug of the project, as in SHIPLINE_PROJECT for prefect.yaml")
    parser.add_argument("environments", nargs="*", default=list(TIERS), help="default: %(default)s")
    given = parser.parse_args()
    apply(given.project, given.environments)


if __name__ == "__main__":
    main()
