"""Wiring: each function returns one service of this process. Imports are inside, to keep cold starts short."""

import time
from functools import cache, partial
from typing import TYPE_CHECKING

from common import clock, ids
from common.aws import client, keyring
from common.config import config
from common.contracts.auth import CHECK_CODE, FIND_USER, REQUEST_CODE
from common.contracts.events import Actor
from common.dynamo import Table
from common.tasks import call

if TYPE_CHECKING:
    from functions.accounts.service.accounts import Accounts
    from functions.accounts.service.approvals import Approvals
    from functions.accounts.service.folding import Folding
    from functions.accounts.service.instruments import Instruments
    from functions.accounts.service.journal import Journal
    from functions.accounts.service.ledger import Ledger
    from functions.accounts.service.limits import Limits
    from functions.accounts.service.payees import Payees
    from functions.accounts.service.pins import Pins
    from functions.accounts.service.reconciliation import Reconciliation

# As many calls at once as the client keeps connections.
_FOLDING_CALLS = 10


@cache
def accounts() -> "Accounts":
    """Return the accounts."""
    from functions.accounts.models.accounts import opened
    from functions.accounts.service.accounts import Accounts
    from functions.accounts.store.accounts import AccountStore

    return Accounts(AccountStore(_table()), clock.now, ids.new_id, opened)


@cache
def pins() -> "Pins":
    """Return the PINs of accounts."""
    from functions.accounts.adapters.pins import BcryptPinDigests
    from functions.accounts.service.pins import Pins
    from functions.accounts.store.pins import PinStore

    digests = BcryptPinDigests(partial(keyring, "pin"), config().bcrypt_cost)
    return Pins(PinStore(_table()), clock.now, digests, partial(call, REQUEST_CODE), partial(call, CHECK_CODE))


@cache
def limits() -> "Limits":
    """Return the spending limits of accounts."""
    from functions.accounts.service.limits import Limits
    from functions.accounts.store.limits import LimitStore

    return Limits(LimitStore(_table()), clock.now, _check_pin)


@cache
def instruments() -> "Instruments":
    """Return the cards and bank accounts."""
    from functions.accounts.adapters.rail import SandboxCardCheck
    from functions.accounts.models.instruments import linked
    from functions.accounts.service.instruments import Instruments
    from functions.accounts.store.instruments import InstrumentStore

    store = InstrumentStore(_table())
    return Instruments(store, clock.now, ids.new_id, _instrument_digests, SandboxCardCheck(), linked)


@cache
def payees() -> "Payees":
    """Return the payees."""
    from functions.accounts.service.payees import Payees
    from functions.accounts.store.payees import PayeeStore

    return Payees(PayeeStore(_table()), partial(call, FIND_USER), clock.now)


@cache
def approvals() -> "Approvals":
    """Return the approvals of transfers and deposits."""
    from functions.accounts.service.approvals import Approvals
    from functions.accounts.store.approvals import ApprovalStore

    return Approvals(ApprovalStore(_table()), payees().fetch, _check_pin)


@cache
def ledger() -> "Ledger":
    """Return the ledger."""
    from functions.accounts.service.ledger import Ledger
    from functions.accounts.store.ledger import LedgerStore

    return Ledger(LedgerStore(_table()), clock.now, lambda account_id: folding().fold_all(account_id))


@cache
def folding() -> "Folding":
    """Return the folding of pending credits."""
    from concurrent.futures import ThreadPoolExecutor

    from functions.accounts.service.folding import Folding
    from functions.accounts.store.folding import FoldingStore

    return Folding(FoldingStore(_table(), ThreadPoolExecutor(_FOLDING_CALLS).map), clock.now)


@cache
def journal() -> "Journal":
    """Return the journal."""
    from functions.accounts.service.journal import Journal
    from functions.accounts.store.journal import JournalStore

    return Journal(JournalStore(_table()), clock.now)


@cache
def reconciliation() -> "Reconciliation":
    """Return the reconciliation of the ledger."""
    from functions.accounts.service.reconciliation import Reconciliation
    from functions.accounts.store.reconciliation import ReconciliationStore

    return Reconciliation(ReconciliationStore(_table()), clock.now, time.sleep)


def _table() -> Table:
    return Table(client("dynamodb"), config().table("accounts"))


def _check_pin(account_id: str, pin: str | None, actor: Actor) -> None:
    # Loads the PINs, and bcrypt with them, only when an account has a PIN to check.
    pins().check(account_id, pin, actor)


def _instrument_digests(kind: str, number: str) -> tuple[str, ...]:
    return keyring("instrument").digests(f"{kind}\n{number}")
