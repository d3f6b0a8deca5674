"""Flow runs that nobody works on any more, whatever Prefect shows: it is told so, or its pages would never say it."""

from collections.abc import Collection
from itertools import chain

from delivery.ports import Operations
from deployments.prefect_work import UNFINISHED, FlowRunState, PrefectWork

_LOST = ("CRASHED", "its process was lost")
_STOPPED = ("CANCELLED", "stopped, with its steps")


class LostFlowRuns:
    """Those without a process and without a claim: a crash between two writes, or somebody's hand, left them so."""

    def __init__(self, prefect: PrefectWork, operations: Operations) -> None:
        self._prefect = prefect
        self._operations = operations
        self._suspected: frozenset[FlowRunState] = frozenset()

    def mend(self, taken: Collection[str]) -> None:
        """Tell Prefect of what nobody had taken up or claimed at the last look, and nobody has at this one.

        A process claims before it begins and says how it ended before it lets go, so that Prefect is asked first.
        """
        shown = [*self._prefect.at_work(), *self._prefect.left_at_work()]
        claimed = {claim.flow_run for claim in self._operations.claims()}
        suspected = frozenset(one for one in shown if one.flow_run not in taken and one.flow_run not in claimed)
        for one in suspected & self._suspected:
            self.tell(one.flow_run)
        self._suspected = suspected - self._suspected

    def tell(self, flow_run: str, *, cancelled: bool = False) -> None:
        """Prefect learns that it was lost or cancelled, with its subflows; nothing happens if it has ended."""
        below = (one.flow_run for one in self._prefect.at_work_below(flow_run))
        for one in chain(below, (flow_run,)):
            state = self._prefect.state(one)
            if state in UNFINISHED:
                self._prefect.tell(one, *(_STOPPED if cancelled or state == "CANCELLING" else _LOST))
