"""The operations context over fake probes."""

from functions.operations.domain import TABLES, HealthReport
from functions.operations.service import Health
from tests.support.clock import FakeClock


class World:
    """Tables that are down or not, and queues with messages or not. A count of None is unknown."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.counts: dict[str, int | None] = {}
        self.clock = FakeClock()
        self.health = Health(self, self.clock)

    def report(self) -> HealthReport:
        return self.health.report()

    # --- probes

    def table_available(self, context: str) -> bool:
        assert context in TABLES
        return context not in self.down

    def message_count(self, queue: str) -> int | None:
        return self.counts.get(queue, 0)
