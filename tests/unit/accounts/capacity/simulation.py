"""A virtual clock for threads: one runs at a time, and time passes only where they sleep.

Real code runs on it as it is: what waits in reality (a call to AWS, a pause) sleeps here, and who wakes next goes on.
"""

import heapq
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Lock, Thread, stack_size
from typing import TypeVar

AskedT = TypeVar("AskedT")
AnswerT = TypeVar("AnswerT")

_BEGINNING = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


class Simulation:
    """Threads in virtual time; `now` is in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = count()
        self._sleeping: list[tuple[float, int, Lock]] = []
        self._over = _held()
        self._errors: list[BaseException] = []

    def clock(self) -> datetime:
        return _BEGINNING + timedelta(seconds=self.now)

    def start(self, job: Callable[[], object]) -> None:
        """A thread that does `job`, from now on."""
        turn = self._until(self.now)
        stack_size(256 * 1024)
        Thread(target=self._work, args=(job, turn), daemon=True).start()

    def run(self) -> None:
        """Lets time pass until every thread is done. Raises what one of them raised."""
        self._hand_on()
        self._over.acquire()
        for error in self._errors:
            raise error

    def sleep(self, seconds: float) -> None:
        turn = self._until(self.now + seconds)
        self._hand_on()
        turn.acquire()

    def at_once(self, core: "Core", workers: int) -> Callable[..., list[object]]:
        """A `map` by so many threads of one process, whose processor prepares one call after the other."""

        def run(call: Callable[[AskedT], AnswerT], asked: Iterable[AskedT]) -> list[AnswerT]:
            waiting = list(enumerate(asked))[::-1]
            answers: dict[int, AnswerT] = {}
            faults: list[Exception] = []
            threads = min(workers, len(waiting))
            mine = _held()

            def work() -> None:
                nonlocal threads
                while waiting:
                    place, each = waiting.pop()
                    core.work()
                    try:
                        answers[place] = call(each)
                    except Exception as fault:  # noqa: BLE001 (raised to the caller)
                        faults.append(fault)
                threads -= 1
                if not threads:
                    heapq.heappush(self._sleeping, (self.now, next(self._numbers), mine))

            for _ in range(threads):
                self.start(work)
            if threads:
                self._hand_on()
                mine.acquire()
            for fault in faults:
                raise fault
            return [answers[place] for place in sorted(answers)]

        return run

    def _until(self, time: float) -> Lock:
        turn = _held()
        heapq.heappush(self._sleeping, (time, next(self._numbers), turn))
        return turn

    def _hand_on(self) -> None:
        if self._sleeping and not self._errors:
            self.now, _, turn = heapq.heappop(self._sleeping)
            turn.release()
        else:
            self._over.release()

    def _work(self, job: Callable[[], object], turn: Lock) -> None:
        turn.acquire()
        try:
            job()
        except BaseException as error:  # noqa: BLE001 (raised by run)
            self._errors.append(error)
        self._hand_on()


class Core:
    """A process's processor: each call to AWS takes it a while, one after the other."""

    def __init__(self, simulation: Simulation, seconds: float) -> None:
        self._simulation = simulation
        self._seconds = seconds
        self._free_at = 0.0

    def work(self) -> None:
        self._free_at = max(self._simulation.now, self._free_at) + self._seconds
        self._simulation.sleep(self._free_at - self._simulation.now)


def _held() -> Lock:
    lock = Lock()
    lock.acquire()
    return lock
