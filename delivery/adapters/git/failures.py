"""What git's failures mean: each becomes one of our errors, in one place, without credentials."""

import re

from delivery.errors import ConfigurationError, DeliveryError, NotFoundError, PermanentError, TransientError


def as_text(output: bytes | str | None) -> str:
    r"""Output for people and paths; bytes that are not UTF-8 stay readable as `\xNN`."""
    return output.decode("utf-8", "backslashreplace") if isinstance(output, bytes) else output or ""


def without_credentials(text: str) -> str:
    """The text with user names, passwords and queries taken out of every URL in it."""
    return re.sub(r"(\w[\w+.-]*://)([^/\s'\"]*@)?([^\s'\"?#]*)([?#][^\s'\"]*)?", r"\1\3", text)


def checked_name(name: str) -> str:
    """A revision's name that git cannot take for an option; NotFoundError otherwise."""
    if not name or name.startswith("-") or any(ord(character) < 32 for character in name):  # noqa: PLR2004  # controls
        raise NotFoundError(
            f"'{without_credentials(name)}' is not a revision", hint="give a branch, a tag or a commit id"
        )
    return name


def failure(doing: str, status: int, message: str) -> DeliveryError:
    """What a failed git means for the caller."""
    said = without_credentials(message)
    for pattern, kind, cause, hint in _MEANINGS:
        if found := re.search(pattern, said, re.IGNORECASE):
            return kind(f"{doing}: {found.expand(cause)}", hint=hint)
    lines = [re.sub(r"^(fatal|error|remote): ", "", line) for line in said.splitlines() if line.strip()]
    return PermanentError(f"{doing}: {lines[-1].rstrip('.') if lines else f'git ended with status {status}'}")


_NETWORK = "check the address and the network, then try again"
_CREDENTIALS = "give git access without a prompt: a credential helper, an SSH key in an agent, or a token"
_MEANINGS: tuple[tuple[str, type[DeliveryError], str, str], ...] = (
    (r"(env: .git.|^git): No such file", ConfigurationError, "git is not installed", "install git 2.34 or later"),
    (
        r"dubious ownership in repository at '(.*?)'",
        ConfigurationError,
        r"\1 belongs to another user",
        "if you trust it: git config --global --add safe.directory FOLDER",
    ),
    (
        r"cannot change to '(.*?)': No such file or directory",
        NotFoundError,
        r"\1 does not exist",
        "give an existing folder or a URL",
    ),
    (
        r"not a git repository",
        ConfigurationError,
        "not a git repository",
        "change into one, or make one: git init && git add -A && git commit",
    ),
    (
        r"does not appear to be a git repository|repository '?(.*?)'? (does not exist|not found)",
        NotFoundError,
        "there is no such repository",
        "check its address",
    ),
    (
        (
            r"ambiguous argument|unknown revision|bad revision|bad object|Not a valid (object|commit) name"
            r"|invalid object|needed a single revision|couldn't find remote ref|malformed object name"
            r"|Invalid revision range"
        ),
        NotFoundError,
        "there is no such revision",
        "check its spelling, or fetch the branch that has it",
    ),
    (
        r"Authentication failed|could not read (Username|Password)|terminal prompts disabled|Permission denied \(",
        ConfigurationError,
        "the repository asks for credentials",
        _CREDENTIALS,
    ),
    (
        r"transport '(\w+)' not allowed",
        ConfigurationError,
        r"addresses of the kind '\1' are not allowed",
        "use https, ssh or a path",
    ),
    (
        (
            r"Could not resolve host|unable to access|Connection (refused|reset|timed out)|remote end hung up|early EOF"
            r"|Could not read from remote|unable to connect|Host key verification failed"
        ),
        TransientError,
        "the repository did not answer",
        _NETWORK,
    ),
    (r"Timeout: the command", TransientError, "git did not finish in time", _NETWORK),
    (r"No space left on device", TransientError, "the disk is full", "free some space, then try again"),
    (
        r"Unable to create '.*\.lock': File exists",
        TransientError,
        "another git process holds a lock",
        "try again in a minute",
    ),
)
