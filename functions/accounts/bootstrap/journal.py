"""Wiring of reading the journal."""

from functools import cache

from common import clock
from common.aws import client
from common.config import config
from common.dynamo import Table

from functions.accounts.service.journal import Journal
from functions.accounts.store.journal import JournalStore


@cache
def service() -> Journal:
    """The journal of this process."""
    return Journal(JournalStore(Table(client("dynamodb"), config().table("accounts"))), clock.now)
