"""The transfers that a user may see."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from common.errors import Refusal
from common.paging import Page

from functions.transfers.domain.history import TransferFilter, page_weight
from functions.transfers.domain.transfers import Transfer

if TYPE_CHECKING:
    from functions.transfers.store.history import HistoryStore
    from functions.transfers.store.transfers import TransferStore

# The sum of `page_weight` of the transfers that are read for a page: 2,000 small ones, or about 2 MB of metadata, which
# leaves room in the 6 MB that Lambda can return.
_MAX_PAGE_WEIGHT = 2000


class History:
    """A user's transfers, one or many."""

    def __init__(self, store: "HistoryStore", transfers: "TransferStore") -> None:
        self._store = store
        self._transfers = transfers

    def get(self, transfer_id: str, user_id: str, *, is_admin: bool) -> Transfer:
        """Return a transfer to one of its parties or an admin. Raises Refusal `not_found`."""
        state = self._transfers.find(transfer_id)
        if state is None or not (is_admin or state.transfer.is_party(user_id)):
            raise Refusal("not_found")
        return state.transfer

    def list(
        self,
        user_id: str,
        conditions: TransferFilter,
        limit: int,
        after_id: str | None = None,
        key_scopes: Sequence[str] | None = None,
    ) -> Page:
        """Return a page of a user's transfers, newest first. Its position is the id after which the next page begins.

        `key_scopes` limits the list to what these idempotency keys are bound to. The number of transfers that are read
        for a page is bounded, so a filter that few of them meet may return a short page that is not the last.
        """
        low, high = conditions.id_range()
        chunk = min(limit + 1, 100) if conditions.is_by_time_only else 100
        transfers = (
            self._store.list(user_id, low, min(high, after_id or high), chunk)
            if key_scopes is None
            else self._bound_to(key_scopes)
        )
        page: list[Transfer] = []
        last_id = None
        weight = 0
        for transfer in transfers:
            if weight >= _MAX_PAGE_WEIGHT:
                return Page(page, last_id)
            weight += page_weight(transfer)
            if (after_id is None or transfer.id < after_id) and conditions.admits(transfer, user_id):
                if len(page) == limit:
                    return Page(page, page[-1].id)
                page.append(transfer)
            last_id = transfer.id
        return Page(page, None)

    def _bound_to(self, key_scopes: Sequence[str]) -> Sequence[Transfer]:
        bindings = filter(None, map(self._transfers.find_binding, key_scopes))
        states = filter(None, (self._transfers.find(binding.transfer_id) for binding in bindings))
        return sorted((state.transfer for state in states), key=lambda transfer: transfer.id, reverse=True)
