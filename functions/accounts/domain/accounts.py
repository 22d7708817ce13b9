"""Accounts as their owners see them. Amounts are in the minor unit of the account's currency."""

from dataclasses import dataclass
from typing import Literal

from common import ids

AccountType = Literal["debit", "credit", "loan"]
AccountStatus = Literal["active", "frozen", "closed"]


@dataclass(frozen=True, slots=True)
class Account:
    """A user's account: `available = posted - held + credit_limit`, never below zero."""

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

    @classmethod
    def new(cls, id: str, owner_id: str, currency: str, type: AccountType, name: str | None, at: str) -> "Account":
        """A fresh, empty account; without a name it is called after its currency."""
        return cls(
            id=id,
            owner_id=owner_id,
            name=name or f"{currency} account",
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


def is_user_account(account_id: str) -> bool:
    """Whether the id is a user's account's; system accounts (`rail:sandbox:USD`) are nobody's to address."""
    return ids.is_id(account_id, "acc")
