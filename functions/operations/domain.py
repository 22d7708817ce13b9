"""What makes a context healthy. A table that is down stops a context; dead letters only need an operator."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Status = Literal["healthy", "degraded"]

TABLES = ("auth", "accounts", "transfers", "notifications", "mail")
"""The contexts that own a table."""
DEAD_LETTERS: Mapping[str, tuple[str, ...]] = {
    "accounts": ("payees-dead-letters",),
    "transfers": ("rail-dead-letters", "transfers-dead-letters"),
    "notifications": ("notifications-dead-letters",),
    "mail": ("mail-dead-letters", "mail-flush-dead-letters"),
    "operations": ("stream-failures",),
}
CONTEXTS = tuple(dict.fromkeys((*TABLES, *DEAD_LETTERS)))


@dataclass(frozen=True, slots=True)
class Check:
    """The state of a context.

    `serving` is whether its table takes reads and writes, None if it has no table. `dead_letters` is how many messages
    wait in its dead-letter queues, None if that is unknown.
    """

    serving: bool | None
    dead_letters: int | None

    @property
    def status(self) -> Status:
        """`healthy` if the context serves and is known to have no dead letters."""
        return "degraded" if self.serving is False or self.dead_letters != 0 else "healthy"


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The state of every context, by its name."""

    checks: Mapping[str, Check]

    @property
    def status(self) -> Status:
        """`healthy` if every context is."""
        return "degraded" if any(check.status == "degraded" for check in self.checks.values()) else "healthy"

    @property
    def serving(self) -> bool:
        """Whether no table is down."""
        return all(check.serving is not False for check in self.checks.values())
