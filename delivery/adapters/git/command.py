"""Running git: hardened in one place.

Nothing that git runs may ask a person, run a hook, start an `ext::` helper, or obey variables that a
surrounding git hook has exported. GitPython's `Git` is used rather than its `Repo`, because it holds no
processes open between calls and the plumbing commands give exact bytes.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # otherwise importing fails where git is missing

from git import Git, GitCommandNotFound  # after the variable it reads

from delivery.adapters.git.failures import as_text, failure

_INHERITED = (  # what git exports to hooks; see `git rev-parse --local-env-vars`
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_TRACE",
    "GIT_WORK_TREE",
)
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.ext.allow=never",
    "gc.autoDetach=false",
    "maintenance.autoDetach=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
)
_CONFIGURED = [word for setting in _SETTINGS for word in ("-c", setting)]
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
}
_NOT_FOUND = 127
"""As a shell and `env` say it."""
_WITHOUT_PERSON = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1"}


@dataclass(frozen=True, slots=True)
class GitFolder:
    """Git in one folder. With `personal`, the configuration of the user and the machine counts.

    It has to where a person's own work tree or a network is read (credentials, proxies, ignored files);
    a mirror and a checkout are the same for everybody.
    """

    folder: Path
    personal: bool = False

    def output(
        self,
        doing: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        deadline_seconds: float = 120,
    ) -> bytes:
        """What git prints; `doing` begins the message of the error otherwise raised."""
        status, output, message = self._execute(arguments, environment or {}, deadline_seconds)
        if status:
            raise failure(doing, status, message)
        return output

    def text(self, doing: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """As `output`, decoded and without the newline at its end."""
        return as_text(self.output(doing, *arguments, environment=environment)).rstrip("\n")

    def answer(self, doing: str, *arguments: str) -> str | None:
        """As `text`; None when git exits with 1, its way to say no."""
        status, output, message = self._execute(arguments, {}, deadline_seconds=120)
        if status > 1:
            raise failure(doing, status, message)
        return None if status else as_text(output).rstrip("\n")

    def _execute(
        self, arguments: tuple[str, ...], environment: Mapping[str, str], deadline_seconds: float
    ) -> tuple[int, bytes, str]:
        command = [*_clearing(environment), "git", "-C", str(self.folder), *_CONFIGURED, *arguments]
        try:
            status, output, message = Git(self.folder).execute(
                command,
                with_extended_output=True,
                with_exceptions=False,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
                kill_after_timeout=deadline_seconds,
                env={**_ENVIRONMENT, **({} if self.personal else _WITHOUT_PERSON), **environment},
            )
        except GitCommandNotFound:
            return _NOT_FOUND, b"", "git: No such file or directory"
        return status, output if isinstance(output, bytes) else b"", as_text(message)


def _clearing(environment: Mapping[str, str]) -> list[str]:
    """What starts a program without variables that this process has inherited: mostly nothing, which is quicker."""
    told = [name for name in _INHERITED if name in os.environ and name not in environment]
    return ["env", *(word for name in told for word in ("-u", name))] if told else []
