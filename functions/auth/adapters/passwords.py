"""Password hashing with bcrypt, and the list of the most common passwords."""

import base64
import hashlib
from functools import cache
from pathlib import Path

import bcrypt

from functions.auth.domain.passwords import canonical

_BCRYPT_MAX_BYTES = 72
# A salt and a hash to compare with if there is no user, so that an unknown email takes as long as a known one.
_DUMMY = "R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"


class BcryptHasher:
    """bcrypt at a given cost. A password that bcrypt would not read whole is hashed with SHA-256 first."""

    def __init__(self, cost: int) -> None:
        self._cost = cost

    @property
    def common(self) -> frozenset[str]:
        """The most common passwords of at least eight characters, in lower case.

        From the frequency list of zxcvbn (MIT, Dan Wheeler and Dropbox, Inc.), with repeated digits added.
        """
        return _common()

    def digest(self, password: str) -> str:
        """Return a salted hash of the password."""
        return bcrypt.hashpw(_bcrypt_input(password), bcrypt.gensalt(self._cost)).decode()

    def matches(self, password: str, digest: str | None) -> bool:
        """Return whether the password has this hash. For None it does the same work and returns False."""
        against = digest or f"$2b${self._cost:02}${_DUMMY}"
        return bcrypt.checkpw(_bcrypt_input(password), against.encode()) and digest is not None


def _bcrypt_input(password: str) -> bytes:
    raw = canonical(password).encode()
    # bcrypt repeats its input with a NUL in between, so that "a" and "a\0a" would have the same hash.
    if len(raw) <= _BCRYPT_MAX_BYTES and b"\0" not in raw:
        return raw
    return base64.b64encode(hashlib.sha256(raw).digest())


@cache
def _common() -> frozenset[str]:
    return frozenset(Path(__file__).with_name("common_passwords.txt").read_text("ascii").split())
