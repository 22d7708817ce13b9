"""Hashing of PINs: bcrypt of a keyed digest of account and PIN.

A PIN has a million possible values, so that bcrypt alone would only make guessing expensive. Without the key, the table
does not allow guessing at all.
"""

from collections.abc import Callable

import bcrypt
from common.idempotency import digest


class BcryptPinDigests:
    """PIN digests at bcrypt's `cost`. The key is read when it is first needed."""

    def __init__(self, key: Callable[[], bytes], cost: int) -> None:
        self._key = key
        self._cost = cost

    def digest(self, account_id: str, pin: str) -> str:
        """Return a new digest of a PIN, with a new salt."""
        return bcrypt.hashpw(self._keyed(account_id, pin), bcrypt.gensalt(self._cost)).decode()

    def matches(self, account_id: str, pin: str, digested: str) -> bool:
        """Compare a PIN with a digest, which takes as long as making one."""
        return bcrypt.checkpw(self._keyed(account_id, pin), digested.encode())

    def _keyed(self, account_id: str, pin: str) -> bytes:
        return digest(self._key(), "pin", f"{account_id}\n{pin}").encode()
