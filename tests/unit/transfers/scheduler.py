"""Runs tasks concurrently, one step at a time, in an order that follows from a seed. Time passes only if all sleep."""

import random
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from tests.support.clock import FakeClock


class Scheduler:
    """Each task is a thread, but only one runs at a time. `step` and `sleep` let another task run."""

    def __init__(self, clock: FakeClock, seed: int) -> None:
        self._clock = clock
        self._random = random.Random(seed)
        self._gates: list[threading.Semaphore] = []
        self._wakes: dict[int, datetime] = {}
        self._me = threading.local()

    def run(self, tasks: Sequence[Callable[[], Any]]) -> list[Any]:
        """Return what each task returned, or the exception that it raised."""
        results: list[Any] = [None] * len(tasks)

        def body(number: int) -> None:
            self._me.number = number
            self._await_turn(number)
            try:
                results[number] = tasks[number]()
            except Exception as error:  # noqa: BLE001 (the test looks at it)
                results[number] = error
            del self._wakes[number]
            self._pass_on()

        self._gates = [threading.Semaphore(0) for _ in tasks]
        self._wakes = {number: self._clock() for number in range(len(tasks))}
        threads = [threading.Thread(target=body, args=(number,), daemon=True) for number in range(len(tasks))]
        for thread in threads:
            thread.start()
        self._pass_on()
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive(), "stuck"
        return results

    def step(self, *_: Any) -> None:
        """Let another task run."""
        self.sleep(0)

    def sleep(self, seconds: float) -> None:
        """Do not run until `seconds` have passed."""
        number = getattr(self._me, "number", None)
        if number is not None:
            self._wakes[number] = self._clock() + timedelta(seconds=seconds)
            self._pass_on()
            self._await_turn(number)

    def _await_turn(self, number: int) -> None:
        assert self._gates[number].acquire(timeout=60), "stuck"

    def _pass_on(self) -> None:
        if self._wakes:
            self._clock.at = max(self._clock.at, min(self._wakes.values()))
            awake = sorted(number for number, at in self._wakes.items() if at <= self._clock.at)
            self._gates[self._random.choice(awake)].release()
