"""Concurrent writers on few accounts. One call to the table runs at a time, in an order that a seed decides.

REMIT_FUZZ_EXAMPLES sets the number of seeds. The seed is in the name of the test.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from threading import Semaphore, Thread, get_ident
from unittest import mock

import pytest
from botocore.exceptions import ClientError
from common.contracts.accounts import Expect, ExpectOutcome, HoldOutcome, Post, Refuse, Release
from common.errors import Contended

from functions.accounts.domain import folding, ledger
from tests.support.clock import FakeClock
from tests.support.memory_table import Call, Conflict, MemoryTable, throttled
from tests.unit.accounts.ledger.drawing import CUSTOMERS, draw, end_expectation
from tests.unit.accounts.ledger.model import Operation
from tests.unit.accounts.ledger.snapshot import Snapshot
from tests.unit.accounts.ledger.world import FEES, RAIL, Crash, Outcome, World, published

WORKERS = 5
SEEDS = range(int(os.environ.get("REMIT_FUZZ_EXAMPLES", "50")) // 2)


class Scheduler:
    """Lets one thread run at a time, and picks the next one by the seed."""

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
        self._resume_another()
        self._done.acquire()
        for thread in threads:
            thread.join()
        for error in self._errors:
            raise error

    def switch(self) -> None:
        mine = self._turns[get_ident()]
        self._resume_another()
        mine.acquire()

    def _resume_another(self) -> None:
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
            self._resume_another()


@dataclass
class Faults:
    """Switches threads at every call, lets time pass, and makes some calls fail."""

    random: Random
    scheduler: Scheduler
    clock: FakeClock
    chance: float

    def __call__(self, call: Call) -> None:
        self.scheduler.switch()
        self.clock.advance(milliseconds=self.random.randint(-15, 20))
        if call.moment == "between" or self.random.random() > self.chance:
            return
        if call.moment == "before" and self.random.random() < 0.5:
            if call.operation == "transact":
                raise Conflict(*self.random.sample(range(len(call.keys)), self.random.randint(0, 1)))
            raise throttled()
        raise Crash


def run_until_done(world: World, operation: Operation) -> Outcome:
    """Call until there is an outcome, as a saga does."""
    for _ in range(1000):
        try:
            return world.run(operation)
        except ValueError:
            return "refused"
        except (Crash, ClientError, Contended):
            continue
    raise AssertionError(f"no outcome of {operation}")


def run_all(world: World, operations: list[Operation]) -> Iterator[tuple[Operation, Outcome]]:
    """Run operations one after the other, and end what is expected. Yields each with its outcome."""
    for operation in operations:
        answer = run_until_done(world, operation)
        yield operation, answer
        if isinstance(operation, Expect) and answer == ExpectOutcome("expected"):
            ending = end_expectation(Random(operation.amount), operation)
            yield ending, run_until_done(world, ending)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("chance", [0.0, 0.1], ids=["calm", "faults"])
def test_concurrent_writers_leave_a_consistent_ledger(seed: int, chance: float) -> None:
    random = Random(f"{seed} {chance}")
    table = MemoryTable(chunk=2, page=2)
    world = World(table)
    scheduler = Scheduler(random)
    answers: list[tuple[Operation, Outcome]] = []

    def worker(operations: list[Operation]) -> Callable[[], None]:
        return lambda: answers.extend(run_all(world, operations))

    with mock.patch.object(folding, "BATCH_CREDITS", 3), mock.patch.object(ledger, "PENDING_SHARDS", 2):
        for number, account_id in enumerate(CUSTOMERS):
            world.fund(account_id, 300, 200 + number)
        table.hook = Faults(random, scheduler, world.clock, chance)
        scheduler.run([worker([draw(random) for _ in range(12)]) for _ in range(WORKERS)])
        table.hook = None
        Snapshot.of(table.items()).check()
        # Long enough for the turn of a folder that died to be over.
        world.clock.advance(minutes=1)
        for account_id in (RAIL, FEES):
            world.folding.fold(account_id, range(2))
        world.clock.advance(days=90)
        for transfer_id in world.ledger.lapsing():
            assert world.ledger.lapse(transfer_id).outcome == "lapsed"
    snapshot = Snapshot.of(table.items())
    snapshot.check()
    assert snapshot.pending == []
    assert not any("lapse_at" in hold for hold in snapshot.holds.values())
    numbers = defaultdict(list)
    for event in published(table.changes):
        numbers[event["subject"]].append(event["sequence"])
    assert all(each == sorted(set(each)) for each in numbers.values()), "the events of an account ascend"
    for operation, answer in answers:
        if isinstance(operation, Expect | Post | Refuse):
            assert world.run(operation) == answer, "a step has one outcome"
        elif isinstance(answer, HoldOutcome) and answer.outcome in ("settled", "released", "lapsed"):
            assert world.run(Release(operation.transfer_id)) == answer, "a hold is resolved once"  # type: ignore[union-attr]
