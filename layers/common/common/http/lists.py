"""Pages of a list, newest first, and the opaque cursor between them."""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from common.errors import Problem

_LONGEST = 1024


class Page(NamedTuple):
    """One page: its items, and the position after which the next begins (None where this was the last)."""

    items: list[Any]
    next_position: str | None


def take(rows: Iterable[tuple[str, Any]], limit: int) -> Page:
    """The first `limit` of `rows`, each with its position; one more is looked at to know whether a next page exists."""
    window = list(islice(rows, limit + 1))
    more = len(window) > limit
    return Page([row for _, row in window[:limit]], window[limit - 1][0] if more else None)


class Cursors:
    """Cursors of one list for one caller and one set of filters; a cursor of any other is refused.

    The digest binds, it does not authenticate: a forged cursor holds only a position within the caller's own list.
    """

    def __init__(self, caller: str, path: str, filters: Mapping[str, Any]) -> None:
        kept = {name: value for name, value in sorted(filters.items()) if name not in ("limit", "cursor")}
        self._scope = json.dumps([caller, path, kept])

    def encode(self, position: str | None) -> str | None:
        """The cursor for a position, None for none."""
        if position is None:
            return None
        return base64.urlsafe_b64encode(self._digest(position) + position.encode()).decode().rstrip("=")

    def decode(self, cursor: str | None) -> str | None:
        """The position a cursor stands for. Raises Problem `invalid_cursor`."""
        if cursor is None:
            return None
        if len(cursor) > _LONGEST:
            raise Problem("invalid_cursor")
        try:
            raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            position = raw[8:].decode()
        except (ValueError, binascii.Error) as error:
            raise Problem("invalid_cursor") from error
        if not position or raw[:8] != self._digest(position):
            raise Problem("invalid_cursor")
        return position

    def _digest(self, position: str) -> bytes:
        return hashlib.sha256(f"{self._scope}\n{position}".encode()).digest()[:8]
