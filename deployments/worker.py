"""The process that has imported what flow runs need, and forks one for each; Prefect's server, too.

`python -m deployments.worker FD` takes orders from whoever holds the other end of the socket FD, and reads
its Prefect server from Prefect's own environment variables.
"""

import sys
from importlib import import_module
from socket import socket

# What flow runs need, imported before anything is forked.
import flows.deliver_revision
import flows.promote_release
import flows.report_dora  # noqa: F401
from delivery.adapters.step_supervisors import SUPERVISORS
from deployments.flow_run import execute, prepared
from deployments.forked_component import become
from deployments.warm_processes import COMPONENT_NAME, FLOW_RUN_NAME, take_orders

_IMPORTED_LATE = (
    "prefect.task_engine",
    "prefect.utilities.visualization",  # and graphviz with it, by each flow run's first task
    "fastapi.encoders",
    "rich._emoji_codes",
    "encodings.idna",
)
"""What Prefect and its libraries import in the middle of a flow run: 0.5 s each time."""

if __name__ == "__main__":
    for module in _IMPORTED_LATE:
        import_module(module)
    SUPERVISORS.warm_up()
    with prepared():
        take_orders(socket(fileno=int(sys.argv[1])), {FLOW_RUN_NAME: execute, COMPONENT_NAME: become})
