"""Spending limits: what an account may let go in a UTC day and in an ISO week, and what it has.

A debit and a hold count when they are written, in the day and week of their line's own time (`at`), so that a counter
is what the journal says it is. What a hold gives back counts no more, where the day or week it was counted in still
runs.
Amounts are in the minor unit of the account's currency.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from common import clock

Period = Literal["daily", "weekly"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """The limit of one kind of period, None for none, and what was `spent` in the `period` it was last counted in.

    `told` is the period in which its owner was last told that the limit had stopped something.
    """

    limit: int | None = None
    period: str = ""
    spent: int = 0
    told: str = ""

    def rolled(self, period: str) -> "Allowance":
        """As it is in `period`, where nothing is spent yet unless it runs already."""
        return self if period == self.period else replace(self, period=period, spent=0)

    def allows(self, amount: int) -> bool:
        """Whether so much more may go."""
        return self.limit is None or self.spent + amount <= self.limit

    def limited(self, limit: int | None) -> "Allowance":
        """With another limit, of which nobody was told yet; the same one stays as it is."""
        return self if limit == self.limit else replace(self, limit=limit, told="")

    def is_loosened_by(self, limit: int | None) -> bool:
        """Whether `limit` would let more go than the present one."""
        return self.limit is not None and (limit is None or limit > self.limit)


@dataclass(frozen=True, slots=True)
class Spending:
    """Both allowances of an account."""

    daily: Allowance = Allowance()
    weekly: Allowance = Allowance()

    def rolled(self, at: str) -> "Spending":
        """As it is at a moment."""
        return Spending(self.daily.rolled(day(at)), self.weekly.rolled(week(at)))

    def spent(self, amount: int, at: str) -> "Spending":
        """With so much more gone at a moment."""
        return self.rolled(at)._moved(amount, at)

    def given_back(self, amount: int, counted_at: str, at: str) -> "Spending":
        """With so much, counted at an earlier moment, back at this one."""
        return self.rolled(at)._moved(-amount, counted_at)

    def exceeded(self, amount: int, at: str) -> Iterator[tuple[Period, Allowance]]:
        """The limits that keep so much from going at a moment."""
        now = self.rolled(at)
        if not now.daily.allows(amount):
            yield "daily", now.daily
        if not now.weekly.allows(amount):
            yield "weekly", now.weekly

    def told(self, *periods: Period) -> "Spending":
        """With the owner told of these limits in the periods that run."""
        return Spending(
            replace(self.daily, told=self.daily.period) if "daily" in periods else self.daily,
            replace(self.weekly, told=self.weekly.period) if "weekly" in periods else self.weekly,
        )

    def limited(self, daily: int | None, weekly: int | None) -> "Spending":
        """With these limits."""
        return Spending(self.daily.limited(daily), self.weekly.limited(weekly))

    def is_loosened_by(self, daily: int | None, weekly: int | None) -> bool:
        """Whether these limits would let more go, in a day or in a week."""
        return self.daily.is_loosened_by(daily) or self.weekly.is_loosened_by(weekly)

    def _moved(self, amount: int, counted_at: str) -> "Spending":
        daily, weekly = self.daily, self.weekly
        if daily.period == day(counted_at):
            daily = replace(daily, spent=daily.spent + amount)
        if weekly.period == week(counted_at):
            weekly = replace(weekly, spent=weekly.spent + amount)
        return Spending(daily, weekly)


def day(at: str) -> str:
    """The UTC day of a moment: `2026-11-21`."""
    return at[:10]


def week(at: str) -> str:
    """The week of a moment, `2026-W47`, as ISO 8601 counts: from Monday, the year's first having its first Thursday."""
    year, number, _ = clock.parse(at).isocalendar()
    return f"{year}-W{number:02}"


def day_ends(at: str) -> str:
    """When the UTC day of a moment is over."""
    return clock.timestamp(_midnight(at) + timedelta(days=1))


def week_ends(at: str) -> str:
    """When the ISO week of a moment is over."""
    midnight = _midnight(at)
    return clock.timestamp(midnight + timedelta(days=7 - midnight.weekday()))


def _midnight(at: str) -> datetime:
    return clock.parse(at).replace(hour=0, minute=0, second=0, microsecond=0)
