from typing import Any

import pytest
from common.dynamo import Table
from common.errors import Problem
from common.events import Event
from common.idempotency import Answer, Idempotency

from functions.accounts.domain.accounts import Account
from functions.accounts.store.accounts import AccountTable
from tests.support.clock import FakeClock

ADA = "usr_A"
KEY = Idempotency("scope", "fingerprint")


@pytest.fixture
def table(dynamodb: Any) -> Table:
    return Table(dynamodb, "remit-accounts")


@pytest.fixture
def store(table: Table) -> AccountTable:
    return AccountTable(table)


def account(number: int, currency: str = "USD", owner: str = ADA) -> Account:
    return Account.new(f"acc_{number}", owner, currency, "debit", None, "2026-11-21T09:30:00.000Z")


def answer(number: int) -> Answer:
    return Answer(201, f'{{"id":"acc_{number}"}}', location=f"/v1/accounts/acc_{number}")


def open_(store: AccountTable, new: Account, number: int, key: Idempotency | None = None, *, default: bool) -> Any:
    event = Event.new("account.opened", new.id, 0, FakeClock()(), {})
    return store.open(new, event, key, answer(number), default=default)


def test_an_account_is_read_as_it_was_opened(store: AccountTable) -> None:
    assert store.get("acc_1") is None
    assert open_(store, account(1), 1, default=True) == answer(1)
    assert store.get("acc_1") == account(1)
    assert store.default_of(ADA, "USD") == "acc_1"
    assert store.default_of(ADA, "EUR") is None


def test_a_default_that_is_not_true_any_more_opens_nothing(store: AccountTable, table: Table) -> None:
    assert open_(store, account(1), 1, default=False) is None
    assert list(table.scan()) == []
    open_(store, account(1), 1, default=True)
    assert open_(store, account(2), 2, default=True) is None
    assert store.get("acc_2") is None
    assert open_(store, account(2), 2, default=False) == answer(2)
    assert store.default_of(ADA, "USD") == "acc_1"


def test_the_same_opening_again_stands(store: AccountTable) -> None:
    for _ in range(2):
        assert open_(store, account(1), 1, KEY, default=True) == answer(1)


def test_a_key_opens_once(store: AccountTable) -> None:
    open_(store, account(1), 1, KEY, default=True)
    assert open_(store, account(2), 2, KEY, default=True) == answer(1)
    assert open_(store, account(2, "EUR"), 2, KEY, default=True) == answer(1)
    with pytest.raises(Problem) as refused:
        open_(store, account(2), 2, Idempotency(KEY.scope, "another"), default=False)
    assert refused.value.code == "idempotency_key_reused"
    assert store.get("acc_2") is None
    assert store.default_of(ADA, "EUR") is None


def test_lists(store: AccountTable) -> None:
    open_(store, account(1), 1, default=True)
    open_(store, account(2), 2, default=False)
    open_(store, account(3, "EUR"), 3, default=True)
    open_(store, account(4, owner="usr_B"), 4, default=True)
    assert store.ids_of(ADA, None, 10) == ["acc_3", "acc_2", "acc_1"]
    assert store.ids_of(ADA, None, 2) == ["acc_3", "acc_2"]
    assert store.ids_of(ADA, "acc_2", 2) == ["acc_1"]
    assert store.defaults_of(ADA) == {"acc_1", "acc_3"}
    assert store.many(["acc_2", "acc_3"]) == [account(2), account(3, "EUR")]
