"""The transfers that a user may see."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from common.contracts.auth import FindUser, FoundUser
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
    """A user's transfers, one or many. `find_user` asks the auth context."""

    def __init__(
        self, store: "HistoryStore", transfers: "TransferStore", find_user: Callable[[FindUser], FoundUser]
    ) -> None:
        self._store = store
        self._transfers = transfers
        self._find_user = find_user

    def get(self, transfer_id: str, user_id: str, *, is_admin: bool) -> Transfer:
        """Return a transfer to a party who may see it, or to an admin. Raises Refusal `not_found`."""
        state = self._transfers.find(transfer_id)
        if state is None or not (is_admin or state.transfer.is_visible_to(user_id)):
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
        conditions = self._with_counterparty(conditions)
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
            is_listed = transfer.is_visible_to(user_id) and conditions.admits(transfer, user_id)
            if is_listed and (after_id is None or transfer.id < after_id):
                if len(page) == limit:
                    return Page(page, page[-1].id)
                page.append(transfer)
            last_id = transfer.id
        return Page(page, None)

    def _with_counterparty(self, conditions: TransferFilter) -> TransferFilter:
        """Find who has the email or phone of a filter, because a transfer may have been addressed in another way."""
        alias = conditions.counterparty or ""
        if "@" in alias:
            found = self._find_user(FindUser(email=alias))
        elif alias.startswith("+"):
            found = self._find_user(FindUser(phone=alias))
        else:
            return conditions
        return replace(conditions, counterparty_id=found.user_id or None)

    def _bound_to(self, key_scopes: Sequence[str]) -> Sequence[Transfer]:
        bindings = filter(None, map(self._transfers.find_binding, key_scopes))
        states = filter(None, (self._transfers.find(binding.transfer_id) for binding in bindings))
        return sorted((state.transfer for state in states), key=lambda transfer: transfer.id, reverse=True)
