"""Payees in the accounts table."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from common.dynamo import ABSENT, Check, ConditionFailed, Delete, Put, Table, Update, Where, Write

from functions.accounts.domain.hours import Hour
from functions.accounts.domain.payees import Entries, Payee
from functions.accounts.store import keys
from functions.accounts.store.accounts import transact
from functions.accounts.store.items import payee_of


class PayeeStore:
    """The payees of the table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, names: Iterable[str]) -> dict[str, Payee]:
        """Return the entries that exist under user ids and aliases."""
        by_key = {keys.payee(name): name for name in names}
        return {by_key[key]: payee_of(item) for key, item in self._table.batch_get(by_key).items()}

    def update(self, user_id: str, entries: Entries, changes: Mapping[str, Payee | None]) -> None:
        """Write `changes`; None deletes an entry.

        Raises Stale if their entries, or that of `user_id`, changed since they were read as `entries`.
        """
        writes = [_write(name, payee, _unchanged(entries.get(name))) for name, payee in changes.items()]
        if user_id not in changes:
            writes.append(Check(keys.payee(user_id), _unchanged(entries.get(user_id))))
        transact(self._table, writes)

    def count_look_up(self, user_id: str, hour: Hour, limit: int) -> bool:
        """Count a look-up in an hour. Returns False if there were `limit` already."""
        where: Where = [("count", "absent or <", limit)]
        count = Update(
            keys.look_ups(user_id, hour.starts), set={"expires_at": hour.expires_at}, add={"count": 1}, where=where
        )
        try:
            self._table.update(count)
        except ConditionFailed:
            return False
        return True


def _write(name: str, payee: Payee | None, where: Where) -> Write:
    if payee is None:
        return Delete(keys.payee(name), where)
    return Put({**keys.keyed(keys.payee(name)), **asdict(payee)}, where)


def _unchanged(payee: Payee | None) -> Where:
    if payee is None:
        return ABSENT
    return [("user_id", "=", payee.user_id), ("sequence", "=", payee.sequence)]
