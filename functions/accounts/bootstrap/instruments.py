"""Wiring of cards and bank accounts."""

from functools import cache

from common import clock, ids
from common.aws import client, fingerprint_key
from common.config import config
from common.dynamo import Table
from common.idempotency import digest

from functions.accounts.service.instruments import Instruments
from functions.accounts.store.instruments import InstrumentTable


@cache
def service() -> Instruments:
    """The cards and bank accounts of this process."""
    table = Table(client("dynamodb"), config().table("accounts"))
    return Instruments(InstrumentTable(table), clock.now, ids.new_id, _digest)


def _digest(purpose: str, value: str) -> str:
    return digest(fingerprint_key(), purpose, value)
