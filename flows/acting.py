"""How flows call our own code: on a thread, and with every mistake in it told as one that would happen again."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from prefect.logging import get_run_logger

from delivery.errors import DefectError, DeliveryError

P = ParamSpec("P")
T = TypeVar("T")


async def act(function: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """Call it on a thread; it raises DeliveryError only.

    What it never should have raised becomes a DefectError, and its traceback is logged. What Prefect's own client
    raises beside it is not ours: such a flow run is lost, and another one goes on.
    """
    try:
        return await asyncio.to_thread(function, *given, **named)
    except DeliveryError:
        raise
    except OSError as error:
        hint = "once the machine can do it again, shipline retry goes on"
        raise DeliveryError(f"working on it: {str(error).lower()}", hint=hint) from error
    except Exception as error:
        get_run_logger().error("a mistake in Shipline itself", exc_info=error)
        raise DefectError.of(error) from error
