"""The hourly reconciliation of the deployed ledger: one cent that is out of place is found, told and counted."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from common.dynamo import Update

from localstack.tables import Item, Table, table
from tests.e2e.client import Person, until
from tests.e2e.world import World


@pytest.fixture(scope="module")
def owner(world: World) -> Person:
    """Somebody with money, on a platform at rest."""
    owner = world.person(funds=5_000)
    until(lambda: owner.balance() == 5_000, what="the money is there")
    world.settle()
    return owner


@pytest.fixture
def ledger(world: World) -> Table:
    return table(world.run, "accounts")


def reconcile(world: World) -> dict[str, int]:
    """Runs it, and answers its counts."""
    counts: dict[str, int] = world.invoke("accounts-reconcile")
    return counts


def reports(ledger: Table) -> list[Item]:
    return list(ledger.query("R#reconciliation", before="latest"))


@pytest.fixture
def cent(ledger: Table, owner: Person) -> Iterator[str]:
    """One cent too much on an account's head; its id."""
    account_id = owner.accounts["USD"]
    _add(ledger, account_id, 1)
    try:
        yield account_id
    finally:
        _add(ledger, account_id, -1)


def _add(ledger: Table, account_id: str, cents: int) -> None:
    ledger.update(Update((f"A#{account_id}", "H"), add={"posted": cents}))


def test_the_ledger_agrees_with_itself(world: World, owner: Person, ledger: Table) -> None:
    counts = reconcile(world)
    assert counts["drifts"] == 0
    assert counts["accounts"] > 0
    assert counts["entries"] > 0
    newest = reports(ledger)[-1]
    assert (newest["drifts"], newest["findings"]) == (0, [])
    assert "outbox" not in newest


def test_one_cent_is_found_told_once_and_counted(world: World, cent: str, ledger: Table) -> None:
    assert reconcile(world)["drifts"] > 0
    newest = reports(ledger)[-1]
    assert {"USD", cent} <= {finding["id"] for finding in newest["findings"]}
    (event,) = json.loads(newest["outbox"])
    assert event["type"] == "ledger.drifted"
    assert event["data"]["drifts"] == newest["drifts"]
    assert reconcile(world)["drifts"] > 0
    assert "outbox" not in reports(ledger)[-1]
    assert any(line["LedgerDrifts"] == [newest["drifts"]] for line in metrics(world))


def test_a_cent_that_is_put_right_is_forgotten(world: World, owner: Person) -> None:
    assert reconcile(world)["drifts"] == 0
    world.verify()


def metrics(world: World) -> Iterator[Any]:
    """The metrics that the function has written to its log."""
    for log in world.run.logs.rglob("*.log"):
        for line in log.read_text(errors="replace").splitlines():
            if '"LedgerDrifts"' in line:
                yield json.loads(line[line.index("{") :])
