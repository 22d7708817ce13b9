from dataclasses import replace
from typing import Any

import pytest
from common.dynamo import Put, Table
from common.errors import Problem
from common.events import SYSTEM, Event
from common.idempotency import Answer, Idempotency

from functions.accounts.domain.accounts import Account
from functions.accounts.domain.pins import Pin
from functions.accounts.store.accounts import AccountTable
from functions.accounts.store.pins import PinTable
from tests.support.clock import FakeClock

KEY = Idempotency("scope", "fingerprint")
ACCOUNT = Account.new("acc_1", "usr_A", "USD", "debit", None, "2026-11-21T09:30:00.000Z")
SECURED = replace(ACCOUNT, pin_set=True, changes=1)
FIRST, SECOND = Pin("first"), Pin("second", version=2)


def told(account: Account) -> Event:
    return account.told("account.updated", FakeClock()(), SYSTEM)


@pytest.fixture
def table(dynamodb: Any) -> Table:
    table = Table(dynamodb, "remit-accounts")
    AccountTable(table).open(ACCOUNT, told(ACCOUNT), None, Answer(201, ""), default=True)
    return table


@pytest.fixture
def store(table: Table) -> PinTable:
    store = PinTable(table)
    assert store.set(ACCOUNT, SECURED, None, FIRST, told(SECURED), None)
    return store


def test_a_pin_is_read_as_it_was_set(store: PinTable) -> None:
    assert store.get("acc_1") == (SECURED, FIRST)
    assert store.get("acc_2") == (None, None)


def test_setting_holds_for_what_was_read(store: PinTable) -> None:
    changed = replace(SECURED, changes=2)
    for account, pin in ((SECURED, None), (SECURED, SECOND), (SECURED, FIRST.missed()), (ACCOUNT, FIRST)):
        assert not store.set(account, changed, pin, SECOND, told(changed), KEY)
    assert store.get("acc_1") == (SECURED, FIRST)
    assert not store.is_done(KEY)
    assert store.set(SECURED, changed, FIRST, SECOND, told(changed), KEY)
    assert store.get("acc_1") == (changed, SECOND)
    assert store.is_done(KEY)
    assert not store.set(changed, replace(changed, changes=3), SECOND, FIRST, told(changed), KEY)


def test_tries_are_counted_and_forgotten(store: PinTable) -> None:
    account, pin = SECURED, FIRST
    for number in range(1, 6):
        revised = replace(account, changes=account.changes + 1)
        assert not store.missed(account, revised, SECOND, [told(revised)])
        assert not store.missed(ACCOUNT, revised, pin, [told(revised)])
        assert store.missed(account, revised, pin, [told(revised)])
        assert not store.missed(account, revised, pin, [told(revised)])
        account, pin = revised, pin.missed()
        assert store.get("acc_1") == (account, pin)
        if number == 4:
            assert not store.passed("acc_1", SECOND)
            assert store.passed("acc_1", FIRST)
            assert store.get("acc_1") == (account, FIRST)
            store._table.put({"pk": "A#acc_1", "sk": "P", "digest": "first", "tries": 4, "version": 1})
    assert pin.is_locked
    assert not store.passed("acc_1", pin)
    assert not store.passed("acc_2", pin)


def test_a_closed_account_counts_nothing(store: PinTable, table: Table) -> None:
    head = table.get(("A#acc_1", "H"))
    assert head is not None
    table.transact([Put({**head, "status": "closed"})])
    revised = replace(SECURED, changes=2)
    assert not store.missed(SECURED, revised, FIRST, [told(revised)])


def test_a_key_is_done_once(store: PinTable) -> None:
    assert not store.is_done(None)
    for _ in range(2):
        store.done(KEY)
    assert store.is_done(KEY)
    with pytest.raises(Problem, match="idempotency_key_reused"):
        store.is_done(Idempotency("scope", "another"))
