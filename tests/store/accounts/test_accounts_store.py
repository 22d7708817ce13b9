from dataclasses import replace
from typing import Any

import pytest
from common.dynamo import Table, Update
from common.errors import Problem
from common.events import SYSTEM, Event
from common.idempotency import Answer, Idempotency

from functions.accounts.domain.accounts import Account, Default
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
    assert store.default_of(ADA, "USD") == Default("acc_1")
    assert store.default_of(ADA, "EUR") == Default()


def test_a_default_that_is_not_true_any_more_opens_nothing(store: AccountTable, table: Table) -> None:
    assert open_(store, account(1), 1, default=False) is None
    assert list(table.scan()) == []
    open_(store, account(1), 1, default=True)
    assert open_(store, account(2), 2, default=True) is None
    assert store.get("acc_2") is None
    assert open_(store, account(2), 2, default=False) == answer(2)
    assert store.default_of(ADA, "USD") == Default("acc_1", opened=1)


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
    assert store.default_of(ADA, "EUR") == Default()


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
    assert store.all_of(ADA) == [account(1), account(2), account(3, "EUR")]


def test_all_accounts_are_read_however_many_they_are(store: AccountTable) -> None:
    for number in range(100, 201):
        open_(store, account(number), number, default=number == 100)
    assert [each.id for each in store.all_of(ADA)] == [f"acc_{number}" for number in range(100, 201)]


def told(account: Account) -> Event:
    return account.told("account.updated", FakeClock()(), SYSTEM)


def test_a_revision_is_read_as_it_was_written_and_holds_for_what_was_read(store: AccountTable) -> None:
    open_(store, account(1), 1, default=True)
    first = replace(account(1), name="Rent", low_balance_alert=5, hot=True, pin_set=True, changes=1)
    assert store.revise(account(1), first, told(first), None)
    assert store.get("acc_1") == first
    assert not store.revise(account(1), first, told(first), None)
    second = replace(first, low_balance_alert=None, hot=False, hot_until="2026-11-21T09:30:00.000Z", changes=2)
    assert store.revise(first, second, told(second), None)
    assert store.get("acc_1") == second


def test_a_credit_limit_comes_with_its_line(store: AccountTable, table: Table) -> None:
    open_(store, account(1), 1, default=True)
    limited = account(1).with_credit_limit(500, "2026-11-21T09:30:00.000Z")
    assert store.revise(account(1), limited, told(limited), None)
    assert store.get("acc_1") == limited
    (line,) = table.query("E#acc_1")
    assert (line["sk"], line["credit_limit"]) == ("2026-11-21T09:30:00.000Z#000000000001", 500)
    less = limited.with_credit_limit(100, "2026-11-21T09:30:00.000Z")
    # Whatever a caller has reckoned: more than is available never goes.
    unfunded = replace(limited, available=0)
    table.update(Update(("A#acc_1", "H"), set={"available": 300}))
    assert not store.revise(limited, less, told(less), None)
    assert not store.revise(unfunded, replace(less, available=-400), told(less), None)
    assert len(list(table.query("E#acc_1"))) == 1


def test_a_default_moves_from_the_one_that_it_was(store: AccountTable) -> None:
    for number in (1, 2):
        open_(store, account(number), number, default=number == 1)
    moved = replace(account(2), changes=1)
    assert not store.revise(account(2), moved, told(moved), Default("acc_3"))
    assert not store.revise(account(2), moved, told(moved), Default())
    assert store.revise(account(2), moved, told(moved), Default("acc_1"))
    assert store.default_of(ADA, "USD") == Default("acc_2", opened=1)


def test_closing_holds_for_what_was_read(store: AccountTable, table: Table) -> None:
    for number in (1, 2):
        open_(store, account(number), number, default=number == 1)
    closed = [replace(account(number), status="closed", changes=1) for number in range(3)]
    event = told(closed[1])
    stale = [
        (Default("acc_1", 0), None),  # one was opened since
        (Default("acc_2", 1), None),
        (Default(), None),
    ]
    for default, heir in stale:
        assert not store.close(account(1), closed[1], event, default, heir)
    assert not store.close(replace(account(1), posted=5), closed[1], event, Default("acc_1", 1), "acc_2")
    assert store.close(account(1), closed[1], event, Default("acc_1", 1), "acc_2")
    assert store.default_of(ADA, "USD") == Default("acc_2", 1)
    assert not store.close(account(2), closed[2], event, Default("acc_2", 1), "acc_1")
    assert not store.close(closed[1], closed[1], event, Default("acc_2", 1), None)
    assert store.close(account(2), closed[2], event, Default("acc_2", 1), None)
    assert store.default_of(ADA, "USD") == Default()
    assert list(table.query("U#usr_A", begins="D#")) == []


def test_whoever_is_barred_opens_nothing(store: AccountTable) -> None:
    assert not store.is_barred(ADA)
    for _ in range(2):
        store.bar(ADA)
    assert store.is_barred(ADA)
    assert open_(store, account(1), 1, default=True) is None
    assert store.unbar(ADA)
    assert store.unbar(ADA)
    assert not store.bar_for_good(ADA)
    store.bar(ADA)
    for _ in range(2):
        assert store.bar_for_good(ADA)
    store.bar(ADA)
    assert not store.unbar(ADA)
    assert store.is_barred(ADA)
    assert open_(store, account(1), 1, default=True) is None


def test_what_waits_in_any_shard_is_seen(store: AccountTable, table: Table) -> None:
    assert not store.has_waiting("acc_1")
    table.put({"pk": "I#acc_1#17", "sk": "trf_1#post"})
    assert store.has_waiting("acc_1")
    assert not store.has_waiting("acc_2")


def test_a_name_is_forgotten_with_what_was_told_of_it(store: AccountTable, table: Table) -> None:
    open_(store, replace(account(1), name="Ada's"), 1, default=True)
    store.rename("acc_1", "USD account")
    assert store.get("acc_1") == account(1)
    assert "Ada's" not in repr(table.get(("A#acc_1", "H")))
