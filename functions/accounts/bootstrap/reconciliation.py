"""Wiring of the reconciliation."""

import time
from functools import cache

from common import clock
from common.aws import client
from common.config import config
from common.dynamo import Table

from functions.accounts.service.reconciliation import Reconciliation
from functions.accounts.store.reconciliation import ReconciliationTable


@cache
def service() -> Reconciliation:
    """The reconciliation of this stack's table."""
    table = Table(client("dynamodb"), config().table("accounts"))
    return Reconciliation(ReconciliationTable(table), clock.now, time.sleep)
