"""The ledger over a table, with the accounts that its tests move money between."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

from common import ids
from common.clock import timestamp
from common.contracts.accounts import (
    Expect,
    ExpectOutcome,
    HoldOutcome,
    Post,
    PostOutcome,
    Refuse,
    Release,
    Reserve,
    Settle,
)
from common.contracts.events import SYSTEM
from common.dynamo import Item, Table
from common.errors import Refusal
from common.events import OUTBOX

from functions.accounts.models.accounts import PatchAccount, opened
from functions.accounts.service.accounts import Accounts
from functions.accounts.service.folding import Folding
from functions.accounts.service.journal import Journal
from functions.accounts.service.ledger import Ledger
from functions.accounts.service.limits import Limits
from functions.accounts.store.accounts import AccountStore
from functions.accounts.store.folding import FoldingStore
from functions.accounts.store.journal import JournalStore
from functions.accounts.store.ledger import LedgerStore
from functions.accounts.store.limits import LimitStore
from tests.support.clock import FakeClock
from tests.support.memory_table import Call, MemoryTable
from tests.unit.accounts.ledger.model import (
    Account,
    Answer,
    EventRow,
    Fold,
    Lapse,
    Operation,
    SetAlert,
    SetCredit,
    SetHot,
    SetLimits,
    SetStatus,
    Wait,
)

ALICE, BOB, CAROL, EVA = (f"acc_{'0' * 25}{letter}" for letter in "ABCE")
STRANGER = f"acc_{'0' * 25}X"
RAIL, EURO_RAIL, FEES = "rail:sandbox:USD", "rail:sandbox:EUR", "fees:USD"
ADMIN = f"usr_{'0' * 25}Z"
OPENED = "2026-11-01T00:00:00.000Z"
SHARDS = tuple(range(32))
Outcome = ExpectOutcome | PostOutcome | HoldOutcome | str


class Crash(Exception):
    """The process died, or its caller never got the reply."""


def crash() -> None:
    raise Crash


def once(table: MemoryTable, operation: str, moment: str, act: Callable[[], object], skip: int = 0) -> None:
    """Run `act` once, at such a moment, after `skip` others. What it does itself calls no hook."""
    left = skip

    def hook(call: Call) -> None:
        nonlocal left
        if (call.operation, call.moment) == (operation, moment):
            left -= 1
            if left < 0:
                table.hook = None
                act()

    table.hook = hook


def accounts() -> dict[str, Account]:
    """Return the accounts: two customers, one with credit, one in euros, and the platform's own accounts."""
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


class World:
    """The ledger, its clock, and its customers' empty accounts. Folding moves the clock instead of waiting."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.clock = FakeClock()
        self.pauses: list[int] = []
        self.folding = Folding(FoldingStore(table), self.clock, self._pass_time)
        self.ledger = Ledger(LedgerStore(table), self.clock, self.folding.fold_all, self._count_pause)
        self.journal = Journal(JournalStore(table), self.clock)
        self.accounts = Accounts(AccountStore(table), self.clock, ids.new_id, opened)
        self.limits = Limits(LimitStore(table), self.clock, lambda account_id, pin, actor: None)
        for name, account in accounts().items():
            if ":" not in name:
                self.open(name, account)

    def open(self, account_id: str, account: Account) -> None:
        """Write an account's head as the accounts service writes it."""
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

    def now(self) -> str:
        """Return the current time as the ledger writes it."""
        return timestamp(self.clock())

    def fund(self, account_id: str, amount: int, number: int = 9000, rail: str = RAIL) -> None:
        currency = rail.rpartition(":")[2]
        outcome = self.ledger.post(Post(trf(number), rail, account_id, amount, currency, "top-up"))
        assert outcome.outcome == "posted"

    def head(self, account_id: str) -> dict[str, Any]:
        head = self.table.get((f"A#{account_id}", "H"))
        assert head is not None
        return head

    def balances(self, account_id: str) -> tuple[int, int, int]:
        """Return what an account has posted, held and available."""
        head = self.head(account_id)
        return head["posted"], head["held"], head["available"]

    def set_status(self, account_id: str, status: str) -> None:
        if status == "closed":
            self.accounts.close(account_id, ADMIN, SYSTEM, is_admin=True)
        else:
            self._patch(account_id, ADMIN, status=status)

    def set_limits(self, account_id: str, daily: int | None = None, weekly: int | None = None) -> None:
        self.limits.put(account_id, owner_of(account_id), daily, weekly, None, SYSTEM)

    def set_alert(self, account_id: str, threshold: int | None) -> None:
        self._patch(account_id, owner_of(account_id), low_balance_alert=threshold)

    def set_credit(self, account_id: str, credit_limit: int) -> None:
        self._patch(account_id, ADMIN, credit_limit=credit_limit)

    def set_hot(self, account_id: str, hot: bool) -> None:
        self._patch(account_id, ADMIN, hot=hot)

    def run(self, operation: Operation) -> Outcome:  # noqa: C901 (one case an operation)
        match operation:
            case Expect():
                return self.ledger.expect(operation)
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
                return changed(lambda: self.set_limits(operation.account_id, operation.daily, operation.weekly))
            case SetAlert():
                return changed(lambda: self.set_alert(operation.account_id, operation.threshold))
            case SetCredit():
                return changed(lambda: self.set_credit(operation.account_id, operation.credit_limit))
            case SetStatus():
                return changed(lambda: self.set_status(operation.account_id, operation.status))
            case SetHot():
                return changed(lambda: self.set_hot(operation.account_id, operation.hot))
            case Wait():
                self.clock.advance(days=operation.days)
                return "waited"
            case Fold():
                self.folding.fold(operation.account_id, operation.shards)
                return "folded"

    def _patch(self, account_id: str, caller: str, **wanted: object) -> None:
        patch = PatchAccount.model_validate(wanted).command()
        self.accounts.patch(account_id, caller, patch, SYSTEM, is_admin=caller == ADMIN)

    def _count_pause(self, attempt: int) -> None:
        if attempt:
            self.pauses.append(attempt)

    def _pass_time(self, attempt: int) -> None:
        if attempt:
            self.clock.advance(milliseconds=100)


def changed(change: Callable[[], None]) -> str:
    """Return whether a change of an account was made. Raises Contended if the account kept changing."""
    try:
        change()
    except Refusal:
        return "refused"
    return "set"


def owner_of(account_id: str) -> str:
    return f"usr_{account_id[4:]}"


def published(changes: Iterable[tuple[Item | None, Item | None]]) -> Iterator[Any]:
    """Yield the events of a table's stream as the publisher sends them."""
    for old, new in changes:
        before = {event["id"] for event in json.loads((old or {}).get(OUTBOX, "[]"))}
        for event in json.loads((new or {}).get(OUTBOX, "[]")):
            if event["id"] not in before:
                yield event


def event_row(event: Any) -> EventRow:
    """Return an event about limits or balances as the model records it."""
    names = {"limit.exceeded": ("period", "limit", "spent", "amount"), "balance.low": ("available", "threshold")}
    return event["type"], event["subject"], *(str(event["data"][name]) for name in names[event["type"]])


def lapse_at(day: int) -> str:
    """Return the morning of a day. At any time of that day, the clock of a world is past it."""
    return timestamp(FakeClock()() + timedelta(days=day, hours=-1))


def answer_of(outcome: Outcome) -> Answer:
    """Return an outcome as the model does."""
    if isinstance(outcome, str):
        return outcome, "", 0
    return outcome.outcome, outcome.code, outcome.amount if isinstance(outcome, HoldOutcome) else 0
