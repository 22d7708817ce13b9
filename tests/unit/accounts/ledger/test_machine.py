"""Any operations in any order, with faults and other writers between any two calls to the table: the ledger does what
the model does, and its books always balance.

REMIT_FUZZ_EXAMPLES sets how many runs are made; a failure prints the seed that replays it.
"""

import os
from collections.abc import Callable
from unittest import mock

from botocore.exceptions import ClientError
from common.dynamo import Contended
from common.tasks import HoldOutcome, Post, PostOutcome, Refuse, Release, Reserve, Settle
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from functions.accounts.domain import ledger
from functions.accounts.service.ledger import Busy
from tests.support.memory_table import Call, Conflict, MemoryTable, throttled
from tests.unit.accounts.ledger.bench import (
    ALICE,
    BOB,
    CAROL,
    EURO_RAIL,
    EVA,
    FEES,
    RAIL,
    STRANGER,
    Bench,
    accounts,
    answer_of,
    trf,
)
from tests.unit.accounts.ledger.books import Books
from tests.unit.accounts.ledger.model import Answer, Fold, Model, Operation, SetStatus


class Crash(Exception):
    """The process died, or never heard the reply."""


Fault = Callable[[Call], None]
Script = dict[int, Fault | Operation]


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


CUSTOMERS = [ALICE, BOB, CAROL]
PAYERS = [*CUSTOMERS, *CUSTOMERS, RAIL, EVA, STRANGER]
PAYEES = [*CUSTOMERS, *CUSTOMERS, RAIL, FEES, EVA, STRANGER]
AMOUNTS = st.integers(1, 300)
# Few enough that what is drawn again is a duplicate, or another request under the same id; enough to go on for a while.
TRANSFERS = st.one_of(st.integers(1, 6), st.integers(1, 60), st.integers(1, 60)).map(trf)
HOLDERS = st.integers(101, 130).map(trf)


def _pair(payers: list[str], payees: list[str]) -> st.SearchStrategy[tuple[str, str]]:
    pairs = st.tuples(st.sampled_from(payers), st.sampled_from(payees))
    return pairs.filter(lambda pair: pair[0] != pair[1])


def _posts(pairs: st.SearchStrategy[tuple[str, str]], currencies: list[str]) -> st.SearchStrategy[Post]:
    return st.builds(
        lambda transfer, pair, amount, currency: Post(transfer, pair[0], pair[1], amount, currency, "lunch"),
        TRANSFERS,
        pairs,
        AMOUNTS,
        st.sampled_from(currencies),
    )


PAYMENTS = _posts(_pair(CUSTOMERS, CUSTOMERS), ["USD"])
DEPOSITS = _posts(_pair([RAIL], CUSTOMERS), ["USD"])
ODDITIES = _posts(_pair(PAYERS, PAYEES), ["USD", "USD", "EUR"])
REFUSALS = st.builds(Refuse, TRANSFERS, st.sampled_from(["declined", "failed"]), st.sampled_from(["", "card_declined"]))
RESERVES = st.builds(
    Reserve, HOLDERS, st.sampled_from([*CUSTOMERS, *CUSTOMERS, EVA, STRANGER]), AMOUNTS, st.just("USD")
)


def _resolutions(transfers: st.SearchStrategy[str]) -> st.SearchStrategy[Operation]:
    payees = st.sampled_from([*CUSTOMERS, *CUSTOMERS, RAIL, FEES, EURO_RAIL, EVA, STRANGER])
    settles = st.builds(Settle, transfers, payees, st.none() | AMOUNTS)
    return st.one_of(settles, settles, st.builds(Release, transfers))


STATUSES = st.builds(
    SetStatus, st.sampled_from(CUSTOMERS), st.sampled_from(["active", "active", "active", "frozen", "frozen", "closed"])
)
FOLDS = st.builds(Fold, st.sampled_from([RAIL, RAIL, FEES]), st.sampled_from([(0, 1), (0, 1), (0,), (1,)]))
OPERATIONS = st.one_of(
    PAYMENTS, PAYMENTS, DEPOSITS, DEPOSITS, ODDITIES, REFUSALS, RESERVES, _resolutions(HOLDERS), STATUSES, FOLDS
)
FAULTS = st.sampled_from([crash, crash, throttle, conflict(), conflict(0), conflict(1), conflict(3)])
MOMENTS = st.one_of(st.integers(1, 7), st.integers(1, 16))


def _script(others: st.SearchStrategy[Operation]) -> st.SearchStrategy[Script]:
    """What happens at which moment of an operation: a fault, or another writer's whole operation."""
    events = st.one_of(st.tuples(MOMENTS, others), st.tuples(MOMENTS, others), st.tuples(MOMENTS, FAULTS))
    return st.one_of(st.just({}), st.lists(events, min_size=1, max_size=4).map(dict))


SCRIPTS = _script(OPERATIONS)
FOLD_SCRIPTS = _script(st.one_of(FOLDS, FOLDS, DEPOSITS))
SKEWS = st.integers(-20, 40)


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.small = mock.patch.multiple(ledger, PAGE_LINES=3, INBOX_SHARDS=2)
        self.small.start()
        self.table = MemoryTable(chunk=2, page=2)
        self.bench = Bench(self.table)
        self.model = Model(accounts())
        for number, customer in enumerate(CUSTOMERS):
            operation = Post(trf(200 + number), RAIL, customer, 400, "USD")
            self.model.apply(operation)
            self.bench.run(operation)
        self.answered: dict[object, object] = {}

    def teardown(self) -> None:
        self.table.hook = None
        for account_id in (RAIL, FEES):
            self.bench.ledger.fold(account_id, (0, 1))
        books = Books.of(self.table.items())
        books.check()
        assert books.inbox == [] and Model.state_of(books, self.model.accounts) == self.model.state()
        self.small.stop()

    @rule(operation=PAYMENTS, script=SCRIPTS, skew=SKEWS)
    def pay(self, operation: Operation, script: Script, skew: int) -> None:
        self.step(operation, script, skew)

    @rule(operation=DEPOSITS, script=SCRIPTS, skew=SKEWS)
    def deposit(self, operation: Operation, script: Script, skew: int) -> None:
        self.step(operation, script, skew)

    @rule(operation=st.one_of(ODDITIES, REFUSALS, STATUSES), script=SCRIPTS, skew=SKEWS)
    def disturb(self, operation: Operation, script: Script, skew: int) -> None:
        self.step(operation, script, skew)

    @rule(operation=RESERVES, script=SCRIPTS, skew=SKEWS)
    def reserve(self, operation: Operation, script: Script, skew: int) -> None:
        self.step(operation, script, skew)

    @rule(data=st.data(), skew=SKEWS)
    def resolve(self, data: st.DataObject, skew: int) -> None:
        """Settles or releases, most often what is held, while others do the same or something else."""
        held = [transfer_id for transfer_id, hold in self.model.holds.items() if hold[0] == "open"]
        transfer_id = data.draw(st.sampled_from(held) if held else HOLDERS)
        rivals = _resolutions(st.just(transfer_id))
        operation = data.draw(st.one_of(rivals, rivals, _resolutions(HOLDERS)))
        self.step(operation, data.draw(_script(st.one_of(OPERATIONS, rivals))), skew)

    @rule(operation=FOLDS, script=FOLD_SCRIPTS, skew=SKEWS)
    def fold(self, operation: Operation, script: Script, skew: int) -> None:
        self.step(operation, script, skew)

    @invariant()
    def books_balance(self) -> None:
        Books.of(self.table.items()).check()

    def step(self, operation: Operation, script: Script, skew: int) -> None:
        """Runs an operation with its script, and finds the order in which the model gives the very same answers."""
        self.bench.clock.advance(milliseconds=skew)
        others: list[tuple[Operation, Answer]] = []
        moment = 0

        def hook(call: Call) -> None:
            nonlocal moment
            moment += 1
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
        elif isinstance(operation, Reserve | Settle | Release) and answer_of(outcome)[0] in ("settled", "released"):
            assert self.answered.setdefault(operation.transfer_id, outcome) == outcome

    def explain(self, operation: Operation, answer: Answer | None, others: list[tuple[Operation, Answer]]) -> Model:
        """The model after the operation took effect somewhere among the others, or, unanswered, not at all."""
        observed = Model.state_of(Books.of(self.table.items()), self.model.accounts)
        places: list[int | None] = [*range(len(others) + 1)]
        if answer is None:
            places.append(None)
        tried = []
        for place in places:
            model = self.model.fork()
            order: list[tuple[Operation, Answer | None]] = list(others)
            if place is not None:
                order.insert(place, (operation, answer))
            agrees = all(expected in (model.apply(each), None) for each, expected in order)
            tried.append((place, agrees, model.state()))
            if agrees and model.state() == observed:
                return model
        raise AssertionError(f"{operation} answered {answer} amid {others}\nobserved {observed}\nmodels {tried}")


LedgerMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("REMIT_FUZZ_EXAMPLES", "50")),
    stateful_step_count=30,
    deadline=None,
    database=None,
    print_blob=True,
)
test_ledger = LedgerMachine.TestCase
