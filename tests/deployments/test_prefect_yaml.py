"""`prefect.yaml` on a Prefect server that is not ours, after the one documented command."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.flows import Flow, load_flow_from_entrypoint

from deployments.apply import TIERS, block_types
from deployments.placements import PLACED_FLOWS, PlacedFlow, placements
from tests.servers.prefect import RunningPrefect

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("placed", PLACED_FLOWS, ids=lambda placed: placed.name)
def test_every_placed_flow_can_be_loaded_and_takes_what_it_is_given(placed: PlacedFlow) -> None:
    loaded: Flow[Any, Any] = load_flow_from_entrypoint(placed.entrypoint, use_placeholder_flow=False)
    assert loaded.name == placed.name
    assert tuple(loaded.parameters.required) == placed.parameters
    assert loaded.isasync


def test_the_file_places_what_the_embedded_control_plane_places() -> None:
    text = (ROOT / "prefect.yaml").read_text().replace("{{ $SHIPLINE_PROJECT }}", "shop")
    written = {
        (one["entrypoint"], one["name"], one["work_pool"]["name"], tuple(one["tags"]), *_cron(one))
        for one in yaml.safe_load(text)["deployments"]
    }
    assert written == {
        (one.flow.entrypoint, one.name, one.work_pool, tuple(one.tags), *([one.flow.cron] if one.flow.cron else []))
        for one in placements("shop", TIERS)
    }


def _cron(deployment: dict[str, list[dict[str, str]]]) -> list[str]:
    return [schedule["cron"] for schedule in deployment.get("schedules", [])]


def test_block_types_say_what_they_are_and_hold_no_secret() -> None:
    for block_type in block_types():
        assert str(block_type.get_block_type_slug()).startswith("shipline-")
        assert block_type.get_description()
        assert "SecretStr" not in str(block_type.model_fields)


@pytest.mark.integration
@pytest.mark.slow
def test_prefect_deploy_works_on_any_server_after_one_command(prefect_server: RunningPrefect, tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
        "PREFECT_API_URL": f"{prefect_server.url}/api",
        "PREFECT_API_AUTH_STRING": prefect_server.auth,
        "PREFECT_HOME": str(tmp_path),
        "SHIPLINE_PROJECT": "deployed",
    }
    for command in (
        ("-m", "deployments.apply", "deployed"),
        ("-m", "deployments.apply", "deployed"),
        ("-m", "prefect", "--no-prompt", "deploy", "--all"),
    ):
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    deployed = prefect_server.ask(
        "POST", "/deployments/filter", {"deployments": {"tags": {"all_": ["project:deployed"]}}}
    ).json()
    types = {one["slug"] for one in prefect_server.ask("POST", "/block_types/filter", {}).json()}
    assert {(one["name"], one["work_pool_name"]) for one in deployed} == {
        (one.name, one.work_pool) for one in placements("deployed", TIERS)
    }
    assert {one.get_block_type_slug() for one in block_types()} <= types
