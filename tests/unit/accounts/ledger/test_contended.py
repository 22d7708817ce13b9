"""Many writers at once on few accounts, one call to the table at a time in an order that a seed decides.

REMIT_FUZZ_EXAMPLES sets how many seeds are run; the seed is in the test's name.
"""

import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from threading import Semaphore, Thread, get_ident
from unittest import mock

import pytest
from botocore.exceptions import ClientError
from common.dynamo import Contended
from common.tasks import HoldOutcome, Post, PostOutcome, Refuse, Release

from functions.accounts.domain import ledger, pages
from functions.accounts.service.ledger import Busy
from tests.support.clock import FakeClock
from tests.support.memory_table import Call, Conflict, MemoryTable, throttled
from tests.unit.accounts.ledger.bench import FEES, RAIL, Bench, published
from tests.unit.accounts.ledger.books import Books
from tests.unit.accounts.ledger.drawing import CUSTOMERS, draw
from tests.unit.accounts.ledger.model import Operation

WORKERS = 5
SEEDS = range(int(os.environ.get("REMIT_FUZZ_EXAMPLES", "50")) // 2)


class Crash(Exception):
    """The process died, or never heard the reply."""


class Baton:
    """Lets one thread run at a time; whoever yields hands on to one that the seed picks."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._turns: dict[int, Semaphore] = {}
        self._done = Semaphore(0)
        self._errors: list[BaseException] = []

    def run(self, jobs: list[Callable[[], None]]) -> None:
        threads = []
        ready = Semaphore(0)
        for job in jobs:
            thread = Thread(target=self._work, args=(job, ready))
            threads.append(thread)
            thread.start()
            ready.acquire()
        self._hand_on()
        self._done.acquire()
        for thread in threads:
            thread.join()
        for error in self._errors:
            raise error

    def pass_on(self) -> None:
        mine = self._turns[get_ident()]
        self._hand_on()
        mine.acquire()

    def _hand_on(self) -> None:
        if self._turns:
            self._random.choice(list(self._turns.values())).release()
        else:
            self._done.release()

    def _work(self, job: Callable[[], None], ready: Semaphore) -> None:
        turn = self._turns[get_ident()] = Semaphore(0)
        ready.release()
        turn.acquire()
        try:
            job()
        except BaseException as error:  # noqa: BLE001 (handed to the test's thread)
            self._errors.append(error)
        finally:
            del self._turns[get_ident()]
            self._hand_on()


@dataclass
class Weather:
    """Hands on at every call, lets time pass, and now and then makes the call fail."""

    random: Random
    baton: Baton
    clock: FakeClock
    chance: float

    def __call__(self, call: Call) -> None:
        self.baton.pass_on()
        self.clock.advance(milliseconds=self.random.randint(-15, 20))
        if call.moment == "between" or self.random.random() > self.chance:
            return
        if call.moment == "before" and self.random.random() < 0.5:
            if call.operation == "transact":
                raise Conflict(*self.random.sample(range(len(call.keys)), self.random.randint(0, 1)))
            raise throttled()
        raise Crash


def persist(bench: Bench, operation: Operation) -> PostOutcome | HoldOutcome | str:
    """Asks until there is an answer, as a saga does."""
    for _ in range(100):
        try:
            return bench.run(operation)
        except ValueError:
            return "refused"
        except (Crash, ClientError, Contended, Busy):
            continue
    raise AssertionError(f"no answer to {operation}")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("chance", [0.0, 0.1], ids=["calm", "faults"])
def test_writers_at_once_leave_books_that_balance(seed: int, chance: float) -> None:
    random = Random(f"{seed} {chance}")
    table = MemoryTable(chunk=2, page=2)
    bench = Bench(table)
    baton = Baton(random)
    answers: list[tuple[Operation, PostOutcome | HoldOutcome | str]] = []

    def worker(operations: list[Operation]) -> Callable[[], None]:
        return lambda: answers.extend((operation, persist(bench, operation)) for operation in operations)

    with mock.patch.object(pages, "PAGE_LINES", 3), mock.patch.object(ledger, "INBOX_SHARDS", 2):
        for number, account_id in enumerate(CUSTOMERS):
            bench.fund(account_id, 300, 200 + number)
        table.hook = Weather(random, baton, bench.clock, chance)
        baton.run([worker([draw(random) for _ in range(12)]) for _ in range(WORKERS)])
        table.hook = None
        Books.of(table.items()).check()
        # The turn of a folder that died is over by then.
        bench.clock.advance(minutes=1)
        for account_id in (RAIL, FEES):
            bench.folding.fold(account_id, range(2))
        bench.clock.advance(days=90)
        for transfer_id in bench.ledger.lapsing():
            assert bench.ledger.lapse(transfer_id).outcome == "lapsed"
    books = Books.of(table.items())
    books.check()
    assert books.inbox == []
    assert not any("lapse_at" in hold for hold in books.holds.values())
    numbers = defaultdict(list)
    for event in published(table.changes):
        numbers[event["subject"]].append(event["sequence"])
    assert all(each == sorted(set(each)) for each in numbers.values()), "an account's events ascend"
    for operation, answer in answers:
        if isinstance(operation, Post | Refuse):
            assert bench.run(operation) == answer, "a step has one answer"
        elif isinstance(answer, HoldOutcome) and answer.outcome in ("settled", "released", "lapsed"):
            assert bench.run(Release(operation.transfer_id)) == answer, "a hold is resolved once"  # type: ignore[union-attr]
