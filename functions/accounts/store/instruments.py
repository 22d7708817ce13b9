"""Cards and bank accounts in the accounts table."""

from collections.abc import Callable
from dataclasses import asdict

from common.dynamo import ABSENT, PRESENT, Cancelled, Check, Delete, Item, Key, Put, Table, Write
from common.idempotency import Answer, Idempotency

from functions.accounts.domain.instruments import BankAccount, Card, Instrument, Kind
from functions.accounts.store import keys
from functions.accounts.store.answers import earlier_answer, write_once
from functions.accounts.store.items import bank_account_of, card_of
from functions.accounts.store.pages import newest


class InstrumentTable:
    """`service.instruments.InstrumentStore` over the accounts table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def answer_of(self, key: Idempotency) -> Answer | None:
        """What was answered under a key. Raises Problem `idempotency_key_reused`."""
        return earlier_answer(self._table, key)

    def add(
        self, user_id: str, instrument: Instrument, fingerprint: str, key: Idempotency | None, answer: Answer
    ) -> Answer | None:
        """Links an instrument and keeps `answer` under `key`; see `InstrumentStore.add`."""
        pk, sk = _key(type(instrument), user_id, instrument.id)
        new = Put({"pk": pk, "sk": sk, **asdict(instrument), "fingerprint": fingerprint}, ABSENT)
        others: list[Write] = [Check(keys.tombstone(user_id), ABSENT)]
        if isinstance(instrument, Card):
            pk, sk = keys.fingerprint(fingerprint)
            others.append(Put({"pk": pk, "sk": sk, "user_id": user_id, "card_id": instrument.id}, ABSENT))
        return write_once(self._table, new, others, key, answer)

    def listed(self, kind: Kind, user_id: str, before: str | None, limit: int) -> list[Instrument]:
        """At most `limit` instruments of a user's, newest first, beginning after the id `before`."""
        prefix, read = _KINDS[kind]
        return [read(item) for item in newest(self._table, keys.user(user_id), prefix, before, limit)]

    def remove(self, kind: Kind, user_id: str, instrument_id: str) -> bool:
        """Unlinks an instrument; False where it is not the user's."""
        key = _key(kind, user_id, instrument_id)
        item = self._table.get(key)
        if item is None:
            return False
        writes: list[Write] = [Delete(key, PRESENT)]
        if kind is Card:
            writes.append(Delete(keys.fingerprint(item["fingerprint"]), [("card_id", "=", instrument_id)]))
        try:
            self._table.transact(writes)
        except Cancelled:
            return False
        return True

    def is_barred(self, user_id: str) -> bool:
        """Whether nothing is linked for a user any more."""
        return self._table.get(keys.tombstone(user_id)) is not None


_KINDS: dict[Kind, tuple[str, Callable[[Item], Instrument]]] = {
    Card: (keys.CARD, card_of),
    BankAccount: (keys.BANK_ACCOUNT, bank_account_of),
}


def _key(kind: Kind, user_id: str, instrument_id: str) -> Key:
    return keys.user(user_id), _KINDS[kind][0] + instrument_id
