"""Where the shared cache is, as environment variables say; nobody has one who does not say."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from delivery.errors import ConfigurationError

ADDRESS = "SHIPLINE_CACHE_URL"
ENDPOINT = "SHIPLINE_CACHE_ENDPOINT_URL"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9._/-]*")
_ENDPOINT = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:\d{1,5})?/?", re.ASCII)
_SCHEME = "s3://"


@dataclass(frozen=True, slots=True)
class SharedCacheSettings:
    """A bucket and what the names of our objects in it begin with. Credentials come by AWS's own ways."""

    bucket: str
    prefix: str = ""
    """Without slashes at its ends."""
    endpoint_url: str | None = None
    """Of a server that is not AWS."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "SharedCacheSettings | None":
        """From `SHIPLINE_CACHE_URL` (`s3://BUCKET/PREFIX`) and `SHIPLINE_CACHE_ENDPOINT_URL`; None without the first.

        ConfigurationError for what is no such address.
        """
        address = environment.get(ADDRESS)
        return cls.at(address, environment) if address else None

    @classmethod
    def at(cls, address: str, environment: Mapping[str, str] = os.environ) -> "SharedCacheSettings":
        """Of an address like `s3://BUCKET/PREFIX`; ConfigurationError for what is none."""
        bucket, _, prefix = address.removeprefix(_SCHEME).partition("/")
        known = address.startswith(_SCHEME) and _BUCKET.fullmatch(bucket) and _PREFIX.fullmatch(prefix)
        if not known:
            message = f"reading {ADDRESS}: it must be an address like s3://BUCKET/PREFIX, got '{address}'"
            raise ConfigurationError(message, hint="credentials are not part of it: AWS's own variables have them")
        return cls(bucket, prefix.strip("/"), _endpoint(environment))

    @property
    def address(self) -> str:
        """`s3://BUCKET/PREFIX`, for people."""
        return f"{_SCHEME}{self.bucket}/{self.prefix}".rstrip("/")


def _endpoint(environment: Mapping[str, str]) -> str | None:
    endpoint = environment.get(ENDPOINT) or None
    if endpoint and not _ENDPOINT.fullmatch(endpoint):
        raise ConfigurationError(f"reading {ENDPOINT}: it must be an address like https://HOST:PORT")
    return endpoint
