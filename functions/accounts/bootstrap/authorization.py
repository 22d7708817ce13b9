"""Wiring of authorizations."""

from functools import cache

from common.aws import client
from common.config import config
from common.dynamo import Table
from common.events import Actor

from functions.accounts.bootstrap.payees import service as directory
from functions.accounts.service.authorization import Authorizer
from functions.accounts.store.authorization import FactTable


@cache
def service() -> Authorizer:
    """The authorizer of this process."""
    table = Table(client("dynamodb"), config().table("accounts"))
    return Authorizer(FactTable(table), directory().learn, _check_pin)


def _check_pin(account_id: str, pin: str | None, actor: Actor) -> None:
    # Only accounts with a PIN load what reads one.
    from functions.accounts.bootstrap.pins import service as pins

    pins().check(account_id, pin, actor)
