from dataclasses import replace
from typing import Any

import pytest
from common.contracts.events import SYSTEM, Event
from common.dynamo import Table, Update
from common.errors import Refusal, Stale
from common.idempotency import Answer, IdempotencyKey

from functions.accounts.domain.accounts import Account, Default, NewAccount
from functions.accounts.store.accounts import AccountStore
from tests.support.clock import FakeClock

ADA = "usr_A"
KEY = IdempotencyKey("scope", ("fingerprint",))


@pytest.fixture
def table(dynamodb: Any) -> Table:
    return Table(dynamodb, "remit-accounts")


@pytest.fixture
def store(table: Table) -> AccountStore:
    return AccountStore(table)


def account(number: int, currency: str = "USD", owner: str = ADA) -> Account:
    return Account.new(f"acc_{number}", owner, NewAccount(currency), "2026-11-21T09:30:00.000Z")


def answer(number: int) -> Answer:
    return Answer(201, f'{{"id":"acc_{number}"}}', location=f"/v1/accounts/acc_{number}")


def open_(
    store: AccountStore,
    new: Account,
    number: int,
    key: IdempotencyKey | None = None,
    *,
    is_default: bool,
    most_openings: int = 200,
) -> Answer:
    event = Event.new("account.opened", new.id, 0, FakeClock()(), {})
    return store.open(new, event, key, answer(number), is_default=is_default, most_openings=most_openings)


def test_an_account_is_read_as_it_was_opened(store: AccountStore) -> None:
    assert store.get("acc_1") is None
    assert open_(store, account(1), 1, is_default=True) == answer(1)
    assert store.get("acc_1") == account(1)
    assert store.default_of(ADA, "USD") == Default("acc_1")
    assert store.default_of(ADA, "EUR") == Default()


def test_a_stale_default_opens_nothing(store: AccountStore, table: Table) -> None:
    with pytest.raises(Stale):
        open_(store, account(1), 1, is_default=False)
    assert list(table.scan()) == []
    open_(store, account(1), 1, is_default=True)
    with pytest.raises(Stale):
        open_(store, account(2), 2, is_default=True)
    assert store.get("acc_2") is None
    assert open_(store, account(2), 2, is_default=False) == answer(2)
    assert store.default_of(ADA, "USD") == Default("acc_1", opened=1)


def test_the_same_write_again_is_accepted(store: AccountStore) -> None:
    for _ in range(2):
        assert open_(store, account(1), 1, KEY, is_default=True) == answer(1)


def test_a_key_opens_one_account(store: AccountStore) -> None:
    open_(store, account(1), 1, KEY, is_default=True)
    assert open_(store, account(2), 2, KEY, is_default=True) == answer(1)
    assert open_(store, account(2, "EUR"), 2, KEY, is_default=True) == answer(1)
    with pytest.raises(Refusal) as refused:
        open_(store, account(2), 2, IdempotencyKey(KEY.scope, ("another",)), is_default=False)
    assert refused.value.code == "idempotency_key_reused"
    assert store.get("acc_2") is None
    assert store.default_of(ADA, "EUR") == Default()


def test_lists(store: AccountStore) -> None:
    open_(store, account(1), 1, is_default=True)
    open_(store, account(2), 2, is_default=False)
    open_(store, account(3, "EUR"), 3, is_default=True)
    open_(store, account(4, owner="usr_B"), 4, is_default=True)
    assert store.ids_of(ADA, None, 10) == ["acc_3", "acc_2", "acc_1"]
    assert store.ids_of(ADA, None, 2) == ["acc_3", "acc_2"]
    assert store.ids_of(ADA, "acc_2", 2) == ["acc_1"]
    assert store.default_ids_of(ADA) == {"acc_1", "acc_3"}
    assert store.many(["acc_2", "acc_3"]) == [account(2), account(3, "EUR")]
    assert store.all_of(ADA) == [account(1), account(2), account(3, "EUR")]


def test_more_accounts_than_a_batch_are_read(store: AccountStore) -> None:
    for number in range(100, 201):
        open_(store, account(number), number, is_default=number == 100)
    assert [each.id for each in store.all_of(ADA)] == [f"acc_{number}" for number in range(100, 201)]


def updated(account: Account) -> Event:
    return account.event("account.updated", FakeClock()(), SYSTEM)


def test_an_update_is_conditional_on_what_was_read(store: AccountStore) -> None:
    open_(store, account(1), 1, is_default=True)
    first = replace(account(1), name="Rent", low_balance_alert=5, hot=True, pin_set=True, changes=1)
    store.update(account(1), first, updated(first), None)
    assert store.get("acc_1") == first
    with pytest.raises(Stale):
        store.update(account(1), first, updated(first), None)
    second = replace(first, low_balance_alert=None, hot=False, hot_until="2026-11-21T09:30:00.000Z", changes=2)
    store.update(first, second, updated(second), None)
    assert store.get("acc_1") == second


def test_a_credit_limit_is_written_with_its_journal_line(store: AccountStore, table: Table) -> None:
    open_(store, account(1), 1, is_default=True)
    limited = account(1).with_credit_limit(500, "2026-11-21T09:30:00.000Z")
    store.update(account(1), limited, updated(limited), None)
    assert store.get("acc_1") == limited
    (line,) = table.query("E#acc_1")
    assert (line["sk"], line["credit_limit"]) == ("2026-11-21T09:30:00.000Z#000000000001", 500)
    less = limited.with_credit_limit(100, "2026-11-21T09:30:00.000Z")
    # `available` never falls below zero, whatever the caller computed.
    unfunded = replace(limited, available=0)
    table.update(Update(("A#acc_1", "H"), set={"available": 300}))
    with pytest.raises(Stale):
        store.update(limited, less, updated(less), None)
    with pytest.raises(Stale):
        store.update(unfunded, replace(less, available=-400), updated(less), None)
    assert len(list(table.query("E#acc_1"))) == 1


def test_a_new_default_is_conditional_on_the_former(store: AccountStore) -> None:
    for number in (1, 2):
        open_(store, account(number), number, is_default=number == 1)
    moved = replace(account(2), changes=1)
    with pytest.raises(Stale):
        store.update(account(2), moved, updated(moved), Default("acc_3"))
    with pytest.raises(Stale):
        store.update(account(2), moved, updated(moved), Default())
    store.update(account(2), moved, updated(moved), Default("acc_1"))
    assert store.default_of(ADA, "USD") == Default("acc_2", opened=1)


def test_closing_is_conditional_on_what_was_read(store: AccountStore, table: Table) -> None:
    for number in (1, 2):
        open_(store, account(number), number, is_default=number == 1)
    closed = [replace(account(number), status="closed", changes=1) for number in range(3)]
    event = updated(closed[1])
    stale = [
        (Default("acc_1", 0), None),  # one was opened since
        (Default("acc_2", 1), None),
        (Default(), None),
    ]
    for default, next_default in stale:
        with pytest.raises(Stale):
            store.close(account(1), closed[1], event, default, next_default)
    with pytest.raises(Stale):
        store.close(replace(account(1), posted=5), closed[1], event, Default("acc_1", 1), "acc_2")
    table.update(Update(("A#acc_1", "H"), add={"incoming": 1}))
    with pytest.raises(Stale):
        store.close(account(1), closed[1], event, Default("acc_1", 1), "acc_2")
    table.update(Update(("A#acc_1", "H"), add={"incoming": -1}))
    store.close(account(1), closed[1], event, Default("acc_1", 1), "acc_2")
    assert store.default_of(ADA, "USD") == Default("acc_2", 1)
    with pytest.raises(Stale):
        store.close(account(2), closed[2], event, Default("acc_2", 1), "acc_1")
    with pytest.raises(Stale):
        store.close(closed[1], closed[1], event, Default("acc_2", 1), None)
    store.close(account(2), closed[2], event, Default("acc_2", 1), None)
    assert store.default_of(ADA, "USD") == Default()
    assert list(table.query("U#usr_A", begins="D#")) == []


def test_a_blocked_owner_opens_nothing(store: AccountStore) -> None:
    for _ in range(2):
        store.block_new_accounts(ADA)
    with pytest.raises(Refusal, match="unauthenticated"):
        open_(store, account(1), 1, is_default=True)
    assert store.allow_new_accounts(ADA)
    assert store.allow_new_accounts(ADA)
    assert not store.mark_deleted(ADA)
    store.block_new_accounts(ADA)
    for _ in range(2):
        assert store.mark_deleted(ADA)
    store.block_new_accounts(ADA)
    assert not store.allow_new_accounts(ADA)
    with pytest.raises(Refusal, match="unauthenticated"):
        open_(store, account(1), 1, is_default=True)


def test_a_pending_credit_in_any_shard_is_found(store: AccountStore, table: Table) -> None:
    assert not store.has_pending_credits("acc_1")
    table.put({"pk": "I#acc_1#17", "sk": "trf_1#post"})
    assert store.has_pending_credits("acc_1")
    assert not store.has_pending_credits("acc_2")


def test_renaming_removes_the_events_with_the_former_name(store: AccountStore, table: Table) -> None:
    open_(store, replace(account(1), name="Ada's"), 1, is_default=True)
    store.rename("acc_1", "USD account")
    assert store.get("acc_1") == account(1)
    assert "Ada's" not in repr(table.get(("A#acc_1", "H")))
