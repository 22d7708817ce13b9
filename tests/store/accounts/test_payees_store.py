from dataclasses import replace
from typing import Any

import pytest
from common.dynamo import Table

from functions.accounts.domain.accounts import Account
from functions.accounts.domain.facts import Facts
from functions.accounts.domain.payees import Payee
from functions.accounts.store.authorization import FactTable
from functions.accounts.store.payees import PayeeTable

ADA = Payee("usr_A", 2, "active", "Ada", "Lovelace", "ada@example.org", None, "2026-11-21T09:30:00.000Z")
MOVED = replace(ADA, sequence=3, email=None)


@pytest.fixture
def table(dynamodb: Any) -> Table:
    return Table(dynamodb, "remit-accounts")


@pytest.fixture
def store(table: Table) -> PayeeTable:
    return PayeeTable(table)


def test_entries_are_written_read_and_removed(store: PayeeTable) -> None:
    entries = {"usr_A": ADA, "ada@example.org": ADA}
    assert store.listed(entries) == {}
    assert store.revise("usr_A", {}, entries)
    assert store.listed([*entries, "nobody@example.org"]) == entries
    assert store.revise("usr_A", entries, {"usr_A": MOVED, "ada@example.org": None})
    assert store.listed(entries) == {"usr_A": MOVED}


@pytest.mark.parametrize(
    ("listed", "changes"),
    [
        ({}, {"usr_A": MOVED}),
        ({"usr_A": replace(ADA, sequence=1)}, {"usr_A": MOVED}),
        ({"usr_A": ADA, "ada@example.org": replace(ADA, user_id="usr_B")}, {"usr_A": MOVED, "ada@example.org": None}),
        ({"usr_A": ADA}, {"ada@example.org": ADA}),
        ({"usr_A": replace(ADA, sequence=1)}, {"+4915112345678": ADA}),
    ],
)
def test_what_rests_on_a_stale_read_is_not_written(
    store: PayeeTable, table: Table, listed: dict[str, Payee], changes: dict[str, Payee | None]
) -> None:
    store.revise("usr_A", {}, {"usr_A": ADA, "ada@example.org": ADA})
    before = list(table.scan())
    assert not store.revise("usr_A", listed, changes)
    assert list(table.scan()) == before


def test_facts_are_what_there_is_of_what_was_asked_for(store: PayeeTable, table: Table) -> None:
    account = Account.new("acc_1", "usr_A", "USD", "debit", None, "2026-11-21T09:30:00.000Z")
    store.revise("usr_A", {}, {"usr_A": ADA})
    head = {name: getattr(account, name) for name in account.__slots__}
    table.put({"pk": "A#acc_1", "sk": "H", **head, "account_id": "acc_1"})
    table.put({"pk": "U#usr_A", "sk": "D#USD", "account_id": "acc_1"})
    found = FactTable(table).look_up(
        accounts=["acc_1", "acc_2"],
        defaults=[("usr_A", "USD"), ("usr_A", "EUR")],
        payees=["usr_A", "ada@example.org"],
        cards=[("usr_A", "crd_1")],
        bank_accounts=[("usr_A", "bka_1")],
    )
    assert found == Facts(accounts={"acc_1": account}, defaults={("usr_A", "USD"): "acc_1"}, payees={"usr_A": ADA})
    assert FactTable(table).look_up() == Facts()
