"""Passwords as they are kept: bcrypt of the text, or of its SHA-256 where bcrypt would not read all of it."""

import base64
import hashlib
from functools import cache
from pathlib import Path

import bcrypt

from functions.auth.domain.passwords import canonical

COST = 12
_BCRYPT_READS = 72
# Salt and digest to compare with where there is no user, so that an unknown email costs what a known one does.
_NOBODY = "R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"


class BcryptPasswords:
    """Digests and comparisons at bcrypt's `cost`."""

    def __init__(self, cost: int = COST) -> None:
        self._cost = cost

    @property
    def common(self) -> frozenset[str]:
        """The commonest passwords of eight characters or more, in lower case.

        From the frequency list of zxcvbn (MIT, Dan Wheeler and Dropbox, Inc.), with repeated digits added.
        """
        return _common()

    def digest(self, password: str) -> str:
        """A slow, salted digest."""
        return bcrypt.hashpw(_readable(password), bcrypt.gensalt(self._cost)).decode()

    def matches(self, password: str, digest: str | None) -> bool:
        """Whether the password is the one of `digest`; for None it does the same work and answers no."""
        against = digest or f"$2b${self._cost:02}${_NOBODY}"
        return bcrypt.checkpw(_readable(password), against.encode()) and digest is not None


def _readable(password: str) -> bytes:
    raw = canonical(password).encode()
    # bcrypt repeats what it reads, a NUL in between: to it "a" and "a\0a" are one.
    if len(raw) <= _BCRYPT_READS and b"\0" not in raw:
        return raw
    return base64.b64encode(hashlib.sha256(raw).digest())


@cache
def _common() -> frozenset[str]:
    return frozenset(Path(__file__).with_name("common_passwords.txt").read_text("ascii").split())
