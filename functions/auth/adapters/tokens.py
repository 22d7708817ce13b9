"""Access tokens: JWTs signed with ES256 (RFC 9068), and the public keys that verify them."""

import hashlib
import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Protocol

import jwt
from common import clock
from common.errors import Refusal
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from jwt.algorithms import ECAlgorithm
from jwt.utils import base64url_encode

from functions.auth.domain.sessions import ACCESS_LIFETIME, SCOPES, Claims
from functions.auth.domain.users import User

ALGORITHM = "ES256"
TYPE = "at+jwt"
_LEEWAY_SECONDS = 5
_CLAIMS = ("iss", "aud", "sub", "sid", "role", "email_verified", "scope", "auth_time", "iat", "nbf", "exp", "jti")


class Verifier(Protocol):
    """A P-256 key that verifies."""

    @property
    def public_key(self) -> EllipticCurvePublicKey:
        """The public key."""


class Signer(Verifier, Protocol):
    """A P-256 key that signs and verifies."""

    def sign(self, message: bytes) -> bytes:
        """Return the ES256 signature: r and s, 32 bytes each."""


class AccessTokens:
    """The tokens of one issuer (a URL), for its API.

    One key signs. `others` are published and trusted as well: the key that will sign next, or the previous key until
    its last tokens expire (docs/operations.md).
    """

    def __init__(self, signer: Signer, issuer: str, others: Sequence[Verifier] = ()) -> None:
        self._signer = signer
        self._others = others
        self._issuer = issuer
        self._audience = f"{issuer}/v1"

    def issue(self, user: User, session_id: str, auth_time: int, at: datetime) -> str:
        """Return a token for a session, valid for 15 minutes from `at`."""
        issued = int(at.timestamp())
        header = {"alg": ALGORITHM, "kid": self._signing["kid"], "typ": TYPE}
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": user.id,
            "sid": session_id,
            "role": user.role,
            "email_verified": user.email_verified,
            "scope": " ".join(SCOPES),
            "auth_time": auth_time,
            "iat": issued,
            "nbf": issued,
            "exp": issued + int(ACCESS_LIFETIME.total_seconds()),
            "jti": secrets.token_urlsafe(16),
        }
        message = _part(header) + b"." + _part(claims)
        return (message + b"." + base64url_encode(self._signer.sign(message))).decode()

    def verify(self, token: str) -> Claims:
        """Return the claims of a token. Raises Refusal `unauthenticated` if it is not ours or not valid now."""
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode(
                token,
                self._public_keys[header["kid"]],
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY_SECONDS,
                options={"require": list(_CLAIMS)},
            )
        except (jwt.InvalidTokenError, KeyError, RecursionError, UnicodeEncodeError) as error:
            raise Refusal("unauthenticated") from error
        if header.get("typ") != TYPE:
            raise Refusal("unauthenticated")
        return Claims(
            user_id=claims["sub"],
            session_id=claims["sid"],
            role=claims["role"],
            scopes=tuple(claims["scope"].split()),
            email_verified=claims["email_verified"],
            expires_at=clock.timestamp(datetime.fromtimestamp(claims["exp"], UTC)),
            auth_time=claims["auth_time"],
        )

    @property
    def keys(self) -> list[dict[str, Any]]:
        """The public keys as JWKs, the signing key first. The `kid` is the key's thumbprint (RFC 7638)."""
        return [self._signing, *map(_jwk, self._others)]

    @cached_property
    def _signing(self) -> dict[str, Any]:
        return _jwk(self._signer)

    @cached_property
    def _public_keys(self) -> dict[str, EllipticCurvePublicKey]:
        return {_jwk(each)["kid"]: each.public_key for each in (self._signer, *self._others)}

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of the issuer (OpenID Connect Discovery)."""
        return {
            "issuer": self._issuer,
            "jwks_uri": f"{self._audience}/.well-known/jwks.json",
            "scopes_supported": list(SCOPES),
            "response_types_supported": [],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "claims_supported": list(_CLAIMS),
        }


def _jwk(verifier: Verifier) -> dict[str, Any]:
    jwk = ECAlgorithm.to_jwk(verifier.public_key, as_dict=True)
    point = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    kid = base64url_encode(hashlib.sha256(_json(point)).digest()).decode()
    return {**point, "kid": kid, "use": "sig", "alg": ALGORITHM}


def _part(fields: dict[str, Any]) -> bytes:
    return base64url_encode(_json(fields))


def _json(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()
