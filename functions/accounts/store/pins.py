"""PINs in the accounts table."""

from collections.abc import Sequence
from typing import Any

from common.dynamo import ABSENT, Cancelled, ConditionFailed, Put, Table, Update, Write
from common.events import Event
from common.idempotency import Answer, Idempotency

from functions.accounts.domain.accounts import Account
from functions.accounts.domain.pins import TRIES, Pin
from functions.accounts.store import keys
from functions.accounts.store.accounts import head_update
from functions.accounts.store.answers import earlier_answer, kept_answer
from functions.accounts.store.items import account_of

_DONE = Answer(204, "")


class PinTable:
    """`service.pins.PinStore` over the accounts table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, account_id: str) -> tuple[Account | None, Pin | None]:
        """An account and its PIN, as far as they are there."""
        items = self._table.batch_get([keys.head(account_id), keys.pin(account_id)])
        head, pin = items.get(keys.head(account_id)), items.get(keys.pin(account_id))
        return account_of(head) if head else None, Pin(pin["digest"], pin["tries"], pin["version"]) if pin else None

    def passed(self, account_id: str, pin: Pin) -> bool:
        """Forgets wrong tries; False where the PIN was locked or set anew since it was read."""
        where = [("version", "=", pin.version), ("tries", "<", TRIES)]
        try:
            self._table.update(Update(keys.pin(account_id), set={"tries": 0}, where=where))
        except ConditionFailed:
            return False
        return True

    def missed(self, account: Account, revised: Account, pin: Pin, told: Sequence[Event]) -> bool:
        """Counts a wrong try, with its events; False where account or PIN moved on since they were read."""
        count = Update(keys.pin(account.id), add={"tries": 1}, where=_as_read(pin))
        return self._commit([count, head_update(account, revised, *told)])

    def set(
        self, account: Account, revised: Account, pin: Pin | None, wanted: Pin, told: Event, key: Idempotency | None
    ) -> bool:
        """Replaces `pin`, with the account's event, and keeps that under `key`; see `PinStore.set`."""
        pk, sk = keys.pin(account.id)
        item = {
            "pk": pk,
            "sk": sk,
            "account_id": account.id,
            "digest": wanted.digest,
            "tries": wanted.tries,
            "version": wanted.version,
        }
        new = Put(item, _as_read(pin) if pin else ABSENT)
        return self._commit([new, head_update(account, revised, told), *([kept_answer(key, _DONE)] if key else [])])

    def is_done(self, key: Idempotency | None) -> bool:
        """Whether what a key stands for was done. Raises Problem `idempotency_key_reused`."""
        return key is not None and earlier_answer(self._table, key) is not None

    def done(self, key: Idempotency) -> None:
        """Keeps that it was; again is harmless."""
        kept = kept_answer(key, _DONE)
        try:
            self._table.put(kept.item, kept.where)
        except ConditionFailed:
            # Two at once: the code of one of them is on its way.
            return

    def _commit(self, writes: Sequence[Write]) -> bool:
        try:
            self._table.transact(writes)
        except Cancelled:
            return False
        return True


def _as_read(pin: Pin) -> list[tuple[str, str, Any]]:
    return [("version", "=", pin.version), ("tries", "=", pin.tries)]
