"""Folding: pending credits of an account become lines of its journal, a batch at a time.

Of a system account, debits are pending too.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from common import clock, ids

from functions.accounts.domain.ledger import JournalLine, system_currency

# A batch of this many credits is an item of about 60 KB.
BATCH_CREDITS = 2000
# The size of the text before compression: an item has at most 400 KB, and not every text compresses.
_BATCH_BYTES = 360 * 1024
_CREDIT_BYTES = 160


@dataclass(frozen=True, slots=True)
class FoldHead:
    """An account as folding reads it. `fold` counts its batches.

    `clean` counts the batches whose credits are all deleted from the pending ones.
    """

    account_id: str
    currency: str
    posted: int = 0
    held: int = 0
    credit_limit: int = 0
    version: int = 0
    line_at: str = ""
    fold: int = 0
    clean: int = 0


class PendingCredit(NamedTuple):
    """One pending credit: when it was committed, and the shard in which it is stored."""

    transfer_id: str
    step: str
    change: int
    at: str
    shard: int
    description: str

    @property
    def size(self) -> int:
        """The most bytes that this credit takes in a batch."""
        return _CREDIT_BYTES + len(self.step) + len(json.dumps(self.description))


@dataclass(frozen=True, slots=True)
class FoldedBatch:
    """Credits folded at once, with the account's version and posted balance before and after them.

    What is held and the credit limit are the same before and after.
    """

    account_id: str
    currency: str
    number: int
    at: str
    opening_version: int
    opening_posted: int
    version: int
    posted: int
    held: int
    credits: tuple[PendingCredit, ...]
    credit_limit: int = 0

    def lines(self) -> list[JournalLine]:
        """Return the journal lines of the batch, oldest first. All have the time of the batch."""
        lines: list[JournalLine] = []
        posted = self.opening_posted
        for version, credit in enumerate(self.credits, self.opening_version + 1):
            posted += credit.change
            entry_id = ids.derived_id("ent", clock.parse(credit.at), credit.transfer_id, credit.step, self.account_id)
            lines.append(
                JournalLine(
                    account_id=self.account_id,
                    version=version,
                    at=self.at,
                    currency=self.currency,
                    posted_change=credit.change,
                    held_change=0,
                    posted=posted,
                    held=self.held,
                    transfer_id=credit.transfer_id,
                    step=credit.step,
                    entry_id=entry_id,
                    description=credit.description,
                    credit_limit=self.credit_limit,
                )
            )
        return lines


def new_head(account_id: str) -> FoldHead:
    """Return a system account as it is before its first batch."""
    return FoldHead(account_id, system_currency(account_id))


def plan_batch(head: FoldHead, pending: Iterable[PendingCredit], now: str) -> FoldedBatch:
    """Return the next batch of an account: its oldest pending credits, as many as fit into one item."""
    chosen: list[PendingCredit] = []
    bytes_left = _BATCH_BYTES
    for credit in sorted(pending, key=lambda credit: (credit.at, credit.transfer_id, credit.step))[:BATCH_CREDITS]:
        bytes_left -= credit.size
        if bytes_left < 0:
            break
        chosen.append(credit)
    return FoldedBatch(
        account_id=head.account_id,
        currency=head.currency,
        number=head.fold + 1,
        at=max(now, head.line_at),
        opening_version=head.version,
        opening_posted=head.posted,
        version=head.version + len(chosen),
        posted=head.posted + sum(credit.change for credit in chosen),
        held=head.held,
        credit_limit=head.credit_limit,
        credits=tuple(chosen),
    )
