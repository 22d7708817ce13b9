"""Hashing of PINs: bcrypt of a keyed digest of account and PIN, after the version of the key.

A PIN has a million possible values, so that bcrypt alone would only make guessing expensive. Without the key, the table
does not allow guessing at all. A stored digest is compared under the version that it was made with; the next PIN that
is set gets the newest. So a version stays in the secret while digests of it exist.
"""

from collections.abc import Callable

import bcrypt
from common.keys import Keyring


class BcryptPinDigests:
    """PIN digests at bcrypt's `cost`. The keys are read when they are first needed."""

    def __init__(self, keyring: Callable[[], Keyring], cost: int) -> None:
        self._keyring = keyring
        self._cost = cost

    def digest(self, account_id: str, pin: str) -> str:
        """Return `<version>:<bcrypt>`, a new digest of a PIN, with a new salt."""
        version, _, keyed = self._keyed(account_id, pin)[0].partition(":")
        return f"{version}:{bcrypt.hashpw(keyed.encode(), bcrypt.gensalt(self._cost)).decode()}"

    def matches(self, account_id: str, pin: str, digested: str) -> bool:
        """Compare a PIN with a digest, which takes as long as making one. False if the version's key is gone."""
        version, _, hashed = digested.partition(":")
        by_version = dict(each.split(":", 1) for each in self._keyed(account_id, pin))
        return version in by_version and bcrypt.checkpw(by_version[version].encode(), hashed.encode())

    def _keyed(self, account_id: str, pin: str) -> tuple[str, ...]:
        return self._keyring().digests(f"{account_id}\n{pin}")
