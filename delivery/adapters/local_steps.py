"""Everything that executing steps needs, on this machine and below one home."""

from delivery.adapters.folder_store import FolderStepCache, FolderStore
from delivery.adapters.process_fixtures import ProcessFixtures
from delivery.adapters.process_runner import ProcessRunner
from delivery.adapters.reports import read_reports
from delivery.adapters.step_log import StepLog
from delivery.adapters.tool_versions import tool_version
from delivery.home import Home
from delivery.step_execution import StepPorts


def local_step_ports(home: Home) -> StepPorts:
    """The process runner and its fixtures, with store and cache of the home."""
    store = FolderStore(home.store)
    runner = ProcessRunner()
    return StepPorts(
        runner=runner,
        fixtures=ProcessFixtures(runner, home.work / "fixtures", home.root / "cache"),
        store=store,
        cache=FolderStepCache(home.steps, store),
        tool=tool_version,
        read_reports=read_reports,
        open_log=StepLog,
    )
