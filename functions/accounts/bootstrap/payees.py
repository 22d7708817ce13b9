"""Wiring of the payee directory."""

from functools import cache, partial

from common import clock
from common.aws import client
from common.config import config
from common.dynamo import Table
from common.tasks import FIND_USER, call

from functions.accounts.service.payees import Directory
from functions.accounts.store.payees import PayeeTable


@cache
def service() -> Directory:
    """The payee directory of this process."""
    table = PayeeTable(Table(client("dynamodb"), config().table("accounts")))
    return Directory(table, partial(call, FIND_USER), clock.now)
