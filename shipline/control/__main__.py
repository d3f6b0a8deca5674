"""`python -m shipline.control`: the control plane of SHIPLINE_HOME, in the foreground."""

import logging
import sys

from delivery.errors import DeliveryError
from delivery.home import Home
from shipline.control.process import serve
from shipline.control.settings import ControlSettings


def main() -> int:
    """Run until told to stop; 2 when it may not start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for chatty in ("alembic", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        serve(Home.here(), ControlSettings.from_environment())
    except DeliveryError as error:
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)  # noqa: T201  # for whoever started it
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
