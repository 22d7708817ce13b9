"""The ledger's wiring."""

import random
import time
from functools import cache

from common import clock
from common.aws import client
from common.config import config
from common.dynamo import Table

from functions.accounts.service.ledger import Ledger
from functions.accounts.store.ledger import LedgerStore


@cache
def service() -> Ledger:
    """The ledger over this stack's table."""
    return Ledger(LedgerStore(Table(client("dynamodb"), config().table("accounts"))), clock.now, _pause)


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0, min(0.01 * 2**attempt, 0.25)))  # noqa: S311 (jitter needs no secrecy)
