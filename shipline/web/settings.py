"""Where people reach the gateway, and whom it believes who they are."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from delivery.errors import ConfigurationError
from shipline.web.hosts import LOOPBACK

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class OpenIdSettings:
    """A provider that people sign in with; what it knows us by is the home's `credentials/oidc-client-secret`."""

    issuer: str
    """`SHIPLINE_GATEWAY_OIDC_ISSUER`: its address, as it calls itself."""
    client_id: str
    """`SHIPLINE_GATEWAY_OIDC_CLIENT_ID`: how it calls us."""
    claim: str = "preferred_username"
    """`SHIPLINE_GATEWAY_OIDC_CLAIM`: which claim is a person's name here; an `email` counts once verified."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Set by environment variables; where it listens is the control plane's affair."""

    url: str | None = None
    """`SHIPLINE_GATEWAY_URL`: what stands in people's browsers when something with a certificate stands before it."""
    identity_header: str | None = None
    """`SHIPLINE_GATEWAY_IDENTITY_HEADER`: in which a trusted proxy says who is asking, in lower case."""
    proxies: tuple[Network, ...] = ()
    """`SHIPLINE_GATEWAY_PROXIES`: addresses and networks of trusted proxies, with commas between them."""
    openid: OpenIdSettings | None = None
    """`SHIPLINE_GATEWAY_OIDC_*`."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "GatewaySettings":
        """As the environment says; ConfigurationError for what is none of these."""
        header = (environment.get("SHIPLINE_GATEWAY_IDENTITY_HEADER") or "").lower()
        proxies = _networks(environment.get("SHIPLINE_GATEWAY_PROXIES") or "")
        if bool(header) != bool(proxies):
            raise ConfigurationError(
                "reading SHIPLINE_GATEWAY_IDENTITY_HEADER and SHIPLINE_GATEWAY_PROXIES: one needs the other",
                hint="the header's name, and the addresses of the proxies that may send it",
            )
        return cls(
            url=_origin(environment.get("SHIPLINE_GATEWAY_URL")),
            identity_header=header or None,
            proxies=proxies,
            openid=_openid(environment),
        )

    def trusts(self, address: str) -> bool:
        """Whether what sends from there is a trusted proxy."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        plain = getattr(found, "ipv4_mapped", None) or found
        return any(plain in network for network in self.proxies)


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(one.strip()) for one in text.split(",") if one.strip())
    except ValueError as error:
        raise ConfigurationError(f"reading SHIPLINE_GATEWAY_PROXIES: {error}") from error


def _openid(environment: Mapping[str, str]) -> OpenIdSettings | None:
    issuer = environment.get("SHIPLINE_GATEWAY_OIDC_ISSUER") or ""
    client = environment.get("SHIPLINE_GATEWAY_OIDC_CLIENT_ID") or ""
    if bool(issuer) != bool(client):
        raise ConfigurationError(
            "reading SHIPLINE_GATEWAY_OIDC_ISSUER and SHIPLINE_GATEWAY_OIDC_CLIENT_ID: one needs the other"
        )
    if not issuer:
        return None
    parts = urlsplit(issuer)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise ConfigurationError(f"reading SHIPLINE_GATEWAY_OIDC_ISSUER: it must begin with https://, got '{issuer}'")
    return OpenIdSettings(issuer, client, environment.get("SHIPLINE_GATEWAY_OIDC_CLAIM") or "preferred_username")


def _origin(text: str | None) -> str | None:
    if not text:
        return None
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.path not in {"", "/"}:
        raise ConfigurationError(
            f"reading SHIPLINE_GATEWAY_URL: it must be like https://delivery.example.org, got '{text}'"
        )
    return f"{parts.scheme}://{parts.netloc}".lower()
