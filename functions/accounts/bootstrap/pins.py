"""Wiring of PINs."""

from functools import cache, partial

from common import clock
from common.aws import client, fingerprint_key
from common.config import config
from common.dynamo import Table
from common.tasks import CHECK_CODE, REQUEST_CODE, call

from functions.accounts.pin_digests import PinDigests
from functions.accounts.service.pins import Pins
from functions.accounts.store.pins import PinTable


@cache
def service() -> Pins:
    """The PINs of this process."""
    table = PinTable(Table(client("dynamodb"), config().table("accounts")))
    return Pins(table, clock.now, PinDigests(fingerprint_key), partial(call, REQUEST_CODE), partial(call, CHECK_CODE))
