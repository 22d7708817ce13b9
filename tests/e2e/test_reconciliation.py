"""The hourly reconciliation of the ledger finds, reports and counts a single cent that is wrong."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from common.dynamo import Update

from tests.e2e.client import Person, until
from tests.e2e.platform import Platform
from tools.tables import Item, Table, table


@pytest.fixture(scope="module")
def owner(platform: Platform) -> Person:
    """A user with money, on an idle platform."""
    owner = platform.person(funds=5_000)
    until(lambda: owner.balance() == 5_000, what="the deposit is booked")
    platform.settle()
    return owner


@pytest.fixture
def ledger(platform: Platform) -> Table:
    return table(platform.run, "accounts")


def reconcile(platform: Platform) -> dict[str, int]:
    """Run reconciliation and return its counts."""
    counts: dict[str, int] = platform.invoke("accounts-reconcile")
    return counts


def reports(ledger: Table) -> list[Item]:
    return list(ledger.query("R#reconciliation", before="latest"))


@pytest.fixture
def cent(ledger: Table, owner: Person) -> Iterator[str]:
    """Add one cent to the balance of an account, and return its id."""
    account_id = owner.accounts["USD"]
    _add(ledger, account_id, 1)
    try:
        yield account_id
    finally:
        _add(ledger, account_id, -1)


def _add(ledger: Table, account_id: str, cents: int) -> None:
    ledger.update(Update((f"A#{account_id}", "H"), add={"posted": cents}))


def test_a_consistent_ledger_has_no_drifts(platform: Platform, owner: Person, ledger: Table) -> None:
    counts = reconcile(platform)
    assert counts["drifts"] == 0
    assert counts["accounts"] > 0
    assert counts["entries"] > 0
    newest = reports(ledger)[-1]
    assert (newest["drifts"], newest["findings"]) == (0, [])
    assert "outbox" not in newest


def test_a_wrong_cent_is_reported_once_and_counted(platform: Platform, cent: str, ledger: Table) -> None:
    assert reconcile(platform)["drifts"] > 0
    newest = reports(ledger)[-1]
    assert {"USD", cent} <= {finding["id"] for finding in newest["findings"]}
    (event,) = json.loads(newest["outbox"])
    assert event["type"] == "ledger.drifted"
    assert event["data"]["drifts"] == newest["drifts"]
    assert reconcile(platform)["drifts"] > 0
    assert "outbox" not in reports(ledger)[-1]
    assert any(line["LedgerDrifts"] == [newest["drifts"]] for line in metrics(platform))


def test_a_corrected_cent_is_no_longer_reported(platform: Platform, owner: Person) -> None:
    assert reconcile(platform)["drifts"] == 0
    platform.verify()


def metrics(platform: Platform) -> Iterator[Any]:
    """Yield the metrics that the function has logged."""
    for log in platform.run.logs.rglob("*.log"):
        for line in log.read_text(errors="replace").splitlines():
            if '"LedgerDrifts"' in line:
                yield json.loads(line[line.index("{") :])
