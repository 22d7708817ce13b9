"""The ledger's wiring."""

from functools import cache

from common import clock
from common.aws import client
from common.config import config
from common.dynamo import Table

from functions.accounts.bootstrap import folding
from functions.accounts.service.ledger import Ledger
from functions.accounts.store.ledger import LedgerStore


@cache
def service() -> Ledger:
    """The ledger over this stack's table."""
    store = LedgerStore(Table(client("dynamodb"), config().table("accounts")))
    return Ledger(store, clock.now, folding.pause, lambda account_id: folding.service().fold_all(account_id))
