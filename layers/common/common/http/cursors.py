"""Opaque cursors between the pages of a list."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

from common.errors import Refusal
from common.keys import Keyring

_LONGEST_CURSOR = 1024


class Cursors:
    """The cursors of one list, for one caller and one set of filters. Any other cursor is refused.

    A cursor is a position and its keyed digest, so that a client can't make one of its own. `keyring` is called when
    the first cursor is read or written.
    """

    def __init__(self, caller: str, path: str, filters: Mapping[str, Any], keyring: Callable[[], Keyring]) -> None:
        chosen = {name: value for name, value in sorted(filters.items()) if name not in ("limit", "cursor")}
        self._scope = json.dumps([caller, path, chosen])
        self._keyring = keyring

    def encode(self, position: str | None) -> str | None:
        """Return the cursor of a position, or None for None."""
        if position is None:
            return None
        digest = self._keyring().digest(f"{self._scope}\n{position}")
        return base64.urlsafe_b64encode(f"{digest} {position}".encode()).decode().rstrip("=")

    def decode(self, cursor: str | None) -> str | None:
        """Return the position of a cursor, or None for None. Raises Refusal `invalid_cursor`."""
        if cursor is None:
            return None
        if len(cursor) > _LONGEST_CURSOR:
            raise Refusal("invalid_cursor")
        try:
            raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            digest, _, position = raw.decode().partition(" ")
        except (ValueError, binascii.Error) as error:
            raise Refusal("invalid_cursor") from error
        if not position or not self._keyring().matches(f"{self._scope}\n{position}", digest):
            raise Refusal("invalid_cursor")
        return position
