"""Starting `retaining` in a process of its own, from the control plane's loop."""

import asyncio
import logging
import os
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress

from delivery.home import Home
from shipline.control.components import LEAN, component_environment

_logger = logging.getLogger("shipline.control")


async def run_retention(home: Home) -> bool:
    """Whether it ended well; what it tells is logged. It is ended when this is cancelled: the next one goes on."""
    kept = {name: text for name, text in os.environ.items() if name.startswith("SHIPLINE_KEEP_")}
    command = (*LEAN, "-m", "shipline.control.retaining", str(home.root))
    environment = {**component_environment(home), **kept}
    try:
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=DEVNULL, stderr=PIPE)
    except OSError as error:
        _logger.warning("starting retention: %s", error)
        return False
    try:
        _, told = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
    for line in told.decode(errors="replace").splitlines():
        _logger.log(logging.WARNING if process.returncode else logging.INFO, "retention: %s", line)
    return process.returncode == 0
