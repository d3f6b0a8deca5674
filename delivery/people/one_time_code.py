"""One-time codes of an authenticator (RFC 6238): made from a shared secret and the time, good once.

Six digits for thirty seconds; the code before and the one after count too, for clocks that differ. After five wrong
ones nothing counts for a while, so that nobody gets through by guessing.
"""

import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pyotp

from delivery.gates.verdict import Verdict

ISSUER = "Shipline"
MOST_WRONG = 5
LOCKED = timedelta(minutes=15)
_STEPS = (0, -1, 1)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator has to learn."""

    secret: str
    uri: str
    """`otpauth://totp/...`, also to be shown as a QR code."""


@dataclass(frozen=True, slots=True)
class CodeState:
    """What is remembered of somebody's codes."""

    used: int = -1
    """The newest step of thirty seconds whose code was taken: it and all before it are spent."""
    wrong: int = 0
    """In a row."""
    locked_until: datetime | None = None


def new_enrolment(name: str) -> Enrolment:
    """A fresh secret of 160 bits."""
    return enrolment_of(name, pyotp.random_base32())


def enrolment_of(name: str, secret: str) -> Enrolment:
    """The same secret, to be shown again."""
    return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER))


def judge_code(state: CodeState, secret: str, code: str, at: datetime) -> tuple[Verdict, CodeState]:
    """Whether a code counts, and what is to be remembered before anybody is told."""
    if state.locked_until and at < state.locked_until:
        return Verdict("one-time code", (_locked(state.locked_until),)), state
    step = _step_of(secret, code, at)
    if step is not None and step > state.used:
        return Verdict("one-time code"), CodeState(used=step)
    wrong = 0 if state.locked_until else state.wrong
    state = replace(state, wrong=wrong + 1, locked_until=None)
    if state.wrong >= MOST_WRONG:
        state = replace(state, locked_until=at + LOCKED)
    because = "that code was used already: wait for the next one" if step is not None else "wrong one-time code"
    return Verdict("one-time code", (because,)), state


def _step_of(secret: str, code: str, at: datetime) -> int | None:
    """The step whose code this is, around now; None when it is none of these."""
    given, codes = code.replace(" ", "").encode(), pyotp.TOTP(secret)
    found = [
        offset for offset in _STEPS if hmac.compare_digest(codes.at(for_time=at, counter_offset=offset).encode(), given)
    ]
    return codes.timecode(at) + found[0] if found else None


def _locked(until: datetime) -> str:
    return f"too many wrong one-time codes: none counts until {until:%H:%M:%S} UTC"
