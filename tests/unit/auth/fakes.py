"""The adapters of the auth context for tests: a local signing key, readable tokens and fast passwords."""

import base64
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any

from common import clock, ids
from common.errors import Refusal
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey, generate_private_key
from jwt.algorithms import ECAlgorithm

from functions.auth.domain.sessions import ACCESS_LIFETIME, SCOPES, Claims
from functions.auth.domain.users import User


class LocalSigner:
    """A signing key of this process."""

    def __init__(self) -> None:
        self.private_key = generate_private_key(SECP256R1())

    def sign(self, message: bytes) -> bytes:
        return ECAlgorithm(ECAlgorithm.SHA256).sign(message, self.private_key)

    @property
    def public_key(self) -> EllipticCurvePublicKey:
        return self.private_key.public_key()


class PlainTokens:
    """Access tokens without a signature. Only those issued here are valid."""

    def __init__(self) -> None:
        self._issued: dict[str, Claims] = {}

    def issue(self, user: User, session_id: str, auth_time: int, at: datetime) -> str:
        token = f"access token {len(self._issued) + 1}"
        expires_at = clock.timestamp(at + ACCESS_LIFETIME)
        self._issued[token] = Claims(user.id, session_id, user.role, SCOPES, user.email_verified, expires_at, auth_time)
        return token

    def verify(self, token: str) -> Claims:
        if token not in self._issued:
            raise Refusal("unauthenticated")
        return self._issued[token]


class PlainHasher:
    """Readable hashes. It counts the comparisons and calls `meanwhile` during each."""

    common = frozenset({"password1"})

    def __init__(self) -> None:
        self.compared = 0
        self.meanwhile: Callable[[], Any] = lambda: None

    def digest(self, password: str) -> str:
        return f"digest of {password}"

    def matches(self, password: str, digest: str | None) -> bool:
        self.compared += 1
        self.meanwhile()
        return digest == self.digest(password)


class PlainCipher:
    """No encryption, but a check that the secret belongs to the user."""

    def encrypt(self, user_id: str, text: str) -> bytes:
        return f"{user_id} {text}".encode()

    def decrypt(self, user_id: str, sealed: bytes) -> str:
        owner, text = sealed.decode().split()
        assert owner == user_id
        return text


class Counter:
    """Ascending ids, codes and secrets."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new_id(self, prefix: str, at: datetime) -> str:
        return ids.derived_id(prefix, at, str(next(self._numbers)))

    def new_code(self) -> str:
        return f"{next(self._numbers):06}"

    def new_secret(self) -> str:
        return f"{next(self._numbers):043}"

    def new_totp_secret(self) -> str:
        return base64.b32encode(f"{next(self._numbers):020}".encode()).decode()

    def new_recovery_code(self) -> str:
        return f"abcde-{next(self._numbers):05}"
