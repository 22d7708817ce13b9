"""Folding's wiring."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from common import clock
from common.aws import client
from common.config import config
from common.dynamo import Table

from functions.accounts.service.folding import Folding
from functions.accounts.store.folding import FoldingStore

# As many calls at once as the client keeps connections.
_CALLS = 10


@cache
def service() -> Folding:
    """Folding over this stack's table."""
    table = Table(client("dynamodb"), config().table("accounts"))
    return Folding(FoldingStore(table, ThreadPoolExecutor(_CALLS).map), clock.now, pause)


def pause(attempt: int) -> None:
    """Waits before another attempt, with jitter and longer with each."""
    time.sleep(random.uniform(0, min(0.01 * 2**attempt, 0.25)))  # noqa: S311 (jitter needs no secrecy)
