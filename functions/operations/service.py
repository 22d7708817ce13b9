"""Health: every room's table and dead-letter queues, looked at no more than once in ten seconds a process."""

from datetime import datetime, timedelta
from typing import Protocol

from common.clock import Clock

from functions.operations.domain import DEAD_LETTERS, ROOMS, TABLES, Check, Health

KEPT = timedelta(seconds=10)


class Probes(Protocol):
    """Looks at tables and queues. What can't be looked at is an answer, not an exception."""

    def serves(self, room: str) -> bool:
        """Whether a room's table takes reads and writes; False where that could not be learned."""
        ...

    def waiting(self, queue: str) -> int | None:
        """About how many messages wait in a queue; None where that could not be learned."""
        ...


class Service:
    """The use cases of operations."""

    def __init__(self, probes: Probes, now: Clock) -> None:
        self._probes = probes
        self._now = now
        self._seen: tuple[datetime, Health] | None = None

    def health(self) -> Health:
        """How every room stands, as of at most ten seconds ago."""
        now = self._now()
        if self._seen is None or now - self._seen[0] >= KEPT:
            self._seen = now, Health({room: self._check(room) for room in ROOMS})
        return self._seen[1]

    def _check(self, room: str) -> Check:
        counts = [self._probes.waiting(queue) for queue in DEAD_LETTERS.get(room, ())]
        known = [count for count in counts if count is not None]
        return Check(
            serving=self._probes.serves(room) if room in TABLES else None,
            dead_letters=sum(known) if len(known) == len(counts) else None,
        )
