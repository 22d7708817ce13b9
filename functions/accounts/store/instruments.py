"""Cards and bank accounts in the accounts table."""

from dataclasses import asdict

from common.dynamo import ABSENT, PRESENT, Cancelled, ConditionFailed, Delete, Item, Key, Put, Table
from common.idempotency import Answer, Idempotency

from functions.accounts.domain.instruments import BankAccount, Card
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

    def add_card(
        self, user_id: str, card: Card, fingerprint: str, key: Idempotency | None, answer: Answer
    ) -> Answer | None:
        """Links a card and keeps `answer` under `key`; see `InstrumentStore.add_card`."""
        owner = _item(keys.fingerprint(fingerprint), {"user_id": user_id, "card_id": card.id})
        item = _item(keys.card(user_id, card.id), {**asdict(card), "fingerprint": fingerprint})
        return write_once(self._table, Put(owner, ABSENT), [Put(item, ABSENT)], key, answer)

    def cards(self, user_id: str, before: str | None, limit: int) -> list[Card]:
        """At most `limit` cards of a user, newest first, beginning after the id `before`."""
        return [card_of(item) for item in newest(self._table, keys.user(user_id), keys.CARD, before, limit)]

    def remove_card(self, user_id: str, card_id: str) -> bool:
        """Unlinks a card; False where it is not the user's."""
        item = self._table.get(keys.card(user_id, card_id))
        if item is None:
            return False
        owner = Delete(keys.fingerprint(item["fingerprint"]), [("card_id", "=", card_id)])
        try:
            self._table.transact([Delete(keys.card(user_id, card_id), PRESENT), owner])
        except Cancelled:
            return False
        return True

    def add_bank_account(
        self, user_id: str, account: BankAccount, fingerprint: str, key: Idempotency | None, answer: Answer
    ) -> Answer:
        """Links a bank account and keeps `answer` under `key`; see `InstrumentStore.add_bank_account`."""
        item = _item(keys.bank_account(user_id, account.id), {**asdict(account), "fingerprint": fingerprint})
        standing = write_once(self._table, Put(item, ABSENT), [], key, answer)
        assert standing is not None  # Only the key could refuse, and that has an answer.
        return standing

    def bank_accounts(self, user_id: str, before: str | None, limit: int) -> list[BankAccount]:
        """At most `limit` bank accounts of a user, newest first, beginning after the id `before`."""
        items = newest(self._table, keys.user(user_id), keys.BANK_ACCOUNT, before, limit)
        return [bank_account_of(item) for item in items]

    def remove_bank_account(self, user_id: str, bank_account_id: str) -> bool:
        """Unlinks a bank account; False where it is not the user's."""
        try:
            self._table.delete(keys.bank_account(user_id, bank_account_id), PRESENT)
        except ConditionFailed:
            return False
        return True


def _item(key: Key, attributes: Item) -> Item:
    return {"pk": key[0], "sk": key[1], **attributes}
