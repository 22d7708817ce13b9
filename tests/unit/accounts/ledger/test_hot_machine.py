"""The state machine and the concurrent writers again, with customers whose accounts are hot.

Callers see no difference, so the model is the same. Excluded are alerts and credit limits, which go by the booked
balance, and closing, which is refused to hot accounts.
"""

from collections.abc import Callable, Sequence
from random import Random
from unittest import mock

import pytest
from common.contracts.accounts import Expect, Post, Refuse, Reserve
from hypothesis import note
from hypothesis.stateful import rule

from functions.accounts.domain import folding, ledger
from tests.support.memory_table import MemoryTable
from tests.unit.accounts.ledger.drawing import CUSTOMERS, concurrent_operation, draw
from tests.unit.accounts.ledger.model import Fold, Operation, SetAlert, SetCredit, SetHot, SetStatus
from tests.unit.accounts.ledger.snapshot import Snapshot
from tests.unit.accounts.ledger.test_contended import SEEDS as WRITERS_SEEDS
from tests.unit.accounts.ledger.test_contended import WORKERS, Faults, Scheduler, run_all
from tests.unit.accounts.ledger.test_machine import FAULTS, SEEDS, LedgerMachine, Script
from tests.unit.accounts.ledger.world import ALICE, BOB, FEES, RAIL, Outcome, World, trf

HOT = (ALICE, BOB)


def draw_hot(random: Random, held: Sequence[str] = (), expected: Sequence[Expect] = ()) -> Operation:
    """Return a random operation, often on hot accounts and their pending credits."""
    shop, other = random.sample(HOT, 2)
    amount = random.randint(1, 200)
    kinds: list[tuple[int, Operation]] = [
        (6, draw(random, held, expected)),
        (3, Post(trf(random.randint(1, 60)), random.choice([other, RAIL]), shop, amount, "USD", "order")),
        (3, Post(trf(random.randint(1, 60)), shop, RAIL, 2 * amount, "USD", "payout")),
        (1, Reserve(trf(random.randint(101, 112)), shop, 2 * amount, "USD", "payout")),
        (3, Fold(shop, random.choice([(0, 1), (0, 1), (0,), (1,)]))),
        (1, SetHot(random.choice(CUSTOMERS), random.random() < 0.7)),
    ]
    weights = [weight for weight, _ in kinds]
    operation = random.choices([operation for _, operation in kinds], weights)[0]
    return operation if is_comparable(operation) else Fold(shop, (0, 1))


def concurrent_hot_operation(random: Random, operation: Operation, held: Sequence[str]) -> Operation:
    """Return what another writer does meanwhile: often to the same pending credits."""
    match operation:
        case Post(source_account_id=account_id) | Reserve(account_id=account_id) if account_id in HOT:
            candidates: list[Operation] = [Fold(account_id, (0, 1)), SetHot(account_id, False)]
        case Fold(account_id=account_id) if account_id in HOT:
            candidates = [operation, Post(trf(random.randint(1, 60)), account_id, RAIL, random.randint(1, 200), "USD")]
        case _:
            candidates = []
    other = concurrent_operation(random, operation, held) if random.random() < 0.5 else draw_hot(random, held)
    candidates += [other] if is_comparable(other) else [Fold(ALICE, (0, 1))]
    return random.choice(candidates)


def is_comparable(operation: Operation) -> bool:
    """Whether an operation has the same outcome for a hot account."""
    closes = isinstance(operation, SetStatus) and operation.status == "closed"
    return not closes and not isinstance(operation, SetAlert | SetCredit)


class HotMachine(LedgerMachine):
    folded = (*CUSTOMERS, RAIL, FEES)

    def __init__(self) -> None:
        super().__init__()
        for account_id in HOT:
            self.world.set_hot(account_id, True)

    @rule(seed=SEEDS)
    def run_something(self, seed: int) -> None:
        random = Random(f"{self.seed} {seed}")
        held = [transfer_id for transfer_id, hold in self.model.holds.items() if hold[0] == "open"]
        operation = draw_hot(random, held, self.expected())
        script: Script = {}
        for _ in range(random.choice([0, 1, 2, 3])):
            fault = (
                random.choice(FAULTS) if random.random() < 0.35 else concurrent_hot_operation(random, operation, held)
            )
            script[random.randint(1, 16)] = fault
        note(f"{operation} with {script}")
        self.step(operation, script, random.randint(-20, 40))


HotMachine.TestCase.settings = LedgerMachine.TestCase.settings
test_hot_ledger = HotMachine.TestCase


@pytest.mark.parametrize("seed", WRITERS_SEEDS)
@pytest.mark.parametrize("chance", [0.0, 0.05], ids=["calm", "faults"])
def test_concurrent_writers_on_hot_accounts(seed: int, chance: float) -> None:
    random = Random(f"hot {seed} {chance}")
    table = MemoryTable(chunk=2, page=2)
    world = World(table)
    scheduler = Scheduler(random)
    answers: list[tuple[Operation, Outcome]] = []

    def worker(operations: list[Operation]) -> Callable[[], None]:
        return lambda: answers.extend(run_all(world, operations))

    with mock.patch.object(folding, "BATCH_CREDITS", 3), mock.patch.object(ledger, "PENDING_SHARDS", 2):
        for number, account_id in enumerate(CUSTOMERS):
            world.fund(account_id, 300, 200 + number)
        for account_id in HOT:
            world.set_hot(account_id, True)
        table.hook = Faults(random, scheduler, world.clock, chance)
        scheduler.run([worker([draw_hot(random) for _ in range(12)]) for _ in range(WORKERS)])
        table.hook = None
        Snapshot.of(table.items()).check()
        world.clock.advance(minutes=1)
        for account_id in (RAIL, FEES, *CUSTOMERS):
            world.folding.fold(account_id, (0, 1))
        snapshot = Snapshot.of(table.items())
        snapshot.check()
        assert snapshot.pending == []
        for operation, answer in answers:
            if isinstance(operation, Expect | Post | Refuse):
                assert world.run(operation) == answer, "a step has one outcome"


def test_the_state_machine_draws_enough_of_each_operation() -> None:
    """There are enough credits, debits and folds for the state machine to prove something."""
    operations = [draw_hot(Random(f"{number}")) for number in range(1000)]
    assert sum(isinstance(each, Fold) and each.account_id in HOT for each in operations) > 100
    assert sum(isinstance(each, Post) and each.destination_account_id in HOT for each in operations) > 200
    assert not any(isinstance(each, SetAlert | SetCredit) for each in operations)
