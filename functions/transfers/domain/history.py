"""A user's history: the filter of the list of transfers, and how much a page can take."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from common import clock, ids
from common.contracts.accounts import Party
from common.idempotency import render

from functions.transfers.domain.transfers import Transfer

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class TransferFilter:
    """Conditions of a list. A transfer must meet all that are set. Times are as `common.clock` writes them.

    `counterparty` is a user id, email, phone or account id; `counterparty_id` is the user who has that email or phone.
    """

    account_id: str | None = None
    kind: str | None = None
    status: str | None = None
    from_: str | None = None
    to: str | None = None
    counterparty: str | None = None
    counterparty_id: str | None = None
    min_amount: int | None = None
    max_amount: int | None = None

    def admits(self, transfer: Transfer, user_id: str) -> bool:
        """Return whether a transfer that `user_id` may see meets the conditions."""
        return (
            (self.account_id is None or self._is_of_account(transfer, user_id))
            and (self.kind is None or transfer.kind == self.kind)
            and (self.status is None or transfer.status == self.status)
            and (self.from_ is None or transfer.created_at >= self.from_)
            and (self.to is None or transfer.created_at < self.to)
            and (self.counterparty is None or self._is_with_counterparty(transfer, user_id))
            and (self.min_amount is None or transfer.amount >= self.min_amount)
            and (self.max_amount is None or transfer.amount <= self.max_amount)
        )

    def _is_of_account(self, transfer: Transfer, user_id: str) -> bool:
        sides = (transfer.source, transfer.destination)
        return any(side.id == self.account_id and side.owner_id == user_id for side in sides)

    def _is_with_counterparty(self, transfer: Transfer, user_id: str) -> bool:
        source, destination = transfer.source, transfer.destination
        others = [other for own, other in ((source, destination), (destination, source)) if own.owner_id == user_id]
        return any(self._is_counterparty(other, is_known=transfer.is_visible_to_payee) for other in others)

    def _is_counterparty(self, party: Party, *, is_known: bool) -> bool:
        """Return whether a party is the counterparty.

        Until the payee sees the transfer, only what the initiator named counts: a match by anything else would reveal
        whose email, phone or account it is.
        """
        if self.counterparty == party.alias or (party.addressed and self.counterparty == party.id):
            return True
        if not is_known:
            return party.alias is None and not party.addressed and self.counterparty == party.owner_id
        return self.counterparty == party.id or party.owner_id in (self.counterparty, self.counterparty_id)

    @property
    def is_by_time_only(self) -> bool:
        """Whether nearly every transfer within `id_range` meets the conditions."""
        return self == TransferFilter(from_=self.from_, to=self.to)

    def id_range(self) -> tuple[str, str]:
        """Return the lowest and highest id of the time range, about a millisecond wider than the range."""
        low = (
            "" if self.from_ is None else _id_prefix(max(clock.parse(self.from_), _EPOCH + _MILLISECOND) - _MILLISECOND)
        )
        high = "~" if self.to is None else _id_prefix(max(clock.parse(self.to), _EPOCH)) + "~"
        return low, high


def page_weight(transfer: Transfer) -> int:
    """Return how much of a page a transfer takes: one, and one more for each KiB of its rendered metadata."""
    return 1 + len(render(dict(transfer.metadata))) // 1024


def _id_prefix(at: datetime) -> str:
    """Return the first characters of the ids made at `at`: the kind, and ten characters of time."""
    return ids.derived_id("trf", at)[:14]
