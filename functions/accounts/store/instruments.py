"""Cards and bank accounts in the accounts table."""

from collections.abc import Callable
from dataclasses import asdict

from common.answers import Answers
from common.dynamo import ABSENT, PRESENT, Cancelled, Check, Delete, Item, Key, Put, Table, Write
from common.errors import Refusal
from common.idempotency import Answer, IdempotencyKey

from functions.accounts.domain.instruments import BankAccount, Card, Instrument, Kind
from functions.accounts.store import keys
from functions.accounts.store.items import bank_account_of, card_of
from functions.accounts.store.listing import newest

_KINDS: dict[Kind, tuple[str, Callable[[Item], Instrument]]] = {
    Card: (keys.CARD, card_of),
    BankAccount: (keys.BANK_ACCOUNT, bank_account_of),
}


class InstrumentStore:
    """The cards and bank accounts of the table. `answers` are the stored answers."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.answers = Answers(table)

    def add(
        self, user_id: str, instrument: Instrument, fingerprint: str, key: IdempotencyKey | None, answer: Answer
    ) -> Answer:
        """Link an instrument, and store its answer; `common.answers.Answers.create`.

        Raises Refusal `unauthenticated` if the user is being deleted, and `card_already_linked`.
        """
        item = {**keys.keyed(_key(type(instrument), user_id, instrument.id)), **asdict(instrument)}
        others: list[Write] = [Check(keys.deletion(user_id), ABSENT)]
        if isinstance(instrument, Card):
            owner = {**keys.keyed(keys.fingerprint(fingerprint)), "user_id": user_id, "card_id": instrument.id}
            others.append(Put(owner, ABSENT))
        try:
            return self.answers.create(Put({**item, "fingerprint": fingerprint}, ABSENT), others, key, answer)
        except Cancelled as cancelled:
            code = "unauthenticated" if cancelled.reasons[1].failed else "card_already_linked"
            raise Refusal(code) from cancelled

    def newest(self, kind: Kind, user_id: str, before: str | None, limit: int) -> list[Instrument]:
        """Return at most `limit` instruments of a user, newest first, after the id `before`."""
        prefix, read = _KINDS[kind]
        return [read(item) for item in newest(self._table, keys.user(user_id), prefix, before, limit)]

    def remove(self, kind: Kind, user_id: str, instrument_id: str) -> bool:
        """Unlink an instrument. Returns False if the user has none with this id."""
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


def _key(kind: Kind, user_id: str, instrument_id: str) -> Key:
    return keys.user(user_id), _KINDS[kind][0] + instrument_id
