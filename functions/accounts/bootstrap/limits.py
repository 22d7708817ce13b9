"""Wiring of spending limits."""

from functools import cache

from common import clock
from common.aws import client
from common.config import config
from common.dynamo import Table

from functions.accounts.bootstrap.pins import service as pins
from functions.accounts.service.limits import Limits
from functions.accounts.store.limits import LimitTable


@cache
def service() -> Limits:
    """The limits of this process."""
    table = Table(client("dynamodb"), config().table("accounts"))
    return Limits(LimitTable(table), clock.now, lambda account_id, pin, actor: pins().check(account_id, pin, actor))
