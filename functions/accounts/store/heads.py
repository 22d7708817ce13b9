"""Heads: an account as it stands, with its limits and what counts against them."""

from typing import Any

from common.dynamo import Item

from functions.accounts.domain.ledger import Head
from functions.accounts.domain.limits import Allowance, Spending


def head_of(item: Item) -> Head:
    """The account that an item describes."""
    return Head(
        account_id=item["account_id"],
        currency=item["currency"],
        status=item["status"],
        posted=item["posted"],
        held=item["held"],
        available=item["available"],
        version=item["version"],
        line_at=item["line_at"],
        owner_id=item["owner_id"],
        credit_limit=item["credit_limit"],
        changes=item.get("changes", 0),
        low_balance_alert=item.get("low_balance_alert"),
        spending=spending_of(item),
        hot=item.get("hot", False),
        has_inbox="hot" in item,
    )


def spending_of(item: Item) -> Spending:
    """The limits of the account that an item describes, and what was spent of them."""
    return Spending(
        Allowance(item.get("daily_limit"), item.get("day", ""), item.get("day_spent", 0), item.get("day_told", "")),
        Allowance(item.get("weekly_limit"), item.get("week", ""), item.get("week_spent", 0), item.get("week_told", "")),
    )


def limits(spending: Spending) -> Item:
    """What their owner sets; None is to be no attribute at all."""
    return {"daily_limit": spending.daily.limit, "weekly_limit": spending.weekly.limit}


def counters(spending: Spending) -> Item:
    """What a debit changes."""
    daily, weekly = spending.daily, spending.weekly
    return {"day": daily.period, "day_spent": daily.spent, "week": weekly.period, "week_spent": weekly.spent}


def notes(spending: Spending) -> Item:
    """What a decline changes: the day and week whose limit the owner was told of."""
    return {"day_told": spending.daily.told, "week_told": spending.weekly.told}


def as_read(attribute: str, value: Any) -> tuple[str, str, Any]:
    """The condition that an attribute is what it was read to be; None where it was not there."""
    return (attribute, "absent", None) if value is None else (attribute, "=", value)
