"""Heads: accounts as they stand, with their limits and what counts against them."""

from typing import Any

from common.dynamo import Item, Term

from functions.accounts.domain.ledger import Head
from functions.accounts.domain.limits import Allowance, Spending


def fields_of(kind: type[Any], item: Item) -> Item:
    """Return the attributes of an item that are fields of a dataclass."""
    return {name: item[name] for name in kind.__match_args__ if name in item}


def head_of(item: Item) -> Head:
    """Return the account that an item describes."""
    derived = {"spending": spending_of(item), "may_have_pending": "hot" in item}
    return Head(**{**fields_of(Head, item), **derived})


def spending_of(item: Item) -> Spending:
    """Return the limits of the account that an item describes, and what was spent of them."""
    return Spending(
        Allowance(item.get("daily_limit"), item.get("day", ""), item.get("day_spent", 0), item.get("day_told", "")),
        Allowance(item.get("weekly_limit"), item.get("week", ""), item.get("week_spent", 0), item.get("week_told", "")),
    )


def limits(spending: Spending) -> Item:
    """Return the attributes that the owner sets. None means that the attribute is to be absent."""
    return {"daily_limit": spending.daily.limit, "weekly_limit": spending.weekly.limit}


def counters(spending: Spending) -> Item:
    """Return the attributes that a debit changes."""
    daily, weekly = spending.daily, spending.weekly
    return {"day": daily.period, "day_spent": daily.spent, "week": weekly.period, "week_spent": weekly.spent}


def notes(spending: Spending) -> Item:
    """Return the attributes that a decline changes: the day and week in which the owner got a notice."""
    return {"day_told": spending.daily.notified, "week_told": spending.weekly.notified}


def as_read(attribute: str, value: Any) -> Term:
    """Return the condition that an attribute still has the value that was read; None if it was absent."""
    return (attribute, "absent", None) if value is None else (attribute, "=", value)
