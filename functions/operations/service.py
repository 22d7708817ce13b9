"""The platform's health: every context's table and dead-letter queues."""

from datetime import datetime, timedelta
from typing import Protocol

from common.clock import Clock

from functions.operations.domain import CONTEXTS, DEAD_LETTERS, TABLES, Check, HealthReport

_CACHED_FOR = timedelta(seconds=10)


class Probes(Protocol):
    """What health is derived from. A probe that fails raises nothing."""

    def table_available(self, context: str) -> bool:
        """Return whether a context's table takes reads and writes; False if that is unknown."""

    def message_count(self, queue: str) -> int | None:
        """Return about how many messages wait in a queue; None if that is unknown."""


class Health:
    """The health of the platform, checked at most once in ten seconds a process."""

    def __init__(self, probes: Probes, now: Clock) -> None:
        self._probes = probes
        self._now = now
        self._cached: tuple[datetime, HealthReport] | None = None

    def report(self) -> HealthReport:
        """Return the state of every context, at most ten seconds old."""
        now = self._now()
        if self._cached is None or now - self._cached[0] >= _CACHED_FOR:
            self._cached = now, HealthReport({context: self._check(context) for context in CONTEXTS})
        return self._cached[1]

    def _check(self, context: str) -> Check:
        counts = [self._probes.message_count(queue) for queue in DEAD_LETTERS.get(context, ())]
        known = [count for count in counts if count is not None]
        return Check(
            serving=self._probes.table_available(context) if context in TABLES else None,
            dead_letters=sum(known) if len(known) == len(counts) else None,
        )
