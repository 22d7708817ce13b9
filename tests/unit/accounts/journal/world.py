"""A journal whose items are written as docs/data.md describes them, without the ledger."""

import json
import zlib
from dataclasses import dataclass, field
from typing import Any

from common.clock import timestamp
from common.dynamo import Table

from tests.support.clock import FakeClock

ACCOUNT = f"acc_{'0' * 25}A"
OWNER, OTHER = f"usr_{'0' * 25}A", f"usr_{'0' * 25}B"


@dataclass
class World:
    """One account's journal. `history` has the time, posted and held balance and credit limit after each line."""

    table: Table
    clock: FakeClock = field(default_factory=FakeClock)
    currency: str = "USD"
    posted: int = 0
    held: int = 0
    credit_limit: int = 0
    version: int = 0
    batches: int = 0
    entries: list[tuple[str, int]] = field(default_factory=list)
    """The time and change of each entry."""
    history: list[tuple[str, int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.head()

    @property
    def now(self) -> str:
        return timestamp(self.clock())

    def line(self, posted: int = 0, held: int = 0, step: str = "post", description: str = "lunch") -> None:
        """Write a line."""
        self._add(posted, held)
        item: dict[str, Any] = {
            **self._key(),
            "account_id": ACCOUNT,
            "version": self.version,
            "at": self.now,
            "currency": self.currency,
            "posted_change": posted,
            "held_change": held,
            "posted": self.posted,
            "held": self.held,
            "transfer_id": f"trf_{self.version:026}",
            "step": step,
            "entry_id": f"ent_{self.version:026}",
            "description": description,
        }
        if self.credit_limit:
            item["credit_limit"] = self.credit_limit
        self.table.put(item)

    def limit(self, credit_limit: int) -> None:
        """Write the line of another credit limit."""
        self.credit_limit = credit_limit
        self.line(step="credit_limit")

    def batch(self, changes: list[int]) -> None:
        """Write a batch of folded credits."""
        opening = {"opening_version": self.version, "opening_posted": self.posted}
        for change in changes:
            self._add(change, 0)
        self.batches += 1
        folded = [
            {
                "transfer_id": f"trf_{version:026}",
                "step": "post",
                "change": change,
                "at": self.now,
                "shard": 7,
                "description": "lunch",
            }
            for version, change in enumerate(changes, self.version - len(changes) + 1)
        ]
        item = {
            **self._key(),
            **opening,
            "account_id": ACCOUNT,
            "currency": self.currency,
            "page": self.batches,
            "at": self.now,
            "version": self.version,
            "posted": self.posted,
            "held": self.held,
            "lines": zlib.compress(json.dumps(folded).encode()),
        }
        if self.credit_limit:
            item["credit_limit"] = self.credit_limit
        self.table.put(item)

    def head(self) -> None:
        """Write the head as it is after the lines."""
        self.table.put(
            {
                "pk": f"A#{ACCOUNT}",
                "sk": "H",
                "account_id": ACCOUNT,
                "owner_id": OWNER,
                "name": "Household",
                "type": "debit",
                "currency": self.currency,
                "status": "active",
                "posted": self.posted,
                "held": self.held,
                "available": self.posted - self.held + self.credit_limit,
                "credit_limit": self.credit_limit,
                "version": self.version,
                "line_at": self.history[-1][0] if self.history else "",
                "created_at": "2026-11-01T00:00:00.000Z",
                **({"hot": True, "fold": self.batches, "clean": self.batches} if self.batches else {}),
            }
        )

    def name(self, first: str, last: str) -> None:
        """Write the owner's name in the payee directory."""
        self.table.put(
            {
                "pk": f"P#{OWNER}",
                "sk": "P",
                "user_id": OWNER,
                "sequence": 1,
                "status": "active",
                "first_name": first,
                "last_name": last,
                "email": None,
                "phone": None,
                "at": "2026-11-01T00:00:00.000Z",
            }
        )

    def balance(self, at: str) -> tuple[int, int, int]:
        """Return what was posted, held and available after everything booked up to and at a time."""
        past = [each for each in self.history if each[0] <= at]
        if not past:
            return 0, 0, 0
        _, posted, held, credit_limit = past[-1]
        return posted, held, posted - held + credit_limit

    def _add(self, posted: int, held: int) -> None:
        self.version += 1
        self.posted += posted
        self.held += held
        self.history.append((self.now, self.posted, self.held, self.credit_limit))
        if posted:
            self.entries.append((self.now, posted))

    def _key(self) -> dict[str, str]:
        return {"pk": f"E#{ACCOUNT}", "sk": f"{self.now}#{self.version:012}"}
