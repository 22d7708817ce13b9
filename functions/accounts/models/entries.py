"""Shapes of an account's entries."""

from typing import Literal

from common.http.fields import ListQuery, Query, Resource, Timestamp
from pydantic import Field

from functions.accounts.domain.ledger import Line


class EntriesQuery(ListQuery):
    """Which entries: `from` is inclusive, `to` exclusive."""

    since: Timestamp | None = Field(default=None, alias="from")
    until: Timestamp | None = Field(default=None, alias="to")
    direction: Literal["debit", "credit"] | None = None


class BalanceQuery(Query):
    """Which moment; none is now."""

    at: Timestamp | None = None


class Entry(Resource):
    """What a transfer changed in an account, in minor units; `version` counts the account's journal lines."""

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
    def of(cls, line: Line) -> "Entry":
        """A journal line as an entry."""
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
