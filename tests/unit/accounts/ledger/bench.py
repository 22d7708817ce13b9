"""A ledger over a table, with the accounts that the tests of the ledger move money between."""

from typing import Any

from common.clock import timestamp
from common.dynamo import ConditionFailed, Table, Update
from common.tasks import HoldOutcome, Post, PostOutcome, Refuse, Release, Reserve, Settle

from functions.accounts.service.ledger import Ledger
from functions.accounts.store.ledger import LedgerStore
from tests.support.clock import FakeClock
from tests.unit.accounts.ledger.model import Account, Answer, Fold, Operation, SetStatus

ALICE, BOB, CAROL, EVA = (f"acc_{'0' * 25}{letter}" for letter in "ABCE")
STRANGER = f"acc_{'0' * 25}X"
RAIL, EURO_RAIL, FEES = "rail:sandbox:USD", "rail:sandbox:EUR", "fees:USD"
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
    """The ledger, its clock, and its customers' accounts, opened empty. It waits for nothing."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.clock = FakeClock()
        self.pauses: list[int] = []
        self.ledger = Ledger(LedgerStore(table), self.clock, self.pauses.append)
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
                "owner_id": f"usr_{account_id[4:]}",
                "name": "Main",
                "type": "debit",
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
        where: list[tuple[str, str, Any]] = [("status", "<>", "closed")]
        if status == "closed":
            where += [("posted", "=", 0), ("held", "=", 0)]
        self.table.update(Update((f"A#{account_id}", "H"), set={"status": status}, where=where))

    def run(self, operation: Operation) -> PostOutcome | HoldOutcome | str:
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
            case SetStatus():
                try:
                    self.set_status(operation.account_id, operation.status)
                except ConditionFailed as refused:
                    assert refused.old is not None
                    return str(refused.old["status"])
                return operation.status
            case Fold():
                self.ledger.fold(operation.account_id, operation.shards)
                return "folded"


def bench_time(bench: Bench) -> str:
    """The bench's present moment as the ledger writes it."""
    return timestamp(bench.clock())


def answer_of(outcome: PostOutcome | HoldOutcome | str) -> Answer:
    """An outcome as the model answers it."""
    if isinstance(outcome, str):
        return outcome, "", 0
    return outcome.outcome, outcome.code, outcome.amount if isinstance(outcome, HoldOutcome) else 0
