"""The names that somebody who listens answers to, so that no other name can be pointed at it."""

from collections.abc import Collection
from ipaddress import ip_address

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def names_of(host: str) -> Collection[str] | None:
    """Of whoever listens there: that one, and those of loopback; None where it listens on every address."""
    return None if _is_everywhere(host) else LOOPBACK | {host.lower()}


def host_name(host: bytes) -> str:
    """Of a Host header, without the port: a tunnel may end at any."""
    text = host.decode("latin-1").strip().lower()
    name = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
    return name.rstrip(".")


def _is_everywhere(host: str) -> bool:
    """Whether it listens on every address, whose names nobody can list."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return host == ""
