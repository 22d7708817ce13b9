"""The one way to retry: with jitter, a bounded number of times."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from common.errors import Contended, Stale

T = TypeVar("T")

ATTEMPTS = 8
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.5


def pause(attempt: int) -> None:
    """Wait before attempt number `attempt` (0 is the first, which does not wait): longer each time, with jitter."""
    if attempt:
        # Jitter needs no secrecy.
        time.sleep(random.uniform(0, min(_FIRST_PAUSE_SECONDS * 2**attempt, _LONGEST_PAUSE_SECONDS)))  # noqa: S311


def retry_on_conflict(attempt: Callable[[], T], *, attempts: int = ATTEMPTS, wait: Callable[[int], None] = pause) -> T:
    """Return what `attempt` returns. It reads, decides and writes; if its write raises Stale, it runs again.

    Raises Contended if every attempt was stale.
    """
    for number in range(attempts):
        wait(number)
        try:
            return attempt()
        except Stale:
            continue
    raise Contended
