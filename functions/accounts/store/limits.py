"""Limits in the accounts table."""

from dataclasses import replace

from common.dynamo import ConditionFailed, Table
from common.events import Event

from functions.accounts.domain.accounts import Account
from functions.accounts.domain.limits import Spending
from functions.accounts.store import keys
from functions.accounts.store.accounts import head_update
from functions.accounts.store.heads import limits, notes, spending_of
from functions.accounts.store.items import account_of


class LimitTable:
    """`service.limits.LimitStore` over the accounts table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, account_id: str) -> tuple[Account, Spending] | None:
        """An account, and what it may spend and has."""
        item = self._table.get(keys.head(account_id))
        return (account_of(item), spending_of(item)) if item else None

    def set(self, account: Account, revised: Account, spending: Spending, told: Event) -> bool:
        """Writes an account's limits with their event; see `LimitStore.set`."""
        update = head_update(account, revised, told)
        wanted = limits(spending)
        there = {name: limit for name, limit in wanted.items() if limit is not None}
        gone = [name for name in wanted if name not in there]
        try:
            self._table.update(replace(update, set={**update.set, **there, **notes(spending)}, remove=gone))
        except ConditionFailed:
            return False
        return True
