"""Accounts on the wire."""

from typing import Literal

from common.http.fields import Amount, Body, Currency, Cursor, Limit, Name, Query, Resource
from common.money import MAX_AMOUNT
from pydantic import Field

from functions.accounts.domain.accounts import Account, AccountStatus, AccountType


class OpenAccount(Body):
    """POST /accounts."""

    currency: Currency
    name: Name | None = None
    type: AccountType = "debit"


class PatchAccount(Body):
    """PATCH /accounts/{account_id}: what is left out stays; a `low_balance_alert` of None is none."""

    name: Name = ""
    default: Literal[True] = True
    low_balance_alert: Amount | None = None
    status: Literal["active", "frozen"] = "active"
    credit_limit: int = Field(0, ge=0, le=MAX_AMOUNT)
    sharded_credits: bool = False

    @property
    def by_owner(self) -> frozenset[str]:
        """What was sent that the owner decides."""
        return frozenset(self.model_fields_set - _ADMINS)

    @property
    def by_admin(self) -> frozenset[str]:
        """What was sent that an admin decides."""
        return frozenset(self.model_fields_set & _ADMINS)


_ADMINS = {"status", "credit_limit", "sharded_credits"}


class CatalogQuery(Query):
    """GET /banks, GET /currencies: a catalogue comes whole unless a page of it is asked for."""

    limit: Limit | None = None
    cursor: Cursor | None = None


class AccountResource(Resource):
    """An account."""

    id: str
    owner_id: str
    name: str
    type: AccountType
    currency: str
    status: AccountStatus
    default: bool
    posted: int
    held: int
    available: int
    credit_limit: int
    pin_set: bool
    created_at: str

    @classmethod
    def of(cls, account: Account, *, default: bool) -> "AccountResource":
        """The account as a client sees it; `default` says that it is its owner's default of the currency."""
        return cls(
            id=account.id,
            owner_id=account.owner_id,
            name=account.name,
            type=account.type,
            currency=account.currency,
            status=account.status,
            default=default,
            posted=account.posted,
            held=account.held,
            available=account.available,
            credit_limit=account.credit_limit,
            pin_set=account.pin_set,
            created_at=account.created_at,
        )


class CurrencyResource(Resource):
    """A currency; `exponent` is its number of minor digits."""

    code: str
    exponent: int
    name: str
