"""What a check answers."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Violation(NamedTuple):
    """What is wrong, and with which item."""

    id: str
    what: str


@dataclass
class Finding:
    """One invariant: what was counted, what waits for its time, and what is wrong."""

    number: int
    title: str
    counted: str = ""
    waiting: int = 0
    violations: list[Violation] = field(default_factory=list)

    def wrong(self, identity: str, what: str) -> None:
        """Note a violation."""
        self.violations.append(Violation(identity, what))
