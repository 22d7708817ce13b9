"""Keyed digests (HMAC-SHA-256), from which a value can't be guessed: a key a purpose, a version beside each digest.

A key is rotated by adding a version: new digests are made with the newest one, older digests stay comparable
(docs/operations.md). `common.aws.keyring` reads the keys of a purpose.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Literal

Purpose = Literal["request", "code", "pin", "instrument", "cursor", "email"]
"""What a key digests: request bodies, codes, PINs, cards and IBANs, cursors, and email addresses in logs."""


class Keyring:
    """The keys of one purpose, by version. Versions are positive integers as text; the highest is the newest."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(sorted(keys.items(), key=lambda item: int(item[0]), reverse=True))

    def digest(self, value: str) -> str:
        """Return `<version>:<hex>` under the newest key."""
        return self.digests(value)[0]

    def digests(self, value: str) -> tuple[str, ...]:
        """Return the digest under every key, newest first: a stored digest of `value` is one of them."""
        return tuple(
            f"{version}:{hmac.new(key, value.encode(), hashlib.sha256).hexdigest()}"
            for version, key in self._keys.items()
        )

    def matches(self, value: str, digest: str) -> bool:
        """Return whether `digest` is one of `value`, in constant time."""
        return any(hmac.compare_digest(each.encode(), digest.encode()) for each in self.digests(value))
