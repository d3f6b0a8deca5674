"""Reporting: what another system says of a revision or a release enters the ledger."""

import uuid6
from pydantic import JsonValue

from delivery.actor import Actor
from delivery.checks import CheckResult
from delivery.connections import Connections
from delivery.errors import ConfigurationError
from delivery.ledger import Draft
from delivery.url_text import is_web_address

LONGEST_TEXT = 2_000
LONGEST_NAME = 80
"""As in the policy that asks for it."""


def report_check(connections: Connections, project: str, result: CheckResult, actor: Actor) -> dict[str, JsonValue]:
    """Append a result; from now on it is the one that counts. ConfigurationError when a text of it cannot be kept."""
    _require_keepable(result)
    body: dict[str, JsonValue] = {
        "id": str(uuid6.uuid7()),
        "name": result.name,
        "of": result.of,
        "subject": result.subject,
        "result": result.result,
        "url": result.url,
        "summary": result.summary,
    }
    connections.ledger.append(project, [Draft("check.reported", body, actor, result.at)])
    return body


def _require_keepable(result: CheckResult) -> None:
    doing, name = f"reporting check '{result.name[:LONGEST_NAME]}'", result.name
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise ConfigurationError(f"{doing}: a name has 1 to {LONGEST_NAME} printable characters")
    if max(len(result.url), len(result.summary)) > LONGEST_TEXT:
        raise ConfigurationError(f"{doing}: summary and URL have at most {LONGEST_TEXT} characters")
    if result.url and not is_web_address(result.url):
        raise ConfigurationError(
            f"{doing}: the URL is no http or https address, or has a password in it",
            hint="give the address of a page about the result",
        )
