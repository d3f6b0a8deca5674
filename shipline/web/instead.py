"""What Prefect's pages are told otherwise than by Prefect itself."""

from collections.abc import Mapping

from pydantic import JsonValue

UI_SETTINGS = "/ui-settings"
OWN: Mapping[str, JsonValue] = {
    "/api/admin/settings": {
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": False,
        "server": {"analytics_enabled": False, "ui": {"show_promotional_content": False}},
    }
}
"""Answered without asking Prefect, whose settings name files and addresses: all that both kinds of pages read of it,
and they do not come up without."""


def without_password(settings: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Prefect's pages ask nobody for its own password: whoever sees them has signed in with us."""
    return {**settings, "auth": None}
