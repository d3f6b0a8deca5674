"""`shipline doctor`: what this machine lacks, and how to get it."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from delivery.adapters.unprivileged_account import account
from delivery.errors import DeliveryError
from delivery.home import Home
from shipline.control.finding import Finding
from shipline.control.isolation_finding import isolation_finding

_OLDEST_PYTHON = (3, 11)
_OLDEST_GIT = (2, 30)
_FREE_BYTES = 2 * 1024**3
"""A home with its PostgreSQL, mirrors and a few artifacts."""


def doctor(home: Home) -> list[Finding]:
    """Every finding, the good ones too, in the order in which things are needed."""
    needed = [_python(), _git(), _bash(), _account(), _writable(home), _space(home), _loopback()]
    return [*needed, isolation_finding(), *_optional()]


def _python() -> Finding:
    recent = sys.version_info >= _OLDEST_PYTHON
    return Finding("python", ".".join(map(str, sys.version_info[:3])), "" if recent else "install Python 3.11 or later")


def _git() -> Finding:
    path = shutil.which("git")
    if path is None:
        return Finding("git", "not found", "apt-get install git")
    told = subprocess.run([path, "version"], capture_output=True, text=True, check=False).stdout.strip()
    numbers = re.search(r"(\d+)\.(\d+)", told)
    recent = numbers is not None and (int(numbers[1]), int(numbers[2])) >= _OLDEST_GIT
    return Finding("git", told or "does not answer", "" if recent else "install git 2.30 or later")


def _bash() -> Finding:
    path = shutil.which("bash", path="/usr/bin:/bin:/usr/local/bin")
    return Finding("bash", path or "not found", "" if path else "apt-get install bash")


def _account() -> Finding:
    """PostgreSQL refuses root, so as root it runs as another account."""
    if os.geteuid() != 0:
        return Finding("user", f"uid {os.geteuid()}")
    try:
        account().command(("/bin/true",), needs=())
    except DeliveryError as error:
        return Finding("user", error.message, error.hint)
    return Finding("user", "root; PostgreSQL runs as 'nobody'")


def _writable(home: Home) -> Finding:
    place = _existing(home)
    writable = place.is_dir() and os.access(place, os.W_OK)
    wrong = "read-only" if place.is_dir() else "no folder"
    return Finding(
        "home",
        str(home.root) if writable else f"{home.root}: {place} is {wrong}",
        "" if writable else "set SHIPLINE_HOME to a folder that you may write",
    )


def _space(home: Home) -> Finding:
    place = _existing(home)
    free = shutil.disk_usage(place).free
    hint = f"free {_FREE_BYTES // 1024**3} GB where {place} is, or set SHIPLINE_HOME elsewhere"
    return Finding("disk", f"{free / 1024**3:.1f} GB free", "" if free >= _FREE_BYTES else hint)


def _existing(home: Home) -> Path:
    return next(folder for folder in (home.root, *home.root.parents) if folder.exists())


def _loopback() -> Finding:
    try:
        with socket.create_server(("127.0.0.1", 0)):
            return Finding("ports", "127.0.0.1 can be listened on")
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        return Finding("ports", f"listening on 127.0.0.1: {cause}", "bring up the loopback interface")


def _optional() -> Iterator[Finding]:
    for program, use in (("chromium", "the browser test"), ("skopeo", "looking into artifacts from outside")):
        path = shutil.which(program)
        hint = "" if path else f"apt-get install {program}"
        yield Finding(program, path or f"not found; only {use} needs it", hint, required=False)
