"""The wire format of an account's entries and balance."""

from typing import Literal

from common.http.fields import ListQuery, Query, Resource, Timestamp
from pydantic import Field

from functions.accounts.domain.journal import Balance
from functions.accounts.domain.ledger import JournalLine


class EntriesQuery(ListQuery):
    """The query of a list of entries: `from` is inclusive, `to` exclusive."""

    since: Timestamp | None = Field(default=None, alias="from")
    until: Timestamp | None = Field(default=None, alias="to")
    direction: Literal["debit", "credit"] | None = None


class BalanceQuery(Query):
    """The query of a balance: as of `at`, or now."""

    at: Timestamp | None = None


class BalanceResource(Resource):
    """An account's balance at a time, in minor units."""

    posted: int
    held: int
    available: int
    currency: str
    at: str

    @classmethod
    def of(cls, balance: Balance) -> "BalanceResource":
        """Return the resource of a balance."""
        return cls.model_validate(balance, from_attributes=True)


class EntryResource(Resource):
    """What a transfer changed in an account, in minor units. `version` counts the account's journal lines."""

    id: str
    version: int
    transfer_id: str
    direction: Literal["debit", "credit"]
    amount: int
    currency: str
    balance_after: int
    description: str
    created_at: str

    @classmethod
    def of(cls, line: JournalLine) -> "EntryResource":
        """Return the resource of a journal line."""
        return cls(
            id=line.entry_id,
            version=line.version,
            transfer_id=line.transfer_id,
            direction="debit" if line.posted_change < 0 else "credit",
            amount=abs(line.posted_change),
            currency=line.currency,
            balance_after=line.posted,
            description=line.description,
            created_at=line.at,
        )
