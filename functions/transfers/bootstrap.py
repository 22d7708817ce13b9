"""Wiring: from the environment to the use cases. Each is built on first use, and loads no more than it needs."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.dynamo import Table

    from functions.transfers.adapters.rail import SandboxRail
    from functions.transfers.adapters.saga import StepFunctions
    from functions.transfers.service.completion import Completion
    from functions.transfers.service.deposits import Deposits
    from functions.transfers.service.history import History
    from functions.transfers.service.intents import Intents
    from functions.transfers.service.rail import RailAnswers
    from functions.transfers.service.recovery import Recovery
    from functions.transfers.service.transfers import Transfers
    from functions.transfers.service.users import Users
    from functions.transfers.store.transfers import TransferStore


@cache
def transfers() -> "Transfers":
    """Return the use cases of transfers between accounts."""
    from common.contracts.accounts import APPROVE_TRANSFER
    from common.tasks import call

    from functions.transfers.service.transfers import Transfers

    return Transfers(_intents(), approve=lambda request: call(APPROVE_TRANSFER, request))


@cache
def deposits() -> "Deposits":
    """Return the use cases of deposits."""
    from common.contracts.accounts import APPROVE_DEPOSIT
    from common.tasks import call

    from functions.transfers.service.deposits import Deposits

    return Deposits(_intents(), approve=lambda request: call(APPROVE_DEPOSIT, request))


@cache
def completion() -> "Completion":
    """Return the last step of every saga."""
    from common import clock

    from functions.transfers.models.resources import respond
    from functions.transfers.service.completion import Completion

    return Completion(_store(), respond, clock.now)


@cache
def history() -> "History":
    """Return the use cases of reading transfers."""
    from common.contracts.auth import FIND_USER
    from common.tasks import call

    from functions.transfers.service.history import History
    from functions.transfers.store.history import HistoryStore

    return History(HistoryStore(_table()), _store(), lambda request: call(FIND_USER, request))


@cache
def recovery() -> "Recovery":
    """Return the recovery of due transfers."""
    from common import clock

    from functions.transfers.service.recovery import Recovery
    from functions.transfers.store.recovery import RecoveryStore

    return Recovery(RecoveryStore(_table()), _store(), sagas(), clock.now)


@cache
def rail_answers() -> "RailAnswers":
    """Return the use case of what rails answer."""
    from common import clock

    from functions.transfers.service.rail import RailAnswers

    return RailAnswers(_store(), sagas().resume, clock.now)


@cache
def users() -> "Users":
    """Return the deletion of users' personal data."""
    from functions.transfers.service.users import Users
    from functions.transfers.store.users import UserStore

    return Users(UserStore(_table()))


@cache
def sagas() -> "StepFunctions":
    """Return the state machines."""
    from functions.transfers.adapters.saga import StepFunctions

    return StepFunctions()


@cache
def rail() -> "SandboxRail":
    """Return the rail of deposits. Raises RuntimeError in prod, because the sandbox rail creates money."""
    from common.config import config

    from functions.transfers.adapters.rail import SandboxRail

    if config().environment == "prod":
        raise RuntimeError("The sandbox rail never runs in prod.")

    return SandboxRail()


def _intents() -> "Intents":
    import time

    from common import clock, ids

    from functions.transfers.models.resources import respond
    from functions.transfers.service.intents import Intents

    return Intents(_store(), sagas(), respond, clock.now, ids.new_id, time.sleep)


def _store() -> "TransferStore":
    from functions.transfers.store.transfers import TransferStore

    return TransferStore(_table())


def _table() -> "Table":
    from common.aws import client
    from common.config import config
    from common.dynamo import Table

    return Table(client("dynamodb"), config().table("transfers"))
