"""Cards and bank accounts in the accounts table."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

from common.answers import Answers
from common.dynamo import (
    ABSENT,
    PRESENT,
    Cancelled,
    Check,
    ConditionFailed,
    Delete,
    Item,
    Key,
    Put,
    Table,
    Update,
    Where,
    Write,
)
from common.errors import Refusal, Stale
from common.idempotency import Answer, IdempotencyKey

from functions.accounts.domain.hours import Hour
from functions.accounts.domain.instruments import MAX_REFUSALS_PER_HOUR, BankAccount, Card, Instrument, Kind
from functions.accounts.store import keys
from functions.accounts.store.items import bank_account_of, card_of
from functions.accounts.store.listing import newest

_KINDS: dict[Kind, tuple[str, Callable[[Item], Instrument]]] = {
    Card: (keys.CARD, card_of),
    BankAccount: (keys.BANK_ACCOUNT, bank_account_of),
}


class InstrumentStore:
    """The cards and bank accounts of the table. `answers` are the stored answers.

    A card's number is reserved under the digest of every version of the key, so that processes that have read only
    some of the versions agree on who linked it.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self.answers = Answers(table)

    def links(self, kind: Kind, user_id: str) -> int:
        """Return how often a user has linked an instrument of a kind."""
        item = self._table.get(_links(kind, user_id))
        return item["count"] if item else 0

    def add_card(
        self,
        user_id: str,
        card: Card,
        fingerprints: Sequence[str],
        most_links: int,
        hour: Hour,
        key: IdempotencyKey | None,
        answer: Answer,
    ) -> Answer | None:
        """Link a card, and store its answer; `common.answers.Answers.create`. None if any user has linked it.

        Raises Refusal `unauthenticated` if the user is being deleted, and Stale if they have linked cards `most_links`
        times by now, or too many of their cards were refused in this hour.
        """
        owner = {"user_id": user_id, "card_id": card.id}
        reservations = [Put({**keys.keyed(keys.fingerprint(each)), **owner}, ABSENT) for each in fingerprints]
        refusals = Check(keys.card_refusals(user_id, hour.starts), [("count", "absent or <", MAX_REFUSALS_PER_HOUR)])
        return self._add(user_id, card, fingerprints, most_links, [refusals, *reservations], key, answer)

    def add_bank_account(
        self,
        user_id: str,
        account: BankAccount,
        fingerprints: Sequence[str],
        most_links: int,
        key: IdempotencyKey | None,
        answer: Answer,
    ) -> Answer:
        """Link a bank account as `add_card` links a card. Other users, and the user, may have linked it too."""
        stored = self._add(user_id, account, fingerprints, most_links, [], key, answer)
        if stored is None:
            raise Stale
        return stored

    def card_refusals(self, user_id: str, hour: Hour) -> int:
        """Return how many cards of a user were refused in an hour."""
        item = self._table.get(keys.card_refusals(user_id, hour.starts))
        return item["count"] if item else 0

    def count_card_refusal(self, user_id: str, hour: Hour, limit: int) -> bool:
        """Count a refused card in an hour. Returns False if there were `limit` already."""
        where: Where = [("count", "absent or <", limit)]
        key = keys.card_refusals(user_id, hour.starts)
        try:
            self._table.update(Update(key, set={"expires_at": hour.expires_at}, add={"count": 1}, where=where))
        except ConditionFailed:
            return False
        return True

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
            # Cards that were linked before keys had versions have one digest.
            fingerprints = item.get("fingerprints") or [item["fingerprint"]]
            writes += [Delete(keys.fingerprint(each), [("card_id", "=", instrument_id)]) for each in fingerprints]
        try:
            self._table.transact(writes)
        except Cancelled:
            return False
        return True

    def remove_links(self, user_id: str) -> None:
        """Forget how often a deleted user has linked an instrument."""
        for kind in _KINDS:
            self._table.delete(_links(kind, user_id))

    def _add(
        self,
        user_id: str,
        instrument: Instrument,
        fingerprints: Sequence[str],
        most_links: int,
        others: Sequence[Write],
        key: IdempotencyKey | None,
        answer: Answer,
    ) -> Answer | None:
        kind = type(instrument)
        item = {
            **keys.keyed(_key(kind, user_id, instrument.id)),
            **asdict(instrument),
            "fingerprints": list(fingerprints),
        }
        writes: list[Write] = [
            Check(keys.deletion(user_id), ABSENT),
            Update(_links(kind, user_id), add={"count": 1}, where=[("count", "absent or <", most_links)]),
            *others,
        ]
        try:
            return self.answers.create(Put(item, ABSENT), writes, key, answer)
        except Cancelled as cancelled:
            _, deleted, *reasons = cancelled.reasons
            if deleted.failed:
                raise Refusal("unauthenticated") from cancelled
            # The number of links, or of refused cards, has grown since it was read.
            if any(reason.failed for reason in reasons[:2]):
                raise Stale from cancelled
            return None


def _key(kind: Kind, user_id: str, instrument_id: str) -> Key:
    return keys.user(user_id), _KINDS[kind][0] + instrument_id


def _links(kind: Kind, user_id: str) -> Key:
    return keys.links(user_id, _KINDS[kind][0])
