"""Accounts and currencies as requests and responses."""

from dataclasses import asdict
from typing import Annotated, Literal

from common.http.fields import Amount, Body, Currency, Cursor, Limit, Name, Query, Resource
from common.idempotency import Answer, render
from common.money import MAX_AMOUNT
from pydantic import BeforeValidator, Field

from functions.accounts.domain.accounts import AccountPatch, AccountStatus, AccountType, AccountView, NewAccount


class OpenAccount(Body):
    """The body of POST /accounts."""

    currency: Currency
    name: Name | None = None
    type: AccountType = "debit"

    def command(self) -> NewAccount:
        """Return the account to open."""
        return NewAccount(self.currency, self.type, self.name)


def _true(value: object) -> object:
    if value is not True:
        raise ValueError("must be true; to change the default, make another account the default")
    return value


class PatchAccount(Body):
    """The body of PATCH /accounts/{account_id}. Only fields that were sent change anything.

    A `low_balance_alert` of null removes the alert.
    """

    name: Name = ""
    default: Annotated[Literal[True], BeforeValidator(_true)] = True
    low_balance_alert: Amount | None = None
    status: Literal["active", "frozen"] = "active"
    credit_limit: int = Field(0, ge=0, le=MAX_AMOUNT)
    hot: bool = False

    def command(self) -> AccountPatch:
        """Return the changes that were sent."""
        return AccountPatch(self.model_dump(exclude_unset=True))


class CatalogQuery(Query):
    """The query of GET /banks and GET /currencies. Without a limit, the whole catalog is returned."""

    limit: Limit | None = None
    cursor: Cursor | None = None


class AccountResource(Resource):
    """An account. `default` says that it is its owner's default of the currency."""

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
    low_balance_alert: int | None
    pin_set: bool
    created_at: str

    @staticmethod
    def of(view: AccountView, *, is_admin: bool) -> "AccountResource":
        """Return an account as its owner or an admin sees it."""
        kind = AdminAccountResource if is_admin else AccountResource
        return kind(**asdict(view.account), default=view.is_default)


class AdminAccountResource(AccountResource):
    """An account as admins see it. `hot` says that credits are sharded."""

    hot: bool


class CurrencyResource(Resource):
    """A currency. `exponent` is its number of minor digits."""

    code: str
    exponent: int
    name: str


def opened(view: AccountView, is_admin: bool) -> Answer:
    """Return the answer to POST /accounts."""
    body = render(AccountResource.of(view, is_admin=is_admin))
    return Answer(201, body, location=f"/v1/accounts/{view.account.id}")
