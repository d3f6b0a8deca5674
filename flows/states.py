"""How ends look in Prefect: Failed, Errored and Refused stay three different ends."""

from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from delivery.promotion import Phase, Promotion
from delivery.run import RunState
from delivery.step import StepResult, StepState


def state_of(promotion: Promotion) -> State[None]:
    """The state of a pass by where its promotion stands."""
    message = promotion.because
    match promotion.phase:
        case Phase.SUCCEEDED:
            return Completed(message=message)
        case Phase.FAILED | Phase.ROLLING_BACK:
            return Failed(message=message)
        case Phase.ERRORED:
            return Failed(name="Errored", message=message)
        case phase:
            return Completed(name=str(phase), message=message)


def state_of_run(state: RunState, message: str) -> State[None]:
    """The state of a run's own work."""
    match state:
        case RunState.FAILED:
            return Failed(message=message)
        case RunState.ERRORED:
            return Failed(name="Errored", message=message)
        case RunState.CANCELLED:
            return Cancelled(message=message)
        case _:
            return Completed(message=message)


def state_of_step(result: StepResult) -> State[None]:
    """The state of a step's task."""
    match result.state:
        case StepState.FAILED:
            return Failed(message=result.reason)
        case StepState.ERRORED:
            return Failed(name="Errored", message=result.reason)
        case StepState.CANCELLED:
            return Cancelled(message=result.reason)
        case StepState.CACHED | StepState.SKIPPED as state:
            return Completed(name=str(state), message=result.reason)
        case _:
            return Completed(message=result.reason)
