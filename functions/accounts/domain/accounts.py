"""Accounts as their owners see them. Amounts are in the minor unit of the account's currency."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from common import clock, ids
from common.contracts.events import Actor, Event, EventType
from common.errors import Refusal

from functions.accounts.domain.ledger import JournalLine

AccountType = Literal["debit", "credit", "loan"]
AccountStatus = Literal["active", "frozen", "closed"]

MAX_OPEN_ACCOUNTS = 20
"""How many open accounts a user may have."""
_ADMIN_FIELDS = {"status", "credit_limit", "hot"}
# A credit that was planned while the account was hot is pending by then, or never will be.
_COOLING = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class NewAccount:
    """A request to open an account. If `name` is None, the account is named after its currency."""

    currency: str
    type: AccountType = "debit"
    name: str | None = None


@dataclass(frozen=True, slots=True)
class AccountPatch:
    """A request to change an account: new values by field of `Account`, or of `default`, which can only be True."""

    fields: Mapping[str, Any]

    @property
    def by_owner(self) -> set[str]:
        """The fields that only the owner may change."""
        return self.fields.keys() - _ADMIN_FIELDS

    @property
    def by_admin(self) -> set[str]:
        """The fields that only an admin may change."""
        return self.fields.keys() & _ADMIN_FIELDS

    @property
    def makes_default(self) -> bool:
        """Whether the account is to become the default of its currency."""
        return "default" in self.fields


@dataclass(frozen=True, slots=True)
class Account:
    """A user's account: `available = posted - held + credit_limit`, never below zero.

    `version` counts its journal lines, the last of which was at `line_at`. `changes` counts the events that came
    without a line. Credits of a `hot` account are pending until they are folded; one may still arrive a while after
    `hot_until`. `incoming` counts the transfers whose money is expected.
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
    incoming: int = 0

    @classmethod
    def new(cls, id: str, owner_id: str, wanted: NewAccount, at: str) -> "Account":
        """Return a new, empty account."""
        return cls(
            id=id,
            owner_id=owner_id,
            name=wanted.name or default_name(wanted.currency),
            type=wanted.type,
            currency=wanted.currency,
            status="active",
            posted=0,
            held=0,
            available=0,
            credit_limit=0,
            created_at=at,
        )

    @property
    def is_open(self) -> bool:
        """Whether the account can receive money. A frozen account is open."""
        return self.status != "closed"

    def is_open_for(self, user_id: str) -> bool:
        """Return whether this is an open account of `user_id`."""
        return self.owner_id == user_id and self.is_open

    @property
    def is_empty(self) -> bool:
        """Whether no money is in the account, owed on it, held or expected."""
        return self.posted == self.held == self.incoming == 0

    def may_get_pending_credits(self, now: datetime) -> bool:
        """Return whether a pending credit may still be written for the account."""
        return self.hot or (self.hot_until is not None and now < clock.parse(self.hot_until) + _COOLING)

    def changed(self) -> "Account":
        """Return the account after one more event that came without a journal line."""
        return replace(self, changes=self.changes + 1)

    def patched(self, patch: AccountPatch, at: str) -> "Account":
        """Return the account with the new values; the default is kept elsewhere.

        Raises Refusal `invalid_state` if the account is closed, for credit on a debit account, or if more than the new
        credit limit is in use.
        """
        fields = patch.fields
        if fields and not self.is_open:
            raise Refusal("invalid_state", "The account is closed.")
        named = {name: fields[name] for name in ("name", "low_balance_alert", "status", "hot") if name in fields}
        patched = replace(self, **named)
        if patched.hot != self.hot:
            patched = replace(patched, hot_until=None if patched.hot else at)
        if "credit_limit" not in fields:
            return patched
        if self.type == "debit":
            raise Refusal("invalid_state", "A debit account has no credit.")
        if fields["credit_limit"] == self.credit_limit:
            return patched
        patched = patched.with_credit_limit(fields["credit_limit"], at)
        if patched.available < 0:
            raise Refusal("invalid_state", "More than this credit limit is in use.")
        return patched

    def with_credit_limit(self, limit: int, at: str) -> "Account":
        """Return the account after the journal line of a new credit limit; `available` may be negative then."""
        available = self.available + limit - self.credit_limit
        line_at = max(at, self.line_at)
        return replace(self, credit_limit=limit, available=available, version=self.version + 1, line_at=line_at)

    @property
    def credit_limit_line(self) -> JournalLine:
        """The journal line of the credit limit that was just set."""
        at = clock.parse(self.line_at)
        return JournalLine(
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
        """The number of the account's last event. It ascends, whether or not a line was written with the event."""
        return self.version + self.changes

    def event(self, type: EventType, at: datetime, actor: Actor, **more: object) -> Event:
        """Return the event of the change that led to this account; `more` is added to its data."""
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
    """The account of a currency that a user pays from and is paid to, unless another is named. It is never closed.

    A currency has a default while the user has an open account in it; otherwise `account_id` is None. `opened` counts
    the accounts that were opened beside it.
    """

    account_id: str | None = None
    opened: int = 0


class AccountView(NamedTuple):
    """An account, and whether it is its owner's default of the currency."""

    account: Account
    is_default: bool


def default_name(currency: str) -> str:
    """Return the name of an account that its owner has not named."""
    return f"{currency} account"


def is_user_account(account_id: str) -> bool:
    """Return whether the id belongs to a user's account. Clients can't name system accounts (`rail:sandbox:USD`)."""
    return ids.is_id(account_id, "acc")
