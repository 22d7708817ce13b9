from collections.abc import Callable
from typing import Any

import pytest
from common.dynamo import Table
from common.errors import Problem
from common.idempotency import Answer, Idempotency

from functions.accounts.domain.instruments import BankAccount, Card
from functions.accounts.store.instruments import InstrumentTable

ADA, BOB = "usr_A", "usr_B"
KEY = Idempotency("scope", "fingerprint")
CARD = Card("crd_1", "visa", "4242", 11, 2026, "Ada", "2026-11-21T09:30:00.000Z")
OTHER = Card("crd_2", "visa", "4242", 12, 2026, "Bob", "2026-11-21T09:30:00.001Z")
BANK_ACCOUNT = BankAccount("bka_1", "hanse-bank", "3000", "Ada", "2026-11-21T09:30:00.000Z")
FIRST, SECOND = Answer(201, '{"id":"1"}', location="/1"), Answer(201, '{"id":"2"}', location="/2")


@pytest.fixture
def store(dynamodb: Any) -> InstrumentTable:
    return InstrumentTable(Table(dynamodb, "remit-accounts"))


def test_a_fingerprint_is_linked_once_until_it_is_removed(store: InstrumentTable) -> None:
    assert store.add_card(ADA, CARD, "digest", None, FIRST) == FIRST
    assert store.add_card(BOB, OTHER, "digest", None, SECOND) is None
    assert store.cards(BOB, None, 10) == []
    assert not store.remove_card(BOB, CARD.id)
    assert store.remove_card(ADA, CARD.id)
    assert not store.remove_card(ADA, CARD.id)
    assert store.add_card(BOB, OTHER, "digest", None, SECOND) == SECOND
    assert store.cards(ADA, None, 10) == []
    assert store.cards(BOB, None, 10) == [OTHER]


def test_the_same_write_again_stands(store: InstrumentTable) -> None:
    for _ in range(2):
        assert store.add_card(ADA, CARD, "digest", KEY, FIRST) == FIRST
    assert store.cards(ADA, None, 10) == [CARD]


def test_a_key_gives_its_first_answer(store: InstrumentTable) -> None:
    assert store.answer_of(KEY) is None
    store.add_card(ADA, CARD, "digest", KEY, FIRST)
    assert store.answer_of(KEY) == FIRST
    assert store.add_card(ADA, OTHER, "other digest", KEY, SECOND) == FIRST
    assert store.cards(ADA, None, 10) == [CARD]


@pytest.mark.parametrize(
    "use",
    [
        lambda store, key: store.answer_of(key),
        lambda store, key: store.add_card(ADA, OTHER, "other digest", key, SECOND),
        lambda store, key: store.add_bank_account(ADA, BANK_ACCOUNT, "digest", key, SECOND),
    ],
)
def test_a_key_with_another_fingerprint_is_refused(
    store: InstrumentTable, use: Callable[[InstrumentTable, Idempotency], object]
) -> None:
    store.add_card(ADA, CARD, "digest", KEY, FIRST)
    with pytest.raises(Problem) as refused:
        use(store, Idempotency(KEY.scope, "another"))
    assert refused.value.code == "idempotency_key_reused"
    assert store.bank_accounts(ADA, None, 10) == []


def test_lists_are_newest_first_and_begin_after_a_position(store: InstrumentTable) -> None:
    store.add_card(ADA, CARD, "digest", None, FIRST)
    store.add_card(ADA, OTHER, "other digest", None, SECOND)
    store.add_bank_account(ADA, BANK_ACCOUNT, "digest", None, FIRST)
    assert store.cards(ADA, None, 10) == [OTHER, CARD]
    assert store.cards(ADA, None, 1) == [OTHER]
    assert store.cards(ADA, OTHER.id, 10) == [CARD]
    assert store.cards(ADA, CARD.id, 10) == []
    # A position that a client made up is one in the same list.
    assert store.cards(ADA, "~", 10) == [OTHER, CARD]
    assert store.cards(ADA, "!", 10) == []


def test_bank_accounts(store: InstrumentTable) -> None:
    assert store.add_bank_account(ADA, BANK_ACCOUNT, "digest", KEY, FIRST) == FIRST
    assert store.add_bank_account(ADA, BANK_ACCOUNT, "digest", KEY, SECOND) == SECOND
    assert store.bank_accounts(ADA, None, 10) == [BANK_ACCOUNT]
    assert not store.remove_bank_account(BOB, BANK_ACCOUNT.id)
    assert store.remove_bank_account(ADA, BANK_ACCOUNT.id)
    assert not store.remove_bank_account(ADA, BANK_ACCOUNT.id)
