"""A virtual clock for threads: one runs at a time, and time passes only while they sleep.

Real code runs on it unchanged. What takes time in reality (a call to AWS, a pause) sleeps here, and the thread that
wakes first runs next.
"""

import heapq
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Lock, Thread, stack_size
from typing import TypeVar

ArgumentT = TypeVar("ArgumentT")
ResultT = TypeVar("ResultT")

_START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


class Simulation:
    """Threads in virtual time; `now` is in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = count()
        self._sleeping: list[tuple[float, int, Lock]] = []
        self._over = _held()
        self._errors: list[BaseException] = []

    def clock(self) -> datetime:
        return _START + timedelta(seconds=self.now)

    def start(self, job: Callable[[], object]) -> None:
        """Start a thread that runs `job`."""
        turn = self._until(self.now)
        stack_size(256 * 1024)
        Thread(target=self._work, args=(job, turn), daemon=True).start()

    def run(self) -> None:
        """Let time pass until every thread is done. Raises what one of them raised."""
        self._resume_next()
        self._over.acquire()
        for error in self._errors:
            raise error

    def sleep(self, seconds: float) -> None:
        turn = self._until(self.now + seconds)
        self._resume_next()
        turn.acquire()

    def concurrent_map(self, core: "Core", workers: int) -> Callable[..., list[object]]:
        """Return a `map` that runs on `workers` threads of one process, whose core prepares each call in turn."""

        def run(call: Callable[[ArgumentT], ResultT], arguments: Iterable[ArgumentT]) -> list[ResultT]:
            waiting = list(enumerate(arguments))[::-1]
            answers: dict[int, ResultT] = {}
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
                self._resume_next()
                mine.acquire()
            for fault in faults:
                raise fault
            return [answers[place] for place in sorted(answers)]

        return run

    def _until(self, time: float) -> Lock:
        turn = _held()
        heapq.heappush(self._sleeping, (time, next(self._numbers), turn))
        return turn

    def _resume_next(self) -> None:
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
        self._resume_next()


class Core:
    """The core of a process. Each call to AWS takes some of its time, one after the other."""

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
