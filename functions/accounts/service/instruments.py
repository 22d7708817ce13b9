"""Linking cards and bank accounts."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, Protocol

from common.clock import Clock, timestamp
from common.errors import Problem, invalid
from common.http.lists import Page, take
from common.idempotency import Answer, Idempotency, render

from functions.accounts.domain.instruments import BankAccount, Card, brand_of, has_expired
from functions.accounts.models.instruments import BankAccountResource, CardResource, LinkBankAccount, LinkCard

Digest = Callable[[str, str], str]
"""The keyed digest of a value (second) for a purpose (first): `common.idempotency.digest` with its key."""


class InstrumentStore(Protocol):
    """What linking needs of a store."""

    def answer_of(self, key: Idempotency) -> Answer | None:
        """What was answered under a key. Raises Problem `idempotency_key_reused`."""

    def add_card(
        self, user_id: str, card: Card, fingerprint: str, key: Idempotency | None, answer: Answer
    ) -> Answer | None:
        """Links a card and keeps `answer` under `key`.

        Answers what stands: `answer`, or what the key was answered before; None, and nothing is written, where the
        card is linked already. Raises Problem `idempotency_key_reused`.
        """

    def cards(self, user_id: str, before: str | None, limit: int) -> list[Card]:
        """At most `limit` cards of a user, newest first, beginning after the id `before`."""

    def remove_card(self, user_id: str, card_id: str) -> bool:
        """Unlinks a card; False where it is not the user's."""

    def add_bank_account(
        self, user_id: str, account: BankAccount, fingerprint: str, key: Idempotency | None, answer: Answer
    ) -> Answer:
        """Links a bank account and keeps `answer` under `key`.

        Answers what stands: `answer`, or what the key was answered before. Raises Problem `idempotency_key_reused`.
        """

    def bank_accounts(self, user_id: str, before: str | None, limit: int) -> list[BankAccount]:
        """At most `limit` bank accounts of a user, newest first, beginning after the id `before`."""

    def remove_bank_account(self, user_id: str, bank_account_id: str) -> bool:
        """Unlinks a bank account; False where it is not the user's."""


class Linked(NamedTuple):
    """The answer to a linking, and whether it was given before."""

    answer: Answer
    replayed: bool


class Instruments:
    """The cards and bank accounts of users. A card's number lives in its keyed digest only, its cvv nowhere."""

    def __init__(
        self, store: InstrumentStore, clock: Clock, new_id: Callable[[str, datetime], str], digest: Digest
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._digest = digest

    def link_card(self, user_id: str, wanted: LinkCard, key: Idempotency | None) -> Linked:
        """Links a card.

        Raises Problem `validation_failed` for a card past its month, `card_already_linked` where anyone has linked it,
        `idempotency_key_reused`.
        """
        now = self._clock()
        if has_expired(wanted.exp_month, wanted.exp_year, now):
            # A card that was good when the key was first used still gets its first answer.
            earlier = self._store.answer_of(key) if key else None
            if earlier is None:
                raise invalid("/exp_year", "the card has expired")
            return Linked(earlier, replayed=True)
        card = Card(
            id=self._new_id("crd", now),
            brand=brand_of(wanted.number),
            last4=wanted.number[-4:],
            exp_month=wanted.exp_month,
            exp_year=wanted.exp_year,
            holder_name=wanted.holder_name,
            created_at=timestamp(now),
        )
        answer = Answer(201, render(CardResource.of(card)), location=f"/v1/cards/{card.id}")
        standing = self._store.add_card(user_id, card, self._digest("card", wanted.number), key, answer)
        if standing is None:
            raise Problem("card_already_linked")
        return Linked(standing, replayed=standing != answer)

    def cards(self, user_id: str, after: str | None, limit: int) -> Page:
        """A page of a user's cards, newest first; positions are card ids."""
        cards = self._store.cards(user_id, after, limit + 1)
        return take(((card.id, CardResource.of(card)) for card in cards), limit)

    def unlink_card(self, user_id: str, card_id: str) -> None:
        """Unlinks a card, so that anyone may link it again. Raises Problem `not_found`."""
        if not self._store.remove_card(user_id, card_id):
            raise Problem("not_found")

    def link_bank_account(self, user_id: str, wanted: LinkBankAccount, key: Idempotency | None) -> Linked:
        """Links a bank account. Raises Problem `idempotency_key_reused`."""
        now = self._clock()
        account = BankAccount(
            id=self._new_id("bka", now),
            bank_id=wanted.bank_id,
            iban_last4=wanted.iban[-4:],
            holder_name=wanted.holder_name,
            created_at=timestamp(now),
        )
        answer = Answer(201, render(BankAccountResource.of(account)), location=f"/v1/bank-accounts/{account.id}")
        standing = self._store.add_bank_account(user_id, account, self._digest("iban", wanted.iban), key, answer)
        return Linked(standing, replayed=standing != answer)

    def bank_accounts(self, user_id: str, after: str | None, limit: int) -> Page:
        """A page of a user's bank accounts, newest first; positions are bank account ids."""
        accounts = self._store.bank_accounts(user_id, after, limit + 1)
        return take(((account.id, BankAccountResource.of(account)) for account in accounts), limit)

    def unlink_bank_account(self, user_id: str, bank_account_id: str) -> None:
        """Unlinks a bank account. Raises Problem `not_found`."""
        if not self._store.remove_bank_account(user_id, bank_account_id):
            raise Problem("not_found")
