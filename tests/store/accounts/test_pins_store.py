from dataclasses import replace
from typing import Any

import pytest
from common.contracts.events import SYSTEM, Event
from common.dynamo import Put, Table, Update
from common.errors import Refusal, Stale
from common.idempotency import Answer, IdempotencyKey

from functions.accounts.domain.accounts import Account, NewAccount
from functions.accounts.domain.pins import Pin
from functions.accounts.store.accounts import AccountStore
from functions.accounts.store.pins import PinStore
from tests.support.clock import FakeClock

KEY = IdempotencyKey("scope", ("fingerprint",))
ACCOUNT = Account.new("acc_1", "usr_A", NewAccount("USD"), "2026-11-21T09:30:00.000Z")
WITH_PIN = replace(ACCOUNT, pin_set=True, changes=1)
TODAY = "2026-11-21"
FIRST, SECOND = Pin("first"), Pin("second", version=2)


def updated(account: Account) -> Event:
    return account.event("account.updated", FakeClock()(), SYSTEM)


@pytest.fixture
def table(dynamodb: Any) -> Table:
    table = Table(dynamodb, "remit-accounts")
    AccountStore(table).open(ACCOUNT, updated(ACCOUNT), None, Answer(201, ""), is_default=True, most_openings=20)
    return table


@pytest.fixture
def store(table: Table) -> PinStore:
    store = PinStore(table)
    store.set(ACCOUNT, WITH_PIN, None, FIRST, updated(WITH_PIN), None)
    return store


def test_a_pin_is_read_as_it_was_set(store: PinStore) -> None:
    assert store.get("acc_1") == (WITH_PIN, FIRST)
    assert store.get("acc_2") == (None, None)


def test_setting_is_conditional_on_what_was_read(store: PinStore) -> None:
    changed = replace(WITH_PIN, changes=2)
    for account, pin in ((WITH_PIN, None), (WITH_PIN, SECOND), (WITH_PIN, FIRST.failed(TODAY)), (ACCOUNT, FIRST)):
        with pytest.raises(Stale):
            store.set(account, changed, pin, SECOND, updated(changed), KEY)
    assert store.get("acc_1") == (WITH_PIN, FIRST)
    assert not store.answers.is_done(KEY)
    store.set(WITH_PIN, changed, FIRST, SECOND, updated(changed), KEY)
    assert store.get("acc_1") == (changed, SECOND)
    assert store.answers.is_done(KEY)
    with pytest.raises(Stale):
        store.set(changed, replace(changed, changes=3), SECOND, FIRST, updated(changed), KEY)


def test_tries_are_counted_and_reset(store: PinStore) -> None:
    account, pin = WITH_PIN, FIRST
    for number in range(1, 6):
        changed = replace(account, changes=account.changes + 1)
        with pytest.raises(Stale):
            store.count_try(account, changed, SECOND, SECOND.failed(TODAY), [updated(changed)])
        with pytest.raises(Stale):
            store.count_try(ACCOUNT, changed, pin, pin.failed(TODAY), [updated(changed)])
        store.count_try(account, changed, pin, pin.failed(TODAY), [updated(changed)])
        with pytest.raises(Stale):
            store.count_try(account, changed, pin, pin.failed(TODAY), [updated(changed)])
        account, pin = changed, pin.failed(TODAY)
        assert store.get("acc_1") == (account, pin)
        if number == 4:
            with pytest.raises(Stale):
                store.reset_tries("acc_1", SECOND)
            with pytest.raises(Stale):
                store.reset_tries("acc_1", replace(pin, day_tries=3))
            store.reset_tries("acc_1", pin)
            assert store.get("acc_1") == (account, replace(pin, tries=0))
            store._table.update(Update(("A#acc_1", "P"), set={"tries": 4}))
    assert pin.is_locked(TODAY)
    with pytest.raises(Stale):
        store.reset_tries("acc_1", pin)
    with pytest.raises(Stale):
        store.reset_tries("acc_2", pin)


def test_a_closed_account_counts_nothing(store: PinStore, table: Table) -> None:
    head = table.get(("A#acc_1", "H"))
    assert head is not None
    table.transact([Put({**head, "status": "closed"})])
    changed = replace(WITH_PIN, changes=2)
    with pytest.raises(Stale):
        store.count_try(WITH_PIN, changed, FIRST, FIRST.failed(TODAY), [updated(changed)])


def test_a_key_is_marked_done_once(store: PinStore) -> None:
    assert not store.answers.is_done(None)
    for _ in range(2):
        store.answers.mark_done(KEY)
    assert store.answers.is_done(KEY)
    with pytest.raises(Refusal, match="idempotency_key_reused"):
        store.answers.is_done(IdempotencyKey("scope", ("another",)))


def test_a_pin_from_before_tries_were_counted_by_day(store: PinStore) -> None:
    store._table.put({"pk": "A#acc_1", "sk": "P", "digest": "first", "tries": 1, "version": 1})
    old = Pin("first", tries=1)
    assert store.get("acc_1") == (WITH_PIN, old)
    store.reset_tries("acc_1", old)
    changed = replace(WITH_PIN, changes=2)
    store.count_try(WITH_PIN, changed, replace(old, tries=0), FIRST.failed(TODAY), [updated(changed)])
    assert store.get("acc_1") == (changed, FIRST.failed(TODAY))
