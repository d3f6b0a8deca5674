"""The one kind of Prefect task in flows: Prefect never caches it, and repeats it only when the world did not answer."""

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from delivery.errors import TransientError

P = ParamSpec("P")
T = TypeVar("T")
Acting = Callable[P, Coroutine[Any, Any, T]]


def step(name: str, *, run_name: str | None = None) -> Callable[[Acting[P, T]], Acting[P, T]]:
    """A task of this name; `run_name` may name parameters in braces."""

    def made(function: Acting[P, T]) -> Acting[P, T]:
        found = task(
            name=name,
            task_run_name=run_name,
            cache_policy=NO_CACHE,
            retries=3,
            retry_delay_seconds=1,
            retry_condition_fn=is_transient,
        )(function)
        return cast("Acting[P, T]", found)

    return made


async def is_transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether a task failed because the outside world did not answer."""
    return isinstance(await state.aresult(raise_on_failure=False), TransientError)
