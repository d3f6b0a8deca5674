"""Tokens of an OpenID Connect provider: whether it signed them, for us, now, and for this attempt."""

from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from delivery.errors import VerificationError
from shipline.web.settings import OpenIdSettings

_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
"""Signatures by a key that only the provider has."""
_LEEWAY_SECONDS = 60


def checked_claims(
    settings: OpenIdSettings,
    token: str,
    keys: Any,  # noqa: ANN401  # JSON
    offered: list[str] | None,
    nonce: str,
) -> dict[str, Any]:
    """The claims; VerificationError when anything is wrong. `offered` are the provider's own algorithms."""
    algorithms = sorted(_ALGORITHMS & set(offered or ["RS256"]))
    wanted = jwt.JWTClaimsRegistry(
        leeway=_LEEWAY_SECONDS,
        iss={"essential": True, "value": settings.issuer},
        aud={"essential": True, "value": settings.client_id},
        nonce={"essential": True, "value": nonce},
        exp={"essential": True},
        iat={"essential": True},
        sub={"essential": True},
        azp={"value": settings.client_id},
    )
    try:
        claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms).claims
        wanted.validate(claims)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise VerificationError(f"checking the identity token of {settings.issuer}: {error}") from error
    return claims
