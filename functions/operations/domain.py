"""What health means: a table that does not serve stops its room; dead letters need a person, and stop nobody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Status = Literal["healthy", "degraded"]

TABLES = ("auth", "accounts", "transfers", "notifications", "mail")
DEAD_LETTERS: Mapping[str, tuple[str, ...]] = {
    "accounts": ("payees-dead-letters",),
    "transfers": ("rail-dead-letters", "transfers-dead-letters"),
    "notifications": ("notifications-dead-letters",),
    "mail": ("mail-dead-letters", "mail-flush-dead-letters"),
    "operations": ("stream-failures",),
}
ROOMS = tuple(dict.fromkeys((*TABLES, *DEAD_LETTERS)))


@dataclass(frozen=True, slots=True)
class Check:
    """How a room stands. `serving`: whether its table answers reads and writes, None where it has no table.
    `dead_letters`: how many messages wait in its dead-letter queues, None where they could not be counted."""

    serving: bool | None
    dead_letters: int | None

    @property
    def status(self) -> Status:
        """Healthy, where the room serves and nothing waits for a person."""
        return "degraded" if self.serving is False or self.dead_letters != 0 else "healthy"


@dataclass(frozen=True, slots=True)
class Health:
    """How every room stands."""

    checks: Mapping[str, Check]

    @property
    def status(self) -> Status:
        """Healthy, where every room is."""
        return "degraded" if any(check.status == "degraded" for check in self.checks.values()) else "healthy"

    @property
    def serving(self) -> bool:
        """Whether every table answers: what decides between 200 and 503."""
        return all(check.serving is not False for check in self.checks.values())
