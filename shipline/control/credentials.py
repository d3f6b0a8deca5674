"""Tokens of the control plane: made once, readable by their owner only."""

import os
import secrets

from delivery.home import Home


def api_token(home: Home) -> str:
    """What our own HTTP API asks for."""
    return _kept(home, "api-token", secrets.token_urlsafe(32))


def prefect_auth(home: Home) -> str:
    """What Prefect's API asks for: `user:password`."""
    return _kept(home, "prefect-auth", f"shipline:{secrets.token_urlsafe(32)}")


def _kept(home: Home, name: str, fresh: str) -> str:
    """The credential that is there, or the fresh one from now on; whoever comes first decides."""
    home.credentials.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = home.credentials / name
    staged = home.credentials / f".{name}-{secrets.token_hex(8)}"
    if not path.exists():
        with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(fresh + "\n")
        try:
            os.link(staged, path)
        except FileExistsError:
            pass
        finally:
            staged.unlink()
    return path.read_text().strip()
