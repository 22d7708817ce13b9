"""Opaque cursors between the pages of a list."""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from common.errors import Refusal

_LONGEST_CURSOR = 1024
_DIGEST_BYTES = 8


class Cursors:
    """The cursors of one list, for one caller and one set of filters. Any other cursor is refused.

    The digest detects a cursor of another list; it does not authenticate. A forged cursor gives no more than a position
    within the caller's own list.
    """

    def __init__(self, caller: str, path: str, filters: Mapping[str, Any]) -> None:
        chosen = {name: value for name, value in sorted(filters.items()) if name not in ("limit", "cursor")}
        self._scope = json.dumps([caller, path, chosen])

    def encode(self, position: str | None) -> str | None:
        """Return the cursor of a position, or None for None."""
        if position is None:
            return None
        return base64.urlsafe_b64encode(self._digest(position) + position.encode()).decode().rstrip("=")

    def decode(self, cursor: str | None) -> str | None:
        """Return the position of a cursor, or None for None. Raises Refusal `invalid_cursor`."""
        if cursor is None:
            return None
        if len(cursor) > _LONGEST_CURSOR:
            raise Refusal("invalid_cursor")
        try:
            raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            position = raw[_DIGEST_BYTES:].decode()
        except (ValueError, binascii.Error) as error:
            raise Refusal("invalid_cursor") from error
        if not position or raw[:_DIGEST_BYTES] != self._digest(position):
            raise Refusal("invalid_cursor")
        return position

    def _digest(self, position: str) -> bytes:
        return hashlib.sha256(f"{self._scope}\n{position}".encode()).digest()[:_DIGEST_BYTES]
