"""One account: its head has to agree with its journal, which is followed line by line."""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

Item = Mapping[str, Any]
Fault = tuple[int, str]
"""The number of the invariant that does not hold, and what is wrong."""


class HeadItem(NamedTuple):
    """The attributes of a head that are checked."""

    version: int
    posted: int
    held: int
    available: int
    owner_id: str = ""
    status: str = ""
    credit_limit: int = 0
    line_at: str = ""
    day: str = ""
    day_spent: int = 0
    week: str = ""
    week_spent: int = 0
    fold: int = 0
    clean: int = 0
    incoming: int = 0

    @classmethod
    def of(cls, item: Item) -> "HeadItem":
        """Return the head that an item describes."""
        return cls(**{name: item[name] for name in cls._fields if name in item})


@dataclass(slots=True)
class AccountItems:
    """An account's head, and the sums of its journal up to the head's version.

    If the journal was read before the head, the sums are of what was read by then.
    """

    head: HeadItem | None = None
    currency: str = ""
    fault: Fault | None = None
    version: int = 0
    posted: int = 0
    held: int = 0
    credit_limit: int = 0
    batches: int = 0
    # As of the time that the inspection is about.
    posted_then: int = 0
    held_then: int = 0
    open_then: int = 0
    # What counts against the limits of the last day and week with a line, and when each open hold was counted.
    day: str = ""
    day_spent: int = 0
    week: str = ""
    week_spent: int = 0
    reserved: dict[str, str] | None = None

    @property
    def drift(self) -> tuple[int, int]:
        """What the head has posted and held beyond its journal. Zero if they are of different versions."""
        if self.head is None or self.head.version != self.version:
            return 0, 0
        return self.head.posted - self.posted, self.head.held - self.held

    def follow(self, item: Item, entries: Sequence[Item], until: str) -> None:
        """Add the next item of the journal. After the first fault, the rest of the journal is ignored."""
        if self.fault:
            return
        if self.head and item["version"] > self.head.version:
            if item["sk"] <= until:
                self.fault = 2, f"has version {self.head.version} and a line with version {item['version']}"
        else:
            self.fault = self._follow_batch(item, entries) if "page" in item else self._follow_line(item)

    def faults(self, account_id: str) -> list[Fault]:
        """Return what is wrong with the account."""
        if self.head is None:
            return [(2, "has a journal and no head")] if self.version or self.fault else []
        if self.fault:
            return [self.fault, *_head_faults(account_id, self.head)]
        return [*self._balance_faults(self.head), *_head_faults(account_id, self.head), *self._spent_faults(self.head)]

    def _follow_line(self, line: Item) -> Fault | None:
        self.version += 1
        self.posted += line["posted_change"]
        self.held += line["held_change"]
        credit = line.get("credit_limit", 0)
        if line["version"] != self.version:
            return 2, f"has line {line['version']} instead of {self.version}"
        if line["sk"] != f"{line['at']}#{self.version:012}":
            return 2, f"does not sort line {self.version} by its time and version"
        if (line["posted"], line["held"]) != (self.posted, self.held):
            return 2, (
                f"has posted {line['posted']} and held {line['held']} on line {self.version}, "
                f"but its changes sum to {self.posted} and {self.held}"
            )
        if line["step"] == "credit_limit":
            if line["posted_change"] or line["held_change"]:
                return 2, f"has a change of balance on line {self.version}, which changes the credit limit"
        elif self.version > 1 and credit != self.credit_limit:
            return 2, f"has another credit limit, {credit}, on line {self.version}, which did not change it"
        self.credit_limit = credit
        available = self.posted - self.held + credit
        if available < 0:
            return 3, f"had {available} available after line {self.version}"
        self._count_spent(line)
        return None

    def _follow_batch(self, batch: Item, entries: Sequence[Item]) -> Fault | None:
        self.batches += 1
        number, opening = batch["page"], (batch["opening_version"], batch["opening_posted"])
        if number != self.batches or opening != (self.version, self.posted):
            return 2, f"has batch {number}, which does not begin at the end of the journal before it"
        credit = batch.get("credit_limit", 0)
        if batch["held"] != self.held or (self.version and credit != self.credit_limit):
            return 2, f"has batch {number}, which changed more than the posted balance"
        self.credit_limit = credit
        self.version += len(entries)
        self.posted += sum(entry["change"] for entry in entries)
        if batch["sk"] != f"{batch['at']}#{self.version:012}":
            return 2, f"does not sort batch {number} by its time and version"
        if (batch["version"], batch["posted"]) != (self.version, self.posted):
            return 2, f"has batch {number}, which ends with {batch['posted']} instead of {self.posted}"
        return None

    def _count_spent(self, line: Item) -> None:
        """Count what a line spends or gives back in the day and week in which it was first counted."""
        freed, at, transfer_id = line["posted_change"] - line["held_change"], line["at"], line["transfer_id"]
        if self.reserved is None:
            self.reserved = {}
        if freed < 0:
            counted_at = at
            if line["held_change"] > 0:
                self.reserved[transfer_id] = at
        elif line["held_change"] < 0:
            counted_at = self.reserved.pop(transfer_id, at)
        else:
            return
        day, week = at[:10], _week(at[:10])
        if day != self.day:
            self.day, self.day_spent = day, 0
        if week != self.week:
            self.week, self.week_spent = week, 0
        if counted_at[:10] == day:
            self.day_spent -= freed
        if _week(counted_at[:10]) == week:
            self.week_spent -= freed

    def _balance_faults(self, head: HeadItem) -> Iterator[Fault]:
        if head.version != self.version:
            yield 2, f"has version {head.version} after {self.version} lines"
        if (head.posted, head.held) != (self.posted, self.held):
            yield 2, f"has posted {head.posted} and held {head.held}, its journal {self.posted} and {self.held}"
        if self.version and head.credit_limit != self.credit_limit:
            yield 2, f"has a credit limit of {head.credit_limit}, its journal {self.credit_limit}"
        if head.fold != self.batches or head.clean not in (head.fold, head.fold - 1):
            yield 2, f"counts {head.fold} batches and {head.clean} clean ones, its journal {self.batches}"

    def _spent_faults(self, head: HeadItem) -> Iterator[Fault]:
        for period, spent, last, counted in (
            (head.day, head.day_spent, self.day, self.day_spent),
            (head.week, head.week_spent, self.week, self.week_spent),
        ):
            if (period, spent) != (last, counted):
                yield 3, f"counts {spent} spent in {period or 'no period'}, its journal {counted} in {last or 'none'}"


def entries_of(item: Item) -> Sequence[Item]:
    """Return the entries of a journal's item: itself, or the entries of a batch, which have only a `change`."""
    return json.loads(zlib.decompress(item["lines"])) if "page" in item else [item]


def _head_faults(account_id: str, head: HeadItem) -> Iterator[Fault]:
    available = head.posted - head.held + head.credit_limit
    if head.available != available:
        yield 3, f"has {head.available} available, its balances make {available}"
    if ":" not in account_id and available < 0:
        yield 3, f"has {available} available"
    if head.status == "closed" and (head.posted or head.held):
        yield 3, f"is closed and has posted {head.posted} and held {head.held}"
    if head.incoming < 0 or (head.status == "closed" and head.incoming):
        yield 3, f"is {head.status} and expects {head.incoming} payments"


@lru_cache(maxsize=4096)
def _week(day: str) -> str:
    year, number, _ = date.fromisoformat(day).isocalendar()
    return f"{year}-W{number:02}"
