from collections.abc import Callable
from typing import Any

import pytest
from common.dynamo import Table
from common.errors import Refusal, Stale
from common.idempotency import Answer, IdempotencyKey

from functions.accounts.domain.hours import Hour
from functions.accounts.domain.instruments import BankAccount, Card
from functions.accounts.store.instruments import InstrumentStore
from tests.support.clock import FakeClock

ADA, BOB = "usr_A", "usr_B"
KEY = IdempotencyKey("scope", ("fingerprint",))
CARD = Card("crd_1", "visa", "4242", 11, 2026, "Ada", "2026-11-21T09:30:00.000Z")
OTHER = Card("crd_2", "visa", "4242", 12, 2026, "Bob", "2026-11-21T09:30:00.001Z")
BANK_ACCOUNT = BankAccount("bka_1", "hanse-bank", "3000", "Ada", "2026-11-21T09:30:00.000Z")
FIRST, SECOND = Answer(201, '{"id":"1"}', location="/1"), Answer(201, '{"id":"2"}', location="/2")


HOUR = Hour.of(FakeClock()())


def add(
    store: InstrumentStore,
    user_id: str,
    instrument: Card | BankAccount,
    digest: str,
    key: IdempotencyKey | None,
    answer: Answer,
) -> Answer:
    if isinstance(instrument, BankAccount):
        return store.add_bank_account(user_id, instrument, [digest], 10, key, answer)
    stored = store.add_card(user_id, instrument, [digest], 10, HOUR, key, answer)
    if stored is None:
        raise Refusal("card_already_linked")
    return stored


@pytest.fixture
def store(dynamodb: Any) -> InstrumentStore:
    return InstrumentStore(Table(dynamodb, "remit-accounts"))


def test_a_card_number_is_linked_once_until_it_is_removed(store: InstrumentStore) -> None:
    assert add(store, ADA, CARD, "digest", None, FIRST) == FIRST
    with pytest.raises(Refusal, match="card_already_linked"):
        add(store, BOB, OTHER, "digest", None, SECOND)
    assert store.newest(Card, BOB, None, 10) == []
    assert not store.remove(Card, BOB, CARD.id)
    assert store.remove(Card, ADA, CARD.id)
    assert not store.remove(Card, ADA, CARD.id)
    assert add(store, BOB, OTHER, "digest", None, SECOND) == SECOND
    assert store.newest(Card, ADA, None, 10) == []
    assert store.newest(Card, BOB, None, 10) == [OTHER]


def test_the_same_write_again_is_accepted(store: InstrumentStore) -> None:
    for _ in range(2):
        assert add(store, ADA, CARD, "digest", KEY, FIRST) == FIRST
    assert store.newest(Card, ADA, None, 10) == [CARD]


def test_a_key_returns_its_first_answer(store: InstrumentStore) -> None:
    assert store.answers.find(KEY) is None
    add(store, ADA, CARD, "digest", KEY, FIRST)
    assert store.answers.find(KEY) == FIRST
    assert add(store, ADA, OTHER, "other digest", KEY, SECOND) == FIRST
    assert store.newest(Card, ADA, None, 10) == [CARD]


@pytest.mark.parametrize(
    "use",
    [
        lambda store, key: store.answers.find(key),
        lambda store, key: add(store, ADA, OTHER, "other digest", key, SECOND),
        lambda store, key: add(store, ADA, BANK_ACCOUNT, "digest", key, SECOND),
    ],
)
def test_a_key_with_another_fingerprint_is_refused(
    store: InstrumentStore, use: Callable[[InstrumentStore, IdempotencyKey], object]
) -> None:
    add(store, ADA, CARD, "digest", KEY, FIRST)
    with pytest.raises(Refusal) as refused:
        use(store, IdempotencyKey(KEY.scope, ("another",)))
    assert refused.value.code == "idempotency_key_reused"
    assert store.newest(BankAccount, ADA, None, 10) == []


def test_lists_are_newest_first_and_begin_after_a_position(store: InstrumentStore) -> None:
    add(store, ADA, CARD, "digest", None, FIRST)
    add(store, ADA, OTHER, "other digest", None, SECOND)
    add(store, ADA, BANK_ACCOUNT, "digest", None, FIRST)
    assert store.newest(Card, ADA, None, 10) == [OTHER, CARD]
    assert store.newest(Card, ADA, None, 1) == [OTHER]
    assert store.newest(Card, ADA, OTHER.id, 10) == [CARD]
    assert store.newest(Card, ADA, CARD.id, 10) == []
    # A position that a client made up is a position in the same list.
    assert store.newest(Card, ADA, "~", 10) == [OTHER, CARD]
    assert store.newest(Card, ADA, "!", 10) == []


def test_bank_accounts(store: InstrumentStore) -> None:
    assert add(store, ADA, BANK_ACCOUNT, "digest", KEY, FIRST) == FIRST
    assert add(store, ADA, BANK_ACCOUNT, "digest", KEY, SECOND) == SECOND
    assert store.newest(BankAccount, ADA, None, 10) == [BANK_ACCOUNT]
    assert not store.remove(BankAccount, BOB, BANK_ACCOUNT.id)
    assert store.remove(BankAccount, ADA, BANK_ACCOUNT.id)
    assert not store.remove(BankAccount, ADA, BANK_ACCOUNT.id)


def test_of_a_number_of_links_no_more_are_written(store: InstrumentStore) -> None:
    assert store.links(Card, ADA) == 0
    assert store.add_card(ADA, CARD, ["digest"], 1, HOUR, None, FIRST) == FIRST
    assert (store.links(Card, ADA), store.links(BankAccount, ADA), store.links(Card, BOB)) == (1, 0, 0)
    with pytest.raises(Stale):
        store.add_card(ADA, OTHER, ["other digest"], 1, HOUR, None, SECOND)
    assert store.add_card(ADA, OTHER, ["other digest"], 2, HOUR, None, SECOND) == SECOND
    store.remove_links(ADA)
    assert store.links(Card, ADA) == 0


def test_refused_cards_are_counted_by_hour(store: InstrumentStore) -> None:
    assert [store.count_card_refusal(ADA, HOUR, 5) for _ in range(6)] == [True] * 5 + [False]
    later = Hour.of(FakeClock()().replace(hour=23))
    assert [store.card_refusals(ADA, HOUR), store.card_refusals(BOB, HOUR), store.card_refusals(ADA, later)] == [
        5,
        0,
        0,
    ]
    with pytest.raises(Stale):
        store.add_card(ADA, CARD, ["digest"], 10, HOUR, None, FIRST)
    assert store.add_card(ADA, CARD, ["digest"], 10, later, None, FIRST) == FIRST


def test_a_card_is_reserved_under_every_version_of_the_key(store: InstrumentStore) -> None:
    store.add_card(ADA, CARD, ["2:new", "1:old"], 10, HOUR, None, FIRST)
    for fingerprints in (["1:old"], ["3:newer", "2:new"]):
        assert store.add_card(BOB, OTHER, fingerprints, 10, HOUR, None, SECOND) is None
    assert store.remove(Card, ADA, CARD.id)
    assert store.add_card(BOB, OTHER, ["1:old"], 10, HOUR, None, SECOND) == SECOND


def test_a_card_from_before_keys_had_versions_is_removed_with_its_digest(store: InstrumentStore) -> None:
    store._table.put({"pk": "U#usr_A", "sk": "C#crd_1", "id": "crd_1", "fingerprint": "old"})
    store._table.put({"pk": "F#old", "sk": "F", "user_id": ADA, "card_id": "crd_1"})
    assert store.remove(Card, ADA, "crd_1")
    assert store._table.get(("F#old", "F")) is None
