"""Spending limits: how much may leave an account in a UTC day and in an ISO week, and how much has.

A debit or hold counts when it is written, in the day and week of its line's own time (`at`), so that the counters
follow from the journal. A release reduces the counters if the day or week in which the hold was counted is still
running. Amounts are in the minor unit of the account's currency.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from common import clock

Period = Literal["daily", "weekly"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """The limit of a day or a week, None for none, and how much was `spent` in `period`, the last one counted.

    `notified` is the period in which the owner was last notified of a payment that the limit declined.
    """

    limit: int | None = None
    period: str = ""
    spent: int = 0
    notified: str = ""

    def rolled(self, period: str) -> "Allowance":
        """Return the allowance in `period`: nothing is spent yet in a new one."""
        return self if period == self.period else replace(self, period=period, spent=0)

    def allows(self, amount: int) -> bool:
        """Return whether `amount` more may be spent."""
        return self.limit is None or self.spent + amount <= self.limit

    def limited(self, limit: int | None) -> "Allowance":
        """Return the allowance with another limit, of which the owner was not notified yet."""
        return self if limit == self.limit else replace(self, limit=limit, notified="")

    def is_loosened_by(self, limit: int | None) -> bool:
        """Return whether `limit` allows more than the present limit."""
        return self.limit is not None and (limit is None or limit > self.limit)


@dataclass(frozen=True, slots=True)
class Spending:
    """The daily and the weekly allowance of an account."""

    daily: Allowance = Allowance()
    weekly: Allowance = Allowance()

    def rolled(self, at: str) -> "Spending":
        """Return the allowances in the day and week of `at`."""
        return Spending(self.daily.rolled(day(at)), self.weekly.rolled(week(at)))

    def spent(self, amount: int, at: str) -> "Spending":
        """Return the allowances after `amount` was spent at `at`."""
        return self.rolled(at)._moved(amount, at)

    def given_back(self, amount: int, counted_at: str, at: str) -> "Spending":
        """Return the allowances after `amount`, which was counted at `counted_at`, was given back at `at`."""
        return self.rolled(at)._moved(-amount, counted_at)

    def exceeded(self, amount: int, at: str) -> Iterator[tuple[Period, Allowance]]:
        """Yield the limits that decline a debit of `amount` at `at`."""
        now = self.rolled(at)
        if not now.daily.allows(amount):
            yield "daily", now.daily
        if not now.weekly.allows(amount):
            yield "weekly", now.weekly

    def notified(self, *periods: Period) -> "Spending":
        """Return the allowances after the owner was notified of these limits in the current periods."""
        return Spending(
            replace(self.daily, notified=self.daily.period) if "daily" in periods else self.daily,
            replace(self.weekly, notified=self.weekly.period) if "weekly" in periods else self.weekly,
        )

    def limited(self, daily: int | None, weekly: int | None) -> "Spending":
        """Return the allowances with these limits."""
        return Spending(self.daily.limited(daily), self.weekly.limited(weekly))

    def is_loosened_by(self, daily: int | None, weekly: int | None) -> bool:
        """Return whether these limits allow more, in a day or in a week."""
        return self.daily.is_loosened_by(daily) or self.weekly.is_loosened_by(weekly)

    def _moved(self, amount: int, counted_at: str) -> "Spending":
        daily, weekly = self.daily, self.weekly
        if daily.period == day(counted_at):
            daily = replace(daily, spent=daily.spent + amount)
        if weekly.period == week(counted_at):
            weekly = replace(weekly, spent=weekly.spent + amount)
        return Spending(daily, weekly)


@dataclass(frozen=True, slots=True)
class CurrentSpending:
    """The spending of an account in `currency`, in the day and week of `at`."""

    currency: str
    spending: Spending
    at: str


def day(at: str) -> str:
    """Return the UTC day of a time: `2026-11-21`."""
    return at[:10]


def week(at: str) -> str:
    """Return the ISO 8601 week of a time: `2026-W47`."""
    year, number, _ = clock.parse(at).isocalendar()
    return f"{year}-W{number:02}"


def day_ends(at: str) -> str:
    """Return the end of the UTC day of a time."""
    return clock.timestamp(_midnight(at) + timedelta(days=1))


def week_ends(at: str) -> str:
    """Return the end of the ISO week of a time."""
    midnight = _midnight(at)
    return clock.timestamp(midnight + timedelta(days=7 - midnight.weekday()))


def _midnight(at: str) -> datetime:
    return clock.parse(at).replace(hour=0, minute=0, second=0, microsecond=0)
