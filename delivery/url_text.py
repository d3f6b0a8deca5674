"""Addresses of web pages, as texts that people are shown."""

from urllib.parse import urlsplit


def is_web_address(text: str) -> bool:
    """Whether it is a whole http or https address, without a user or password in it."""
    try:
        parts = urlsplit(text)
        host = parts.hostname if parts.port is None or parts.port > 0 else ""
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False
    plain = text.isprintable() and " " not in text and parts.username is None and parts.password is None
    return parts.scheme in {"http", "https"} and bool(host) and plain
