from dataclasses import replace
from typing import Any

import pytest
from common.dynamo import Table
from common.errors import Stale

from functions.accounts.domain.accounts import Account, NewAccount
from functions.accounts.domain.approvals import ApprovalData
from functions.accounts.domain.payees import Payee
from functions.accounts.store.approvals import ApprovalStore
from functions.accounts.store.payees import PayeeStore

ADA = Payee("usr_A", 2, "active", "Ada", "Lovelace", "ada@example.org", None, "2026-11-21T09:30:00.000Z")
MOVED = replace(ADA, sequence=3, email=None)


@pytest.fixture
def table(dynamodb: Any) -> Table:
    return Table(dynamodb, "remit-accounts")


@pytest.fixture
def store(table: Table) -> PayeeStore:
    return PayeeStore(table)


def test_entries_are_written_read_and_deleted(store: PayeeStore) -> None:
    entries = {"usr_A": ADA, "ada@example.org": ADA}
    assert store.find(entries) == {}
    store.update("usr_A", {}, entries)
    assert store.find([*entries, "nobody@example.org"]) == entries
    store.update("usr_A", entries, {"usr_A": MOVED, "ada@example.org": None})
    assert store.find(entries) == {"usr_A": MOVED}


@pytest.mark.parametrize(
    ("read", "changes"),
    [
        ({}, {"usr_A": MOVED}),
        ({"usr_A": replace(ADA, sequence=1)}, {"usr_A": MOVED}),
        ({"usr_A": ADA, "ada@example.org": replace(ADA, user_id="usr_B")}, {"usr_A": MOVED, "ada@example.org": None}),
        ({"usr_A": ADA}, {"ada@example.org": ADA}),
        ({"usr_A": replace(ADA, sequence=1)}, {"+4915112345678": ADA}),
    ],
)
def test_a_stale_update_is_not_written(
    store: PayeeStore, table: Table, read: dict[str, Payee], changes: dict[str, Payee | None]
) -> None:
    store.update("usr_A", {}, {"usr_A": ADA, "ada@example.org": ADA})
    before = list(table.scan())
    with pytest.raises(Stale):
        store.update("usr_A", read, changes)
    assert list(table.scan()) == before


def test_approval_data_holds_what_exists(store: PayeeStore, table: Table) -> None:
    account = Account.new("acc_1", "usr_A", NewAccount("USD"), "2026-11-21T09:30:00.000Z")
    store.update("usr_A", {}, {"usr_A": ADA})
    head = {name: getattr(account, name) for name in account.__slots__ if name != "id"}
    table.put({"pk": "A#acc_1", "sk": "H", **head, "account_id": "acc_1"})
    table.put({"pk": "U#usr_A", "sk": "D#USD", "account_id": "acc_1"})
    found = ApprovalStore(table).read(
        accounts=["acc_1", "acc_2"],
        defaults=[("usr_A", "USD"), ("usr_A", "EUR")],
        payees=["usr_A", "ada@example.org"],
        cards=[("usr_A", "crd_1")],
        bank_accounts=[("usr_A", "bka_1")],
    )
    assert found == ApprovalData(
        accounts={"acc_1": account}, defaults={("usr_A", "USD"): "acc_1"}, payees={"usr_A": ADA}
    )
    assert ApprovalStore(table).read() == ApprovalData()
