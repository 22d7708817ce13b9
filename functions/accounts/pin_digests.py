"""PINs as they are kept: bcrypt of a keyed digest of account and PIN, which the table alone does not let guess.

A PIN has a million values: without the key, bcrypt would only make them dear to try.
"""

from collections.abc import Callable

import bcrypt
from common.idempotency import digest

COST = 12


class PinDigests:
    """Digests and comparisons at bcrypt's `cost`, under a key that is read when it is first needed."""

    def __init__(self, key: Callable[[], bytes], cost: int = COST) -> None:
        self._key = key
        self._cost = cost

    def digest(self, account_id: str, pin: str) -> str:
        """A slow, salted digest."""
        return bcrypt.hashpw(self._keyed(account_id, pin), bcrypt.gensalt(self._cost)).decode()

    def matches(self, account_id: str, pin: str, digested: str) -> bool:
        """Whether this is the PIN that was digested for the account."""
        return bcrypt.checkpw(self._keyed(account_id, pin), digested.encode())

    def _keyed(self, account_id: str, pin: str) -> bytes:
        return digest(self._key(), "pin", f"{account_id}\n{pin}").encode()
