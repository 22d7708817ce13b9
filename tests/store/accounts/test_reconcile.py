"""The hourly function: its metrics and its report."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from common import aws
from common.dynamo import Table, Update
from common.observability import logger, metrics

from functions.accounts import bootstrap
from functions.accounts.domain.reconciliation.findings import Drift, Report
from functions.accounts.events import reconcile
from functions.accounts.store.reconciliation import ReconciliationStore
from tests.support.rest import CONTEXT
from tests.unit.accounts.ledger.world import ALICE, World, trf

HEAD = (f"A#{ALICE}", "H")


@pytest.fixture
def table(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """Return the table of a ledger with some money. Nothing waits."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    bootstrap.reconciliation.cache_clear()
    metrics().clear_metrics()
    table = Table(dynamodb, "remit-accounts")
    world = World(table)
    for head in [item for item in table.scan() if item["pk"].startswith("A#")]:
        owned = {"pk": f"U#{head['owner_id']}"}
        table.put({**owned, "sk": f"A#{head['account_id']}"})
        table.put({**owned, "sk": f"D#{head['currency']}", "account_id": head["account_id"]})
    world.fund(ALICE, 500)
    yield table
    bootstrap.reconciliation.cache_clear()
    aws.client.cache_clear()


def emitted(printed: str) -> dict[str, list[float]]:
    lines = [json.loads(line) for line in printed.splitlines() if "_aws" in line]
    names = ("LedgerDrifts", "LedgerAccounts", "LedgerEntries")
    return {name: line[name] for line in lines for name in names}


def test_a_correct_ledger_is_counted(table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    assert reconcile.handler({}, CONTEXT) == {"drifts": 0, "accounts": 5, "entries": 1}
    assert emitted(capsys.readouterr().out) == {"LedgerDrifts": [0], "LedgerAccounts": [5], "LedgerEntries": [1]}
    (report,) = table.query("R#reconciliation", before="latest")
    assert report["drifts"] == 0


def test_one_wrong_cent_is_found_published_and_counted(table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    table.update(Update(HEAD, add={"posted": 1}))
    assert reconcile.handler({}, CONTEXT) == {"drifts": 3, "accounts": 5, "entries": 1}
    assert emitted(capsys.readouterr().out)["LedgerDrifts"] == [3]
    (report,) = table.query("R#reconciliation", before="latest")
    assert {finding["id"] for finding in report["findings"]} == {ALICE, "USD"}
    (event,) = json.loads(report["outbox"])
    assert event["type"] == "ledger.drifted"
    table.update(Update(HEAD, add={"posted": -1}))
    assert reconcile.handler({}, CONTEXT)["drifts"] == 0


def test_money_that_is_expected_for_long_is_logged(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[tuple[str, Any]] = []
    monkeypatch.setattr(logger(), "warning", lambda message, extra: logged.append((message, extra)))
    expectation = {"transfer_id": trf(1), "step": "expect", "outcome": "expected", "account_id": ALICE}
    table.put({"pk": f"S#{trf(1)}", "sk": "expect", **expectation, "at": "2020-01-01T00:00:00.000Z"})
    table.update(Update(HEAD, add={"incoming": 1}))
    assert reconcile.handler({}, CONTEXT)["drifts"] == 0
    what = f"expects money of {trf(1)} since 2020-01-01T00:00:00.000Z"
    assert logged == [("expectation overdue", {"subject": ALICE, "what": what})]


def test_an_account_is_its_head_then_its_journal(table: Table) -> None:
    kinds = [item["pk"][0] for item in ReconciliationStore(table).account(ALICE)]
    assert kinds == ["A", "E"]
    table.delete(HEAD)
    assert [item["pk"][0] for item in ReconciliationStore(table).account(ALICE)] == ["E"]
    assert list(ReconciliationStore(table).account("acc_GHOST")) == []


def test_a_report_stores_a_limited_number_of_drifts(table: Table) -> None:
    store = ReconciliationStore(table)
    drifts = tuple(Drift(2, "Balances follow the journal", f"acc_{number:026}", "x" * 150) for number in range(3000))
    assert store.add_report(Report(1, "2026-11-21T09:30:00.000Z", 1, 1, 0, drifts), None)
    assert store.last_report() == (1, Report(1, "", 0, 0, 0, drifts).digest)
    (report,) = table.query("R#reconciliation", before="latest")
    assert (report["drifts"], len(report["findings"])) == (3000, 500)


def test_the_first_of_two_reports_with_one_number_is_stored(table: Table) -> None:
    store = ReconciliationStore(table)
    first, second = (Report(1, f"2026-11-21T09:3{minute}:00.000Z", 5, 1, 0, ()) for minute in (0, 1))
    assert store.add_report(first, None)
    assert not store.add_report(second, None)
    assert [item["sk"] for item in table.query("R#reconciliation")] == [first.at, "latest"]
    assert store.add_report(Report(2, second.at, 5, 1, 0, ()), None)
