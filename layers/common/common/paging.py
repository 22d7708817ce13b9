"""Pages of a list, newest first."""

from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple


class Page(NamedTuple):
    """One page: its items, and the position after which the next page begins (None on the last page)."""

    items: list[Any]
    next_position: str | None


def take(rows: Iterable[tuple[str, Any]], limit: int) -> Page:
    """Return the first `limit` of `rows`, which are pairs of position and item.

    One more row is read, to know whether there is a next page.
    """
    window = list(islice(rows, limit + 1))
    more = len(window) > limit
    return Page([row for _, row in window[:limit]], window[limit - 1][0] if more else None)
