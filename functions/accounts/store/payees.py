"""The payee directory in the accounts table."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from common.dynamo import ABSENT, Cancelled, Check, ConditionFailed, Delete, Put, Table, Update, Where, Write

from functions.accounts.domain.payees import Entries, Payee
from functions.accounts.store import keys
from functions.accounts.store.items import payee_of


class PayeeTable:
    """`service.payees.PayeeStore` over the accounts table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def listed(self, names: Iterable[str]) -> dict[str, Payee]:
        """The entries that exist under user ids and aliases."""
        by_key = {keys.payee(name): name for name in names}
        return {by_key[key]: payee_of(item) for key, item in self._table.batch_get(by_key).items()}

    def revise(self, user_id: str, listed: Entries, changes: Mapping[str, Payee | None]) -> bool:
        """Writes `changes` where what they rest on stands; see `PayeeStore.revise`."""
        writes = [_write(name, payee, _unchanged(listed.get(name))) for name, payee in changes.items()]
        if user_id not in changes:
            writes.append(Check(keys.payee(user_id), _unchanged(listed.get(user_id))))
        try:
            self._table.transact(writes)
        except Cancelled:
            return False
        return True

    def count_look_up(self, user_id: str, hour: str, limit: int, expires_at: int) -> bool:
        """Counts a look-up in an hour; see `PayeeStore.count_look_up`."""
        where = [("count", "absent or <", limit)]
        count = Update(keys.look_ups(user_id, hour), set={"expires_at": expires_at}, add={"count": 1}, where=where)
        try:
            self._table.update(count)
        except ConditionFailed:
            return False
        return True


def _write(name: str, payee: Payee | None, where: Where) -> Write:
    pk, sk = keys.payee(name)
    if payee is None:
        return Delete((pk, sk), where)
    return Put({"pk": pk, "sk": sk, **asdict(payee)}, where)


def _unchanged(payee: Payee | None) -> Where:
    if payee is None:
        return ABSENT
    return [("user_id", "=", payee.user_id), ("sequence", "=", payee.sequence)]
