"""Lines told while a flow works: to Prefect's page, and to a file under the home that outlives it."""

from collections.abc import Callable
from pathlib import Path

from prefect.logging import get_run_logger

MOST_LINES = 2000
"""Of one step on Prefect's page; the file under the home has them all."""


def told_in(file: Path) -> Callable[[str], None]:
    """A function that tells one line in both places; call it inside a flow or task run, use it on any thread."""
    logger = get_run_logger()
    file.parent.mkdir(parents=True, exist_ok=True)

    def say(line: str) -> None:
        logger.info("%s", line)
        with file.open("a", encoding="utf-8") as log:
            log.write(line + "\n")

    return say


def told_in_prefect() -> Callable[[str], None]:
    """A function that tells the first lines of something long on Prefect's page only."""
    logger, told = get_run_logger(), 0

    def say(line: str) -> None:
        nonlocal told
        told += 1
        if told <= MOST_LINES:
            logger.info("%s", line)
        elif told == MOST_LINES + 1:
            logger.info("more lines stand in the log under the home: shipline logs")

    return say
