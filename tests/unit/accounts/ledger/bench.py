"""A ledger over a table, with the accounts that the tests of the ledger move money between."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

from common import ids
from common.clock import timestamp
from common.dynamo import Item, Table
from common.errors import Problem
from common.events import OUTBOX, SYSTEM
from common.tasks import HoldOutcome, Post, PostOutcome, Refuse, Release, Reserve, Settle

from functions.accounts.models.accounts import PatchAccount
from functions.accounts.models.limits import SetLimits as PutLimits
from functions.accounts.service.accounts import Accounts
from functions.accounts.service.folding import Folding
from functions.accounts.service.journal import Journal
from functions.accounts.service.ledger import Busy, Ledger
from functions.accounts.service.limits import Limits
from functions.accounts.store.accounts import AccountTable
from functions.accounts.store.folding import FoldingStore
from functions.accounts.store.journal import JournalStore
from functions.accounts.store.ledger import LedgerStore
from functions.accounts.store.limits import LimitTable
from tests.support.clock import FakeClock
from tests.unit.accounts.ledger.model import (
    Account,
    Answer,
    Fold,
    Lapse,
    Operation,
    SetAlert,
    SetCredit,
    SetHot,
    SetLimits,
    SetStatus,
    Told,
    Wait,
)

ALICE, BOB, CAROL, EVA = (f"acc_{'0' * 25}{letter}" for letter in "ABCE")
STRANGER = f"acc_{'0' * 25}X"
RAIL, EURO_RAIL, FEES = "rail:sandbox:USD", "rail:sandbox:EUR", "fees:USD"
ADMIN = f"usr_{'0' * 25}Z"
OPENED = "2026-11-01T00:00:00.000Z"
SHARDS = tuple(range(32))


def accounts() -> dict[str, Account]:
    """Two customers, one on credit, one in euros, and the platform's own accounts."""
    return {
        ALICE: Account("USD"),
        BOB: Account("USD"),
        CAROL: Account("USD", credit_limit=300),
        EVA: Account("EUR"),
        RAIL: Account("USD"),
        EURO_RAIL: Account("EUR"),
        FEES: Account("USD"),
    }


def trf(number: int) -> str:
    return f"trf_{number:026}"


class Bench:
    """The ledger, its clock, and its customers' accounts, opened empty. Instead of waiting it moves the clock."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.clock = FakeClock()
        self.pauses: list[int] = []
        self.folding = Folding(FoldingStore(table), self.clock, lambda attempt: self.clock.advance(milliseconds=100))
        self.ledger = Ledger(LedgerStore(table), self.clock, self.pauses.append, self.folding.fold_all)
        self.journal = Journal(JournalStore(table), self.clock)
        self.accounts = Accounts(AccountTable(table), self.clock, ids.new_id)
        self.limits = Limits(LimitTable(table), self.clock, lambda account_id, pin, actor: None)
        for name, account in accounts().items():
            if ":" not in name:
                self.open(name, account)

    def open(self, account_id: str, account: Account) -> None:
        """An account's head as the accounts' use case writes it."""
        self.table.put(
            {
                "pk": f"A#{account_id}",
                "sk": "H",
                "account_id": account_id,
                "owner_id": owner_of(account_id),
                "name": "Main",
                "type": "credit",
                "currency": account.currency,
                "status": account.status,
                "posted": 0,
                "held": 0,
                "available": account.credit_limit,
                "credit_limit": account.credit_limit,
                "version": 0,
                "line_at": OPENED,
                "created_at": OPENED,
            }
        )

    def fund(self, account_id: str, amount: int, number: int = 9000, rail: str = RAIL) -> None:
        currency = rail.rpartition(":")[2]
        outcome = self.ledger.post(Post(trf(number), rail, account_id, amount, currency, "top-up"))
        assert outcome.outcome == "posted"

    def head(self, account_id: str) -> dict[str, Any]:
        head = self.table.get((f"A#{account_id}", "H"))
        assert head is not None
        return head

    def set_status(self, account_id: str, status: str) -> None:
        if status == "closed":
            self.accounts.close(account_id, ADMIN, SYSTEM, is_admin=True)
        else:
            self._patch(account_id, ADMIN, status=status)

    def set_limits(self, account_id: str, daily: int | None = None, weekly: int | None = None) -> None:
        self.limits.put(account_id, owner_of(account_id), PutLimits(daily=daily, weekly=weekly), SYSTEM)

    def set_alert(self, account_id: str, threshold: int | None) -> None:
        self._patch(account_id, owner_of(account_id), low_balance_alert=threshold)

    def set_credit(self, account_id: str, credit_limit: int) -> None:
        self._patch(account_id, ADMIN, credit_limit=credit_limit)

    def set_hot(self, account_id: str, hot: bool) -> None:
        self._patch(account_id, ADMIN, sharded_credits=hot)

    def _patch(self, account_id: str, caller: str, **wanted: object) -> None:
        self.accounts.patch(
            account_id, caller, PatchAccount.model_validate(wanted), SYSTEM, is_admin=caller == ADMIN
        )  # fmt: skip

    def run(self, operation: Operation) -> PostOutcome | HoldOutcome | str:  # noqa: C901 (one line an operation)
        match operation:
            case Post():
                return self.ledger.post(operation)
            case Refuse():
                return self.ledger.refuse(operation)
            case Reserve():
                return self.ledger.reserve(operation)
            case Settle():
                return self.ledger.settle(operation)
            case Release():
                return self.ledger.release(operation)
            case Lapse():
                return self.ledger.lapse(operation.transfer_id)
            case SetLimits():
                return asked(lambda: self.set_limits(operation.account_id, operation.daily, operation.weekly))
            case SetAlert():
                return asked(lambda: self.set_alert(operation.account_id, operation.threshold))
            case SetCredit():
                return asked(lambda: self.set_credit(operation.account_id, operation.credit_limit))
            case SetStatus():
                return asked(lambda: self.set_status(operation.account_id, operation.status))
            case SetHot():
                return asked(lambda: self.set_hot(operation.account_id, operation.hot))
            case Wait():
                self.clock.advance(days=operation.days)
                return "waited"
            case Fold():
                self.folding.fold(operation.account_id, operation.shards)
                return "folded"


def asked(change: Callable[[], None]) -> str:
    """Whether a change of an account was made. Raises Busy where the account kept changing."""
    try:
        change()
    except Problem as refused:
        if refused.code == "unavailable":
            raise Busy from refused
        return "refused"
    return "set"


def owner_of(account_id: str) -> str:
    return f"usr_{account_id[4:]}"


def published(changes: Iterable[tuple[Item | None, Item | None]]) -> Iterator[Any]:
    """The events that a table's stream brings, as the publisher sends them on."""
    for old, new in changes:
        before = {event["id"] for event in json.loads((old or {}).get(OUTBOX, "[]"))}
        for event in json.loads((new or {}).get(OUTBOX, "[]")):
            if event["id"] not in before:
                yield event


def told_of(event: Any) -> Told:
    """An event of limits or balances as the model tells of it."""
    names = {"limit.exceeded": ("period", "limit", "spent", "amount"), "balance.low": ("available", "threshold")}
    return event["type"], event["subject"], *(str(event["data"][name]) for name in names[event["type"]])


def lapse_at(day: int) -> str:
    """The morning of a day, by which the bench's clock of that day is past it."""
    return timestamp(FakeClock()() + timedelta(days=day, hours=-1))


def bench_time(bench: Bench) -> str:
    """The bench's present moment as the ledger writes it."""
    return timestamp(bench.clock())


def answer_of(outcome: PostOutcome | HoldOutcome | str) -> Answer:
    """An outcome as the model answers it."""
    if isinstance(outcome, str):
        return outcome, "", 0
    return outcome.outcome, outcome.code, outcome.amount if isinstance(outcome, HoldOutcome) else 0
