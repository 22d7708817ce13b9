"""Linking cards and bank accounts."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from common.clock import Clock, timestamp
from common.errors import Refusal, invalid
from common.idempotency import Answer, IdempotencyKey, KeyedAnswer
from common.paging import Page, take
from common.retry import retry_on_conflict

from functions.accounts.domain.hours import Hour
from functions.accounts.domain.instruments import (
    MAX_LINKED,
    MAX_REFUSALS_PER_HOUR,
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
_NAMES: dict[Kind, str] = {Card: "cards", BankAccount: "bank accounts"}


class CardCheck(Protocol):
    """The rail's check of a card, which moves no money."""

    def passes(self, card: NewCard) -> bool:
        """Return whether holder, expiry and cvv belong to the card."""


class Instruments:
    """The cards and bank accounts of users.

    `digests` returns the keyed digests of a value (second) for a purpose (first), one a version of the key, newest
    first. `respond` makes the stored answer of a new card or bank account.
    """

    def __init__(
        self,
        store: "InstrumentStore",
        now: Clock,
        new_id: Callable[[str, datetime], str],
        digests: Callable[[str, str], tuple[str, ...]],
        rail: CardCheck,
        respond: Callable[[Instrument], Answer],
    ) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id
        self._digests = digests
        self._rail = rail
        self._respond = respond

    def link_card(self, user_id: str, wanted: NewCard, key: IdempotencyKey | None) -> KeyedAnswer:
        """Link a card.

        Whether a card is linked already is said only to who has the card: after the rail's check, and as one of the
        refusals of an hour, like those of the check itself.

        Raises Refusal `validation_failed` if the card has expired, `limit_reached`, `rate_limited`, `card_declined` if
        the rail's check fails, `card_already_linked` if any user has linked it, `unauthenticated` if the user is being
        deleted, and `idempotency_key_reused`.
        """
        now = self._now()
        card = Card.new(self._new_id("crd", now), wanted, timestamp(now))
        fingerprints = self._digests("card", wanted.number)
        hour = Hour.of(now)

        def attempt() -> KeyedAnswer:
            if has_expired(wanted.exp_month, wanted.exp_year, now):
                raise invalid("/exp_year", "must not be in the past: the card has expired")
            most_links = self._most_links(Card, user_id)
            if self._store.card_refusals(user_id, hour) >= MAX_REFUSALS_PER_HOUR:
                raise _too_many_refusals(hour)
            if not self._rail.passes(wanted):
                self._count_refusal(user_id, hour)
                raise Refusal("card_declined")
            answer = self._respond(card)
            stored = self._store.add_card(user_id, card, fingerprints, most_links, hour, key, answer)
            if stored is None:
                self._count_refusal(user_id, hour)
                raise Refusal("card_already_linked")
            return KeyedAnswer(stored, replayed=stored != answer)

        return self._once(key, attempt)

    def link_bank_account(self, user_id: str, wanted: NewBankAccount, key: IdempotencyKey | None) -> KeyedAnswer:
        """Link a bank account.

        Raises Refusal `limit_reached`, `unauthenticated` if the user is being deleted, and `idempotency_key_reused`.
        """
        now = self._now()
        account = BankAccount.new(self._new_id("bka", now), wanted, timestamp(now))
        fingerprints = self._digests("iban", wanted.iban)

        def attempt() -> KeyedAnswer:
            most_links = self._most_links(BankAccount, user_id)
            answer = self._respond(account)
            stored = self._store.add_bank_account(user_id, account, fingerprints, most_links, key, answer)
            return KeyedAnswer(stored, replayed=stored != answer)

        return self._once(key, attempt)

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
        self._store.remove_links(user_id)

    def _once(self, key: IdempotencyKey | None, link: Callable[[], KeyedAnswer]) -> KeyedAnswer:
        """Return the answer that is stored under `key`, or what `link` returns; it runs again if it raises Stale."""
        if stored := self._stored(key):
            return stored
        try:
            return retry_on_conflict(link)
        except Refusal:
            # A concurrent request with the same key may have linked it.
            if stored := self._stored(key):
                return stored
            raise

    def _stored(self, key: IdempotencyKey | None) -> KeyedAnswer | None:
        stored = self._store.answers.find(key) if key else None
        return KeyedAnswer(stored, replayed=True) if stored else None

    def _most_links(self, kind: Kind, user_id: str) -> int:
        """Return how often the user may have linked one until another is written, those that were unlinked included.

        Raises Refusal `limit_reached` if they have as many as allowed.
        """
        # In this order: what is linked after the first read counts, whether or not the second one finds it.
        links = self._store.links(kind, user_id)
        linked = len(self._store.newest(kind, user_id, None, MAX_LINKED))
        if linked >= MAX_LINKED:
            raise Refusal("limit_reached", f"You have {MAX_LINKED} {_NAMES[kind]}. Unlink one before you link another.")
        return links + MAX_LINKED - linked

    def _count_refusal(self, user_id: str, hour: Hour) -> None:
        """Count a refused card before its refusal is answered. Raises Refusal `rate_limited`."""
        if not self._store.count_card_refusal(user_id, hour, MAX_REFUSALS_PER_HOUR):
            raise _too_many_refusals(hour)


def _too_many_refusals(hour: Hour) -> Refusal:
    detail = f"{MAX_REFUSALS_PER_HOUR} cards were refused. Link a card after the time in Retry-After."
    return Refusal("rate_limited", detail, retry_after=hour.seconds_left)
