"""Spending limits in the accounts table."""

from dataclasses import replace

from common.contracts.events import Event
from common.dynamo import ConditionFailed, Table
from common.errors import Stale

from functions.accounts.domain.accounts import Account
from functions.accounts.domain.limits import Spending
from functions.accounts.store import keys
from functions.accounts.store.accounts import head_update
from functions.accounts.store.heads import limits, notes, spending_of
from functions.accounts.store.items import account_of


class LimitStore:
    """The spending limits of the table's accounts."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, account_id: str) -> tuple[Account, Spending] | None:
        """Return an account with its limits and what was spent of them."""
        item = self._table.get(keys.head(account_id))
        return (account_of(item), spending_of(item)) if item else None

    def set(self, account: Account, changed: Account, spending: Spending, event: Event) -> None:
        """Write an account's limits with their event. Raises Stale if the account changed since it was read."""
        update = head_update(account, changed, event)
        wanted = limits(spending)
        present = {name: limit for name, limit in wanted.items() if limit is not None}
        absent = [name for name in wanted if name not in present]
        try:
            self._table.update(replace(update, set={**update.set, **present, **notes(spending)}, remove=absent))
        except ConditionFailed as failed:
            raise Stale from failed
