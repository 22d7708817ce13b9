"""Linking cards and bank accounts."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, Protocol

from common.clock import Clock, timestamp
from common.errors import Problem, invalid
from common.http.lists import Page, take
from common.idempotency import Answer, Idempotency, render

from functions.accounts.domain.instruments import BankAccount, Card, Instrument, Kind, brand_of, has_expired
from functions.accounts.models.instruments import BankAccountResource, CardResource, LinkBankAccount, LinkCard

_A_LOT = 100

Digest = Callable[[str, str], str]
"""The keyed digest of a value (second) for a purpose (first): `common.idempotency.digest` with its key."""


class InstrumentStore(Protocol):
    """What linking needs of a store."""

    def answer_of(self, key: Idempotency) -> Answer | None:
        """What was answered under a key. Raises Problem `idempotency_key_reused`."""

    def add(
        self, user_id: str, instrument: Instrument, fingerprint: str, key: Idempotency | None, answer: Answer
    ) -> Answer | None:
        """Links an instrument and keeps `answer` under `key`.

        Answers what stands: `answer`, or what the key was answered before; None, and nothing is written, where it is a
        card that is linked already, or the user leaves. Raises Problem `idempotency_key_reused`.
        """

    def listed(self, kind: Kind, user_id: str, before: str | None, limit: int) -> list[Instrument]:
        """At most `limit` instruments of a user's, newest first, beginning after the id `before`."""

    def remove(self, kind: Kind, user_id: str, instrument_id: str) -> bool:
        """Unlinks an instrument; False where it is not the user's."""

    def is_barred(self, user_id: str) -> bool:
        """Whether nothing is linked for a user any more."""


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
        `unauthenticated` where the user leaves, `idempotency_key_reused`.
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
        return self._link(user_id, card, "/v1/cards", self._digest("card", wanted.number), key)

    def link_bank_account(self, user_id: str, wanted: LinkBankAccount, key: Idempotency | None) -> Linked:
        """Links a bank account.

        Raises Problem `unauthenticated` where the user leaves, `idempotency_key_reused`.
        """
        now = self._clock()
        account = BankAccount(
            id=self._new_id("bka", now),
            bank_id=wanted.bank_id,
            iban_last4=wanted.iban[-4:],
            holder_name=wanted.holder_name,
            created_at=timestamp(now),
        )
        return self._link(user_id, account, "/v1/bank-accounts", self._digest("iban", wanted.iban), key)

    def page(self, kind: Kind, user_id: str, after: str | None, limit: int) -> Page:
        """A page of a user's cards or bank accounts, newest first; positions are their ids."""
        found = self._store.listed(kind, user_id, after, limit + 1)
        return take(((each.id, _shown(each)) for each in found), limit)

    def unlink(self, kind: Kind, user_id: str, instrument_id: str) -> None:
        """Unlinks a card, so that anyone may link it again, or a bank account. Raises Problem `not_found`."""
        if not self._store.remove(kind, user_id, instrument_id):
            raise Problem("not_found")

    def forget(self, user_id: str) -> None:
        """Unlinks everything of somebody who has left."""
        for kind in (Card, BankAccount):
            last = None
            while found := self._store.listed(kind, user_id, last, _A_LOT):
                for each in found:
                    self._store.remove(kind, user_id, each.id)
                last = found[-1].id

    def _link(
        self, user_id: str, instrument: Instrument, path: str, fingerprint: str, key: Idempotency | None
    ) -> Linked:
        answer = Answer(201, render(_shown(instrument)), location=f"{path}/{instrument.id}")
        standing = self._store.add(user_id, instrument, fingerprint, key, answer)
        if standing is None:
            raise Problem("unauthenticated" if self._store.is_barred(user_id) else "card_already_linked")
        return Linked(standing, replayed=standing != answer)


def _shown(instrument: Instrument) -> CardResource | BankAccountResource:
    return CardResource.of(instrument) if isinstance(instrument, Card) else BankAccountResource.of(instrument)
