"""Brings the gateway's table up to date with what Prefect's server answers: new routes are for nobody.

`python -m deployments.prefect_routes | python -m shipline.web.refresh_routes`, then look at what has changed.
"""

import json
import sys
from collections.abc import Iterable, Mapping

from shipline.web.routes import TABLE


def refreshed(permissions: Mapping[str, str | None], routes: Iterable[str]) -> dict[str, str | None]:
    """What was decided stays; what is new is for nobody until somebody decides; what is gone is gone."""
    return {route: permissions.get(route) for route in routes}


def main() -> None:
    """Rewrite the table; standard input is `{prefect, routes}`."""
    told = json.load(sys.stdin)
    before = json.loads(TABLE.read_text())["routes"]
    table = {"prefect": told["prefect"], "routes": refreshed(before, told["routes"])}
    TABLE.write_text(json.dumps(table, indent=1) + "\n")
    for sign, changed in (("+", table["routes"].keys() - before.keys()), ("-", before.keys() - table["routes"].keys())):
        for route in sorted(changed):
            print(sign, route)  # noqa: T201  # for whoever refreshes it


if __name__ == "__main__":
    main()
