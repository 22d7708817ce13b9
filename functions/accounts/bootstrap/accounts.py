"""Wiring of opening and reading accounts."""

from functools import cache

from common import clock, ids
from common.aws import client
from common.config import config
from common.dynamo import Table

from functions.accounts.service.accounts import Accounts
from functions.accounts.store.accounts import AccountTable


@cache
def service() -> Accounts:
    """The accounts of this process."""
    table = Table(client("dynamodb"), config().table("accounts"))
    return Accounts(AccountTable(table), clock.now, ids.new_id)
