"""Accounts as their owners see them. Amounts are in the minor unit of the account's currency."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from common import clock, ids
from common.events import Actor, Event, Type

from functions.accounts.domain.ledger import Line

AccountType = Literal["debit", "credit", "loan"]
AccountStatus = Literal["active", "frozen", "closed"]

# A credit that was planned while the account was hot has reached its inbox by then, or never will.
COOLING = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Account:
    """A user's account: `available = posted - held + credit_limit`, never below zero.

    `version` counts its journal lines, of which the last was at `line_at`; `changes` counts what else was told of it.
    Where it is `hot`, credits go to its inbox, and may still be on their way there a while after `hot_until`.
    """

    id: str
    owner_id: str
    name: str
    type: AccountType
    currency: str
    status: AccountStatus
    posted: int
    held: int
    available: int
    credit_limit: int
    created_at: str
    version: int = 0
    changes: int = 0
    line_at: str = ""
    low_balance_alert: int | None = None
    pin_set: bool = False
    hot: bool = False
    hot_until: str | None = None

    @classmethod
    def new(cls, id: str, owner_id: str, currency: str, type: AccountType, name: str | None, at: str) -> "Account":
        """A fresh, empty account; without a name it is called after its currency."""
        return cls(
            id=id,
            owner_id=owner_id,
            name=name or default_name(currency),
            type=type,
            currency=currency,
            status="active",
            posted=0,
            held=0,
            available=0,
            credit_limit=0,
            created_at=at,
        )

    @property
    def is_open(self) -> bool:
        """Whether money may come in: a frozen account is still open."""
        return self.status != "closed"

    def is_open_for(self, user_id: str) -> bool:
        """Whether this is an account of `user_id` that is not closed."""
        return self.owner_id == user_id and self.is_open

    @property
    def is_empty(self) -> bool:
        """Whether there is no money in it, owed on it, or set aside."""
        return self.posted == 0 and self.held == 0

    def is_hot_at(self, now: datetime) -> bool:
        """Whether a credit may still be on its way to the inbox."""
        return self.hot or (self.hot_until is not None and now < clock.parse(self.hot_until) + COOLING)

    def with_credit_limit(self, limit: int, at: str) -> "Account":
        """With another limit, after the journal line that says so; what is available may not suffice for it."""
        available = self.available + limit - self.credit_limit
        line_at = max(at, self.line_at)
        return replace(self, credit_limit=limit, available=available, version=self.version + 1, line_at=line_at)

    @property
    def credit_limit_line(self) -> Line:
        """The journal line of a credit limit that was just set."""
        at = clock.parse(self.line_at)
        return Line(
            account_id=self.id,
            version=self.version,
            at=self.line_at,
            currency=self.currency,
            posted_change=0,
            held_change=0,
            posted=self.posted,
            held=self.held,
            transfer_id="",
            step="credit_limit",
            entry_id=ids.derived_id("ent", at, "credit_limit", self.id, str(self.version)),
            description="",
            credit_limit=self.credit_limit,
        )

    @property
    def sequence(self) -> int:
        """The number of the account's last event: ascending, whether a line was written with it or not."""
        return self.version + self.changes

    def told(self, type: Type, at: datetime, actor: Actor, **more: object) -> Event:
        """The event that made the account what it is; `more` goes into its data."""
        data = {
            "account_id": self.id,
            "owner_id": self.owner_id,
            "currency": self.currency,
            "type": self.type,
            "name": self.name,
            "status": self.status,
        }
        return Event.new(type, self.id, self.sequence, at, {**data, **more}, actor)


@dataclass(frozen=True, slots=True)
class Default:
    """Which account of a currency a user is paid to, and pays from, where none is named; it is never a closed one.

    There is one while an account of the currency is open. `opened` counts the accounts that were opened beside it.
    """

    account_id: str | None = None
    opened: int = 0


def default_name(currency: str) -> str:
    """What an account is called whose owner has not named it."""
    return f"{currency} account"


def is_user_account(account_id: str) -> bool:
    """Whether the id is a user's account's; system accounts (`rail:sandbox:USD`) are nobody's to address."""
    return ids.is_id(account_id, "acc")
