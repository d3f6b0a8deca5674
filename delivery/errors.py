"""Errors sorted by what the caller does next.

    DeliveryError
      ConfigurationError     what was given is wrong; nothing was changed
      TransientError         try again; nothing is known to be wrong
      PermanentError         do not try again; a person has to change something
        VerificationError    the evidence was read and it is wrong
      DefectError            Shipline itself is wrong; the same call would end the same way

A refusal (a gate or a person said no) is not an error: it is a `delivery.gates.verdict.Verdict`.
"""

from dataclasses import dataclass

_MOST_SAID = 300


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input: where it stands, what it is, and what to do."""

    message: str
    hint: str = ""
    where: str = ""
    """`file:line:column`, or empty when the input is not a file."""
    excerpt: str = ""
    """The offending line with a caret under the column, for people."""


class DeliveryError(Exception):
    """The root: everything that Shipline raises on purpose.

    The message is one sentence, lower case, without a full stop: what was being done, on what, and
    the cause. `hint` says what to do next.
    """

    def __init__(self, message: str, *, hint: str = "", where: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where


class ConfigurationError(DeliveryError):
    """What a person gave (a file, an option, a repository) is wrong; nothing was changed."""

    def __init__(
        self, message: str, *, hint: str = "", where: str = "", problems: tuple[Problem, ...] = (), more: int = 0
    ) -> None:
        """With `more` problems than are given."""
        super().__init__(message, hint=hint, where=where)
        self.problems = problems
        self.more = more


class NotFoundError(ConfigurationError):
    """What was named does not exist."""


class TransientError(DeliveryError):
    """The outside world did not answer; the same call may pass later."""


class PermanentError(DeliveryError):
    """The same call would end the same way; a person has to change something."""


class VerificationError(PermanentError):
    """The evidence was read and it is wrong (never: it could not be read)."""


class DefectError(DeliveryError):
    """A mistake in Shipline itself: something was raised that nobody meant to raise."""

    @classmethod
    def of(cls, error: Exception) -> "DefectError":
        """Tells the kind and the first line of what was raised, and where all of it stands."""
        said = (str(error).splitlines() or [""])[0][:_MOST_SAID]
        name = type(error).__name__ + (f": {said}" if said else "")
        where = "a mistake in Shipline itself, whose traceback stands in logs/control/worker.log under the home"
        return cls(f"{name} ({where})", hint="shipline retry tries again")


class StaleFenceError(PermanentError):
    """Somebody with a newer fence has acted on this target since; nothing was changed."""
