from collections.abc import Callable
from typing import Any

import pytest
from common.dynamo import Table
from common.errors import Refusal
from common.idempotency import Answer, IdempotencyKey

from functions.accounts.domain.instruments import BankAccount, Card
from functions.accounts.store.instruments import InstrumentStore

ADA, BOB = "usr_A", "usr_B"
KEY = IdempotencyKey("scope", "fingerprint")
CARD = Card("crd_1", "visa", "4242", 11, 2026, "Ada", "2026-11-21T09:30:00.000Z")
OTHER = Card("crd_2", "visa", "4242", 12, 2026, "Bob", "2026-11-21T09:30:00.001Z")
BANK_ACCOUNT = BankAccount("bka_1", "hanse-bank", "3000", "Ada", "2026-11-21T09:30:00.000Z")
FIRST, SECOND = Answer(201, '{"id":"1"}', location="/1"), Answer(201, '{"id":"2"}', location="/2")


@pytest.fixture
def store(dynamodb: Any) -> InstrumentStore:
    return InstrumentStore(Table(dynamodb, "remit-accounts"))


def test_a_card_number_is_linked_once_until_it_is_removed(store: InstrumentStore) -> None:
    assert store.add(ADA, CARD, "digest", None, FIRST) == FIRST
    with pytest.raises(Refusal, match="card_already_linked"):
        store.add(BOB, OTHER, "digest", None, SECOND)
    assert store.newest(Card, BOB, None, 10) == []
    assert not store.remove(Card, BOB, CARD.id)
    assert store.remove(Card, ADA, CARD.id)
    assert not store.remove(Card, ADA, CARD.id)
    assert store.add(BOB, OTHER, "digest", None, SECOND) == SECOND
    assert store.newest(Card, ADA, None, 10) == []
    assert store.newest(Card, BOB, None, 10) == [OTHER]


def test_the_same_write_again_is_accepted(store: InstrumentStore) -> None:
    for _ in range(2):
        assert store.add(ADA, CARD, "digest", KEY, FIRST) == FIRST
    assert store.newest(Card, ADA, None, 10) == [CARD]


def test_a_key_returns_its_first_answer(store: InstrumentStore) -> None:
    assert store.answers.find(KEY) is None
    store.add(ADA, CARD, "digest", KEY, FIRST)
    assert store.answers.find(KEY) == FIRST
    assert store.add(ADA, OTHER, "other digest", KEY, SECOND) == FIRST
    assert store.newest(Card, ADA, None, 10) == [CARD]


@pytest.mark.parametrize(
    "use",
    [
        lambda store, key: store.answers.find(key),
        lambda store, key: store.add(ADA, OTHER, "other digest", key, SECOND),
        lambda store, key: store.add(ADA, BANK_ACCOUNT, "digest", key, SECOND),
    ],
)
def test_a_key_with_another_fingerprint_is_refused(
    store: InstrumentStore, use: Callable[[InstrumentStore, IdempotencyKey], object]
) -> None:
    store.add(ADA, CARD, "digest", KEY, FIRST)
    with pytest.raises(Refusal) as refused:
        use(store, IdempotencyKey(KEY.scope, "another"))
    assert refused.value.code == "idempotency_key_reused"
    assert store.newest(BankAccount, ADA, None, 10) == []


def test_lists_are_newest_first_and_begin_after_a_position(store: InstrumentStore) -> None:
    store.add(ADA, CARD, "digest", None, FIRST)
    store.add(ADA, OTHER, "other digest", None, SECOND)
    store.add(ADA, BANK_ACCOUNT, "digest", None, FIRST)
    assert store.newest(Card, ADA, None, 10) == [OTHER, CARD]
    assert store.newest(Card, ADA, None, 1) == [OTHER]
    assert store.newest(Card, ADA, OTHER.id, 10) == [CARD]
    assert store.newest(Card, ADA, CARD.id, 10) == []
    # A position that a client made up is a position in the same list.
    assert store.newest(Card, ADA, "~", 10) == [OTHER, CARD]
    assert store.newest(Card, ADA, "!", 10) == []


def test_bank_accounts(store: InstrumentStore) -> None:
    assert store.add(ADA, BANK_ACCOUNT, "digest", KEY, FIRST) == FIRST
    assert store.add(ADA, BANK_ACCOUNT, "digest", KEY, SECOND) == SECOND
    assert store.newest(BankAccount, ADA, None, 10) == [BANK_ACCOUNT]
    assert not store.remove(BankAccount, BOB, BANK_ACCOUNT.id)
    assert store.remove(BankAccount, ADA, BANK_ACCOUNT.id)
    assert not store.remove(BankAccount, ADA, BANK_ACCOUNT.id)
