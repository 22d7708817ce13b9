"""Wiring of the payee directory."""

from functools import cache

from common.aws import client
from common.config import config
from common.dynamo import Table

from functions.accounts.service.payees import Directory
from functions.accounts.store.payees import PayeeTable


@cache
def service() -> Directory:
    """The payee directory of this process."""
    return Directory(PayeeTable(Table(client("dynamodb"), config().table("accounts"))))
