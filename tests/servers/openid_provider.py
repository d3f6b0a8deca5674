"""A real OpenID Connect provider in a process of its own, at which everybody is whoever they say."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from shipline.control.settings import free_port

_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RunningProvider:
    """Where it is."""

    issuer: str

    def knows(self, subject: str, **claims: object) -> None:
        """Somebody, and what it says of them."""
        address = f"{self.issuer}/users/{quote(subject)}"
        httpx.put(address, json=claims, trust_env=False, timeout=10).raise_for_status()

    def authorized(self, asked: str, subject: str) -> str:
        """Say yes on its page, to which a browser was sent; where it sends the browser back."""
        answer = httpx.post(asked, data={"sub": subject}, trust_env=False, timeout=10)
        assert answer.has_redirect_location, answer.text
        return str(answer.headers["location"])

    def denied(self, asked: str) -> str:
        """Say no there."""
        answer = httpx.post(asked, data={"action": "deny"}, trust_env=False, timeout=10)
        assert answer.has_redirect_location, answer.text
        return str(answer.headers["location"])


@contextmanager
def running_provider() -> Iterator[RunningProvider]:
    """On a free port; gone on leaving."""
    port = free_port(None, None)
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            provider = RunningProvider(f"http://127.0.0.1:{port}")
            _wait(provider, process)
            yield provider
        finally:
            process.terminate()


def _wait(provider: RunningProvider, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(httpx.HTTPError):
            httpx.get(f"{provider.issuer}/jwks", trust_env=False).raise_for_status()
            return
        time.sleep(0.1)
    raise RuntimeError("the provider does not start")
