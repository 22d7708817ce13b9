"""Wiring of authorizations."""

from functools import cache, partial

from common import clock
from common.aws import client
from common.config import config
from common.dynamo import Table
from common.tasks import FIND_USER, call

from functions.accounts.service.authorization import Authorizer
from functions.accounts.service.payees import Directory
from functions.accounts.store.authorization import FactTable
from functions.accounts.store.payees import PayeeTable


@cache
def service() -> Authorizer:
    """The authorizer of this process."""
    table = Table(client("dynamodb"), config().table("accounts"))
    return Authorizer(FactTable(table), Directory(PayeeTable(table)).enter, partial(call, FIND_USER), clock.now)
