"""Linking cards and bank accounts."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from common.clock import Clock, timestamp
from common.errors import Refusal, invalid
from common.idempotency import Answer, IdempotencyKey, KeyedAnswer
from common.paging import Page, take

from functions.accounts.domain.instruments import (
    BankAccount,
    Card,
    Instrument,
    Kind,
    NewBankAccount,
    NewCard,
    has_expired,
)

if TYPE_CHECKING:
    from functions.accounts.store.instruments import InstrumentStore

_BATCH = 100


class Instruments:
    """The cards and bank accounts of users.

    `digest` returns the keyed digest of a value (second) for a purpose (first). `respond` makes the stored answer of a
    new card or bank account.
    """

    def __init__(
        self,
        store: "InstrumentStore",
        now: Clock,
        new_id: Callable[[str, datetime], str],
        digest: Callable[[str, str], str],
        respond: Callable[[Instrument], Answer],
    ) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id
        self._digest = digest
        self._respond = respond

    def link_card(self, user_id: str, wanted: NewCard, key: IdempotencyKey | None) -> KeyedAnswer:
        """Link a card.

        Raises Refusal `validation_failed` if the card has expired, `card_already_linked` if any user has linked it,
        `unauthenticated` if the user is being deleted, and `idempotency_key_reused`.
        """
        now = self._now()
        if has_expired(wanted.exp_month, wanted.exp_year, now):
            # If the key was first used before the card expired, its answer is replayed.
            stored = self._store.answers.find(key) if key else None
            if stored is None:
                raise invalid("/exp_year", "the card has expired")
            return KeyedAnswer(stored, replayed=True)
        card = Card.new(self._new_id("crd", now), wanted, timestamp(now))
        return self._link(user_id, card, self._digest("card", wanted.number), key)

    def link_bank_account(self, user_id: str, wanted: NewBankAccount, key: IdempotencyKey | None) -> KeyedAnswer:
        """Link a bank account.

        Raises Refusal `unauthenticated` if the user is being deleted, and `idempotency_key_reused`.
        """
        now = self._now()
        account = BankAccount.new(self._new_id("bka", now), wanted, timestamp(now))
        return self._link(user_id, account, self._digest("iban", wanted.iban), key)

    def page(self, kind: Kind, user_id: str, after: str | None, limit: int) -> Page:
        """Return a page of a user's cards or bank accounts, newest first. Positions are their ids."""
        return take(((each.id, each) for each in self._store.newest(kind, user_id, after, limit + 1)), limit)

    def unlink(self, kind: Kind, user_id: str, instrument_id: str) -> None:
        """Unlink a card, so that anyone can link it again, or a bank account. Raises Refusal `not_found`."""
        if not self._store.remove(kind, user_id, instrument_id):
            raise Refusal("not_found")

    def forget(self, user_id: str) -> None:
        """Unlink everything of a deleted user."""
        for kind in (Card, BankAccount):
            last = None
            while found := self._store.newest(kind, user_id, last, _BATCH):
                for each in found:
                    self._store.remove(kind, user_id, each.id)
                last = found[-1].id

    def _link(self, user_id: str, instrument: Instrument, fingerprint: str, key: IdempotencyKey | None) -> KeyedAnswer:
        answer = self._respond(instrument)
        stored = self._store.add(user_id, instrument, fingerprint, key, answer)
        return KeyedAnswer(stored, replayed=stored != answer)
