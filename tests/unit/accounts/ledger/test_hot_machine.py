"""The ledger's machine and its writers at once again, with customers whose credits go to inboxes.

To who asks it is all the same: the model knows nothing of inboxes. What stays out: alerts and credit limits go by what
is booked, and an account with an inbox is not closed.
"""

from collections.abc import Callable, Sequence
from random import Random
from unittest import mock

import pytest
from common.tasks import HoldOutcome, Post, PostOutcome, Refuse, Reserve
from hypothesis import note
from hypothesis.stateful import rule

from functions.accounts.domain import ledger, pages
from tests.support.memory_table import MemoryTable
from tests.unit.accounts.ledger.bench import ALICE, BOB, FEES, RAIL, Bench, trf
from tests.unit.accounts.ledger.books import Books
from tests.unit.accounts.ledger.drawing import CUSTOMERS, draw, rival
from tests.unit.accounts.ledger.model import Fold, Operation, SetAlert, SetCredit, SetHot, SetStatus
from tests.unit.accounts.ledger.test_contended import SEEDS as WRITERS_SEEDS
from tests.unit.accounts.ledger.test_contended import WORKERS, Baton, Weather, persist
from tests.unit.accounts.ledger.test_machine import FAULTS, SEEDS, LedgerMachine, Script

HOT = (ALICE, BOB)


def draw_hot(random: Random, held: Sequence[str] = ()) -> Operation:
    """Some operation, likely to meet on hot accounts and their inboxes."""
    shop, other = random.sample(HOT, 2)
    amount = random.randint(1, 200)
    kinds: list[tuple[int, Operation]] = [
        (6, draw(random, held)),
        (3, Post(trf(random.randint(1, 60)), random.choice([other, RAIL]), shop, amount, "USD", "order")),
        (3, Post(trf(random.randint(1, 60)), shop, RAIL, 2 * amount, "USD", "payout")),
        (1, Reserve(trf(random.randint(101, 112)), shop, 2 * amount, "USD", "payout")),
        (3, Fold(shop, random.choice([(0, 1), (0, 1), (0,), (1,)]))),
        (1, SetHot(random.choice(CUSTOMERS), random.random() < 0.7)),
    ]
    weights = [weight for weight, _ in kinds]
    operation = random.choices([operation for _, operation in kinds], weights)[0]
    return operation if is_the_same_to_all(operation) else Fold(shop, (0, 1))


def rival_of(random: Random, operation: Operation, held: Sequence[str]) -> Operation:
    """What another writer does meanwhile: often to the same inbox."""
    match operation:
        case Post(source_account_id=account_id) | Reserve(account_id=account_id) if account_id in HOT:
            rivals: list[Operation] = [Fold(account_id, (0, 1)), SetHot(account_id, False)]
        case Fold(account_id=account_id) if account_id in HOT:
            rivals = [operation, Post(trf(random.randint(1, 60)), account_id, RAIL, random.randint(1, 200), "USD")]
        case _:
            rivals = []
    other = rival(random, operation, held) if random.random() < 0.5 else draw_hot(random, held)
    rivals += [other] if is_the_same_to_all(other) else [Fold(ALICE, (0, 1))]
    return random.choice(rivals)


def is_the_same_to_all(operation: Operation) -> bool:
    """Whether an operation has the same outcome with an inbox and without."""
    closes = isinstance(operation, SetStatus) and operation.status == "closed"
    return not closes and not isinstance(operation, SetAlert | SetCredit)


class HotMachine(LedgerMachine):
    def __init__(self) -> None:
        super().__init__()
        for account_id in HOT:
            self.bench.set_hot(account_id, True)

    def teardown(self) -> None:
        self.table.hook = None
        self.bench.clock.advance(minutes=1)
        for account_id in CUSTOMERS:
            self.bench.folding.fold(account_id, (0, 1))
        super().teardown()

    @rule(seed=SEEDS)
    def something_happens(self, seed: int) -> None:
        random = Random(f"{self.seed} {seed}")
        held = [transfer_id for transfer_id, hold in self.model.holds.items() if hold[0] == "open"]
        operation = draw_hot(random, held)
        script: Script = {}
        for _ in range(random.choice([0, 1, 2, 3])):
            fault = random.choice(FAULTS) if random.random() < 0.35 else rival_of(random, operation, held)
            script[random.randint(1, 16)] = fault
        note(f"{operation} amid {script}")
        self.step(operation, script, random.randint(-20, 40))


HotMachine.TestCase.settings = LedgerMachine.TestCase.settings
test_hot_ledger = HotMachine.TestCase


@pytest.mark.parametrize("seed", WRITERS_SEEDS)
@pytest.mark.parametrize("chance", [0.0, 0.05], ids=["calm", "faults"])
def test_writers_at_once_on_hot_accounts(seed: int, chance: float) -> None:
    random = Random(f"hot {seed} {chance}")
    table = MemoryTable(chunk=2, page=2)
    bench = Bench(table)
    baton = Baton(random)
    answers: list[tuple[Operation, PostOutcome | HoldOutcome | str]] = []

    def worker(operations: list[Operation]) -> Callable[[], None]:
        return lambda: answers.extend((operation, persist(bench, operation)) for operation in operations)

    with mock.patch.object(pages, "PAGE_LINES", 3), mock.patch.object(ledger, "INBOX_SHARDS", 2):
        for number, account_id in enumerate(CUSTOMERS):
            bench.fund(account_id, 300, 200 + number)
        for account_id in HOT:
            bench.set_hot(account_id, True)
        table.hook = Weather(random, baton, bench.clock, chance)
        baton.run([worker([draw_hot(random) for _ in range(12)]) for _ in range(WORKERS)])
        table.hook = None
        Books.of(table.items()).check()
        bench.clock.advance(minutes=1)
        for account_id in (RAIL, FEES, *CUSTOMERS):
            bench.folding.fold(account_id, (0, 1))
        books = Books.of(table.items())
        books.check()
        assert books.inbox == []
        for operation, answer in answers:
            if isinstance(operation, Post | Refuse):
                assert bench.run(operation) == answer, "a step has one answer"


def test_the_machine_folds_what_it_is_to_fold() -> None:
    """Inboxes fill up, debits wait for them and pages are made, or the machine above would show nothing."""
    operations = [draw_hot(Random(f"{number}")) for number in range(1000)]
    assert sum(isinstance(each, Fold) and each.account_id in HOT for each in operations) > 100
    assert sum(isinstance(each, Post) and each.destination_account_id in HOT for each in operations) > 200
    assert not any(isinstance(each, SetAlert | SetCredit) for each in operations)
