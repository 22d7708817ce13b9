"""Any operations in any order, with faults and other writers between any two calls to the table: the ledger does what
the model does, and its books always balance.

REMIT_FUZZ_EXAMPLES sets how many runs are made; a failure prints the seed that replays it.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from random import Random
from unittest import mock

from botocore.exceptions import ClientError
from common.dynamo import Contended
from common.tasks import HoldOutcome, Post, PostOutcome, Refuse, Release, Reserve, Settle
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from functions.accounts.domain import ledger, pages
from functions.accounts.service.ledger import Busy
from tests.support.memory_table import Call, Conflict, MemoryTable, throttled
from tests.unit.accounts.ledger.bench import (
    FEES,
    RAIL,
    Bench,
    accounts,
    answer_of,
    published,
    told_of,
    trf,
)
from tests.unit.accounts.ledger.books import Books
from tests.unit.accounts.ledger.drawing import CUSTOMERS, draw, rival
from tests.unit.accounts.ledger.model import Answer, Fold, Lapse, Model, Operation, Told, Wait


class Crash(Exception):
    """The process died, or never heard the reply."""


Fault = Callable[[Call], None]
Script = dict[int, Fault | Operation]
"""What happens at which moment of an operation: a fault, or another writer's whole operation."""


def crash(call: Call) -> None:
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
FAULTS = [crash, crash, crash, throttle, conflict(), conflict(0), conflict(1), conflict(3)]


def draw_script(random: Random, operation: Operation, held: list[str]) -> Script:
    script: Script = {}
    moments = {Post: 6, Fold: 14}.get(type(operation), 9)
    for _ in range(random.choice([0, 1, 2, 3])):
        moment = random.randint(1, moments)
        script[moment] = random.choice(FAULTS) if random.random() < 0.35 else rival(random, operation, held)
    return script


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.small = ExitStack()
        self.small.enter_context(mock.patch.object(pages, "PAGE_LINES", 3))
        self.small.enter_context(mock.patch.object(ledger, "INBOX_SHARDS", 2))
        self.table = MemoryTable(chunk=2, page=2)
        self.bench = Bench(self.table)
        self.model = Model(accounts())
        for number, customer in enumerate(CUSTOMERS):
            deposit = Post(trf(200 + number), RAIL, customer, 400, "USD")
            self.model.apply(deposit)
            self.bench.run(deposit)
        self.answered: dict[object, object] = {}
        self.seen = 0
        self.told: list[Told] = []
        self.sequences: dict[str, int] = {}

    def teardown(self) -> None:
        self.table.hook = None
        for account_id in (RAIL, FEES):
            self.bench.folding.fold(account_id, (0, 1))
        assert self.model.apply(Wait(30)) == self.run(Wait(30))
        for transfer_id in self.bench.ledger.lapsing():
            assert self.model.apply(Lapse(transfer_id)) == self.run(Lapse(transfer_id))
        assert list(self.bench.ledger.lapsing()) == []
        books = Books.of(self.table.items())
        books.check()
        assert books.inbox == [] and self.model.state_of(books, self.heard()) == self.model.state()
        self.small.close()

    @initialize(seed=SEEDS)
    def begin(self, seed: int) -> None:
        # Hypothesis likes to draw what it drew before: each run makes something else of it.
        self.seed = seed

    @rule(seed=SEEDS)
    def something_happens(self, seed: int) -> None:
        random = Random(f"{self.seed} {seed}")
        held = [transfer_id for transfer_id, hold in self.model.holds.items() if hold[0] == "open"]
        operation = draw(random, held)
        script = draw_script(random, operation, held)
        note(f"{operation} amid {script}")
        self.step(operation, script, random.randint(-20, 40))

    @invariant()
    def books_balance(self) -> None:
        Books.of(self.table.items()).check()

    def heard(self) -> list[Told]:
        """What the owners were told of limits and balances so far; an account's events ascend, and none comes twice."""
        for event in published(self.table.changes[self.seen :]):
            assert event["sequence"] > self.sequences.get(event["subject"], 0), event
            self.sequences[event["subject"]] = event["sequence"]
            if event["type"] in ("limit.exceeded", "balance.low"):
                self.told.append(told_of(event))
        self.seen = len(self.table.changes)
        return self.told

    def step(self, operation: Operation, script: Script, skew: int) -> None:
        """Runs an operation with its script, and finds the order in which the model gives the very same answers."""
        self.bench.clock.advance(milliseconds=skew)
        others: list[tuple[Operation, Answer]] = []
        moment = 0

        def hook(call: Call) -> None:
            nonlocal moment
            moment += 1
            self.bench.clock.advance(milliseconds=1)
            happening = script.get(moment)
            if callable(happening):
                happening(call)
            elif happening is not None:
                self.table.hook = None
                answer = self.run(happening)
                assert answer is not None, "without a fault there is an answer"
                others.append((happening, answer))
                Books.of(self.table.items()).check()
                self.table.hook = hook

        self.table.hook = hook
        answer = self.run(operation)
        self.table.hook = None
        self.model = self.explain(operation, answer, others)

    def run(self, operation: Operation) -> Answer | None:
        """The operation's answer, None where a fault swallowed it."""
        try:
            outcome = self.bench.run(operation)
        except ValueError:
            return "ValueError", "", 0
        except (Crash, ClientError, Contended, Busy):
            return None
        self.remember(operation, outcome)
        return answer_of(outcome)

    def remember(self, operation: Operation, outcome: PostOutcome | HoldOutcome | str) -> None:
        """The same step has the same answer for ever, its time included."""
        if isinstance(operation, Post | Refuse):
            assert self.answered.setdefault((operation.transfer_id, operation.step), outcome) == outcome
        elif isinstance(operation, Reserve | Settle | Release | Lapse) and answer_of(outcome)[0] in (
            "settled",
            "released",
            "lapsed",
        ):
            assert self.answered.setdefault(operation.transfer_id, outcome) == outcome

    def explain(self, operation: Operation, answer: Answer | None, others: list[tuple[Operation, Answer]]) -> Model:
        """The model after the operation took effect somewhere among the others, or, unanswered, not at all."""
        books, heard = Books.of(self.table.items()), self.heard()
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
            expected, observed = model.state(), model.state_of(books, heard)
            tried.append((place, agrees, expected, observed))
            if agrees and expected == observed:
                return model
        raise AssertionError(f"{operation} answered {answer} amid {others}\nplace, agrees, model, observed: {tried}")


LedgerMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("REMIT_FUZZ_EXAMPLES", "50")),
    stateful_step_count=30,
    deadline=None,
    database=None,
    print_blob=True,
)
test_ledger = LedgerMachine.TestCase
