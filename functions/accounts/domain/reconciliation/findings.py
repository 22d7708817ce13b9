"""What a reconciliation finds: violations of the invariants, and the report of them."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import NamedTuple


class Violation(NamedTuple):
    """What is wrong, and with which item."""

    id: str
    what: str


class Drift(NamedTuple):
    """A violation, with the number and the title of the invariant that it violates."""

    number: int
    title: str
    id: str
    what: str


@dataclass
class Finding:
    """One invariant: what was counted, how many items are not due yet, and what is wrong."""

    number: int
    title: str
    counted: str = ""
    waiting: int = 0
    violations: list[Violation] = field(default_factory=list)

    def wrong(self, identity: str, what: str) -> None:
        """Add a violation."""
        self.violations.append(Violation(identity, what))


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a reconciliation. `unread` accounts kept changing and are checked by the next one.

    `overdue` names the accounts that have expected money for long, which is no violation.
    """

    number: int
    at: str
    accounts: int
    entries: int
    unread: int
    drifts: tuple[Drift, ...]
    overdue: tuple[Violation, ...] = ()

    @property
    def digest(self) -> str:
        """A digest of which drifts there are, whatever their amounts; empty if there are none."""
        found = sorted({(drift.number, drift.id) for drift in self.drifts})
        return hashlib.sha256(json.dumps(found).encode()).hexdigest() if found else ""
