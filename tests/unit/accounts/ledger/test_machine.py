"""A state machine: random operations, with faults and other writers between any two calls to the table.

The ledger has to do what the model does, and its items have to stay consistent.

REMIT_FUZZ_EXAMPLES sets the number of runs. A failure prints the seed that replays it.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from random import Random
from unittest import mock

from botocore.exceptions import ClientError
from common.contracts.accounts import Expect, Post, Refuse, Release, Reserve, Settle
from common.errors import Contended
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from functions.accounts.domain import folding, ledger
from tests.support.memory_table import Call, Conflict, MemoryTable, throttled
from tests.unit.accounts.ledger.drawing import CUSTOMERS, concurrent_operation, draw, end_expectation
from tests.unit.accounts.ledger.model import Answer, EventRow, Fold, Lapse, Model, Operation, Wait
from tests.unit.accounts.ledger.snapshot import Snapshot
from tests.unit.accounts.ledger.world import (
    FEES,
    RAIL,
    Crash,
    Outcome,
    World,
    accounts,
    answer_of,
    event_row,
    published,
    trf,
)

Fault = Callable[[Call], None]
Script = dict[int, Fault | Operation]
"""What happens at which call of an operation: a fault, or a whole operation of another writer."""


def die(call: Call) -> None:
    raise Crash


def throttle(call: Call) -> None:
    if call.moment == "before":
        raise throttled()


def conflict(*positions: int) -> Fault:
    def fault(call: Call) -> None:
        if call.moment == "before" and call.operation == "transact" and max(positions, default=0) < len(call.keys):
            raise Conflict(*positions)

    return fault


SEEDS = st.integers(0, 2**32 - 1)
FAULTS = [die, die, die, throttle, conflict(), conflict(0), conflict(1), conflict(3)]


def draw_script(random: Random, operation: Operation, held: list[str]) -> Script:
    script: Script = {}
    moments = {Post: 6, Fold: 14}.get(type(operation), 9)
    for _ in range(random.choice([0, 1, 2, 3])):
        moment = random.randint(1, moments)
        script[moment] = (
            random.choice(FAULTS) if random.random() < 0.35 else concurrent_operation(random, operation, held)
        )
    return script


class LedgerMachine(RuleBasedStateMachine):
    folded: tuple[str, ...] = (RAIL, FEES)

    def __init__(self) -> None:
        super().__init__()
        self.small = ExitStack()
        self.small.enter_context(mock.patch.object(folding, "BATCH_CREDITS", 3))
        self.small.enter_context(mock.patch.object(ledger, "PENDING_SHARDS", 2))
        self.table = MemoryTable(chunk=2, page=2)
        self.world = World(self.table)
        self.model = Model(accounts())
        for number, customer in enumerate(CUSTOMERS):
            deposit = Post(trf(200 + number), RAIL, customer, 400, "USD")
            self.model.apply(deposit)
            self.world.run(deposit)
        self.outcomes: dict[object, object] = {}
        self.seen = 0
        self.events: list[EventRow] = []
        self.sequences: dict[str, int] = {}

    def teardown(self) -> None:
        self.table.hook = None
        for expect in self.expected():
            posting = end_expectation(Random(0), expect)
            assert self.model.apply(posting) == self.run(posting)
        assert not any(account.incoming for account in self.model.accounts.values())
        self.world.clock.advance(minutes=1)
        for account_id in self.folded:
            self.world.folding.fold(account_id, (0, 1))
        assert self.model.apply(Wait(30)) == self.run(Wait(30))
        for transfer_id in self.world.ledger.lapsing():
            assert self.model.apply(Lapse(transfer_id)) == self.run(Lapse(transfer_id))
        assert list(self.world.ledger.lapsing()) == []
        snapshot = Snapshot.of(self.table.items())
        snapshot.check()
        assert snapshot.pending == [] and self.model.state_of(snapshot, self.read_events()) == self.model.state()
        self.small.close()

    @initialize(seed=SEEDS)
    def begin(self, seed: int) -> None:
        # Hypothesis often draws what it drew before. The seed of the run makes something else of it.
        self.seed = seed

    @rule(seed=SEEDS)
    def run_something(self, seed: int) -> None:
        random = Random(f"{self.seed} {seed}")
        held = [transfer_id for transfer_id, hold in self.model.holds.items() if hold[0] == "open"]
        operation = draw(random, held, self.expected())
        script = draw_script(random, operation, held)
        note(f"{operation} with {script}")
        self.step(operation, script, random.randint(-20, 40))

    def expected(self) -> list[Expect]:
        """Return what was expected, whether or not the posting step has an outcome."""
        return [
            Expect(transfer_id, CUSTOMERS[int(transfer_id[4:]) % len(CUSTOMERS)], 50, "USD")
            for transfer_id, answer in self.model.expectations.items()
            if answer[0] == "expected"
        ]

    @invariant()
    def items_are_consistent(self) -> None:
        Snapshot.of(self.table.items()).check()

    def read_events(self) -> list[EventRow]:
        """Return the events about limits and balances so far. The events of an account ascend, and none comes twice."""
        for event in published(self.table.changes[self.seen :]):
            assert event["sequence"] > self.sequences.get(event["subject"], 0), event
            self.sequences[event["subject"]] = event["sequence"]
            if event["type"] in ("limit.exceeded", "balance.low"):
                self.events.append(event_row(event))
        self.seen = len(self.table.changes)
        return self.events

    def step(self, operation: Operation, script: Script, skew: int) -> None:
        """Run an operation with its script, and find an order in which the model gives the same answers."""
        self.world.clock.advance(milliseconds=skew)
        others: list[tuple[Operation, Answer]] = []
        moment = 0

        def hook(call: Call) -> None:
            nonlocal moment
            moment += 1
            self.world.clock.advance(milliseconds=1)
            happening = script.get(moment)
            if callable(happening):
                happening(call)
            elif happening is not None:
                self.table.hook = None
                answer = self.run(happening)
                assert answer is not None, "without a fault there is an outcome"
                others.append((happening, answer))
                Snapshot.of(self.table.items()).check()
                self.table.hook = hook

        self.table.hook = hook
        answer = self.run(operation)
        self.table.hook = None
        self.model = self.explain(operation, answer, others)

    def run(self, operation: Operation) -> Answer | None:
        """Return the outcome of an operation, None if a fault prevented it."""
        try:
            outcome = self.world.run(operation)
        except ValueError:
            return "ValueError", "", 0
        except (Crash, ClientError, Contended):
            return None
        self.remember(operation, outcome)
        return answer_of(outcome)

    def remember(self, operation: Operation, outcome: Outcome) -> None:
        """Check that the same step has the same outcome, its time included, however often it is called."""
        if isinstance(operation, Expect):
            assert self.outcomes.setdefault((operation.transfer_id, "expect"), outcome) == outcome
        elif isinstance(operation, Post | Refuse):
            assert self.outcomes.setdefault((operation.transfer_id, operation.step), outcome) == outcome
        elif isinstance(operation, Reserve | Settle | Release | Lapse) and answer_of(outcome)[0] in (
            "settled",
            "released",
            "lapsed",
        ):
            assert self.outcomes.setdefault(operation.transfer_id, outcome) == outcome

    def explain(self, operation: Operation, answer: Answer | None, others: list[tuple[Operation, Answer]]) -> Model:
        """Return the model after the operation took effect among the others, or, without an outcome, not at all."""
        snapshot, events = Snapshot.of(self.table.items()), self.read_events()
        places: list[int | None] = [*range(len(others) + 1)]
        if answer is None:
            places.append(None)
        tried: list[object] = []
        for place in places:
            model = self.model.fork()
            order: list[tuple[Operation, Answer | None]] = list(others)
            if place is not None:
                order.insert(place, (operation, answer))
            agrees = all(given in (model.apply(each), None) for each, given in order)
            expected, observed = model.state(), model.state_of(snapshot, events)
            tried.append((place, agrees, expected, observed))
            if agrees and expected == observed:
                return model
        raise AssertionError(f"{operation} returned {answer} among {others}\nplace, agrees, model, observed: {tried}")


LedgerMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("REMIT_FUZZ_EXAMPLES", "50")),
    stateful_step_count=30,
    deadline=None,
    database=None,
    print_blob=True,
)
test_ledger = LedgerMachine.TestCase
