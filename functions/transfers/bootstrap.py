"""The room's wiring: from the environment to its use cases, built on first use and kept."""

import time
from functools import cache

from common import clock, ids
from common.aws import client
from common.config import config
from common.dynamo import Table
from common.tasks import AUTHORIZE_DEPOSIT, AUTHORIZE_TRANSFER, call

from functions.transfers.rail import SandboxRail
from functions.transfers.saga import StepFunctions
from functions.transfers.service import Service
from functions.transfers.store import TransferStore


@cache
def service() -> Service:
    """The use cases."""
    return Service(
        store=TransferStore(Table(client("dynamodb"), config().table("transfers"))),
        sagas=sagas(),
        authorize_transfer=lambda request: call(AUTHORIZE_TRANSFER, request),
        authorize_deposit=lambda request: call(AUTHORIZE_DEPOSIT, request),
        clock=clock.now,
        new_id=ids.new_id,
        sleep=time.sleep,
    )


@cache
def sagas() -> StepFunctions:
    """The state machines."""
    return StepFunctions()


@cache
def rail() -> SandboxRail:
    """The rail that deposits go over."""
    return SandboxRail()
