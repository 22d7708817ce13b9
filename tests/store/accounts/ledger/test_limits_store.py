"""Limits, alerts and lapses as items, conditions and an index: the same over moto and over the table in memory."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import boto3
import pytest
from common.clock import timestamp
from common.dynamo import Table
from common.events import SYSTEM
from common.tasks import HoldOutcome, Post, Release, Reserve, Settle
from moto import mock_aws

from functions.accounts.domain.accounts import Account
from functions.accounts.domain.ledger import plan_post
from functions.accounts.domain.limits import Allowance, Spending
from functions.accounts.store.ledger import LedgerStore
from functions.accounts.store.limits import LimitTable
from tests.support.memory_table import MemoryTable
from tests.support.tables import create_table
from tests.unit.accounts.ledger.bench import ALICE, BOB, STRANGER, Bench, bench_time, trf
from tests.unit.accounts.ledger.books import Books

NOW = "2026-11-21T09:30:00.000Z"


@pytest.fixture(params=["memory", "moto"])
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    if request.param == "memory":
        yield MemoryTable()
        return
    with mock_aws():
        client = boto3.client("dynamodb")
        yield Table(client, create_table(client, "accounts"))


@pytest.fixture
def bench(table: Table) -> Iterator[Bench]:
    bench = Bench(table)
    bench.fund(ALICE, 500)
    yield bench
    Books.of(table.scan()).check()


@pytest.fixture
def store(table: Table) -> LedgerStore:
    return LedgerStore(table)


def pay(number: int, amount: int) -> Post:
    return Post(trf(number), ALICE, BOB, amount, "USD", "lunch")


def told(item: object) -> list[str]:
    assert isinstance(item, dict)
    return [event["type"] for event in json.loads(item["outbox"])]


def test_a_debit_counts_on_the_head_and_a_credit_does_not(bench: Bench) -> None:
    bench.set_limits(ALICE, 200)
    assert bench.ledger.post(pay(1, 120)).outcome == "posted"
    head = bench.head(ALICE)
    assert {name: head[name] for name in ("daily_limit", "day", "day_spent", "week", "week_spent", "changes")} == {
        "daily_limit": 200,
        "day": "2026-11-21",
        "day_spent": 120,
        "week": "2026-W47",
        "week_spent": 120,
        "changes": 1,
    }
    assert "weekly_limit" not in head
    assert "outbox" not in head
    assert "day" not in bench.head(BOB)


def test_the_first_decline_carries_its_event_and_marks_the_head(bench: Bench, table: Table) -> None:
    bench.set_limits(ALICE, 100, 110)
    for number in (1, 2):
        assert bench.ledger.post(pay(number, 111)).code == "limit_exceeded"
    assert bench.ledger.reserve(Reserve(trf(3), ALICE, 111, "USD")).code == "limit_exceeded"
    head = bench.head(ALICE)
    assert (head["day_told"], head["week_told"], head["changes"]) == ("2026-11-21", "2026-W47", 3)
    assert told(table.get((f"S#{trf(1)}", "post"))) == ["limit.exceeded", "limit.exceeded"]
    for key in ((f"S#{trf(2)}", "post"), (f"S#{trf(3)}", "hold")):
        assert "outbox" not in (table.get(key) or {"outbox": ""})
    assert bench.ledger.post(pay(1, 111)).code == "limit_exceeded"


def test_a_declined_hold_carries_its_event(bench: Bench, table: Table) -> None:
    bench.set_limits(ALICE, 100)
    declined = bench.ledger.reserve(Reserve(trf(1), ALICE, 111, "USD", "", timestamp(bench.clock())))
    assert told(table.get((f"S#{trf(1)}", "hold"))) == ["limit.exceeded"]
    assert bench.ledger.release(Release(trf(1))) == declined


def test_a_low_balance_is_told_by_marker_or_hold(bench: Bench, table: Table) -> None:
    bench.set_alert(ALICE, 450)
    assert bench.ledger.post(pay(1, 51)).outcome == "posted"
    assert told(table.get((f"S#{trf(1)}", "post"))) == ["balance.low"]
    assert bench.ledger.post(pay(1, 51)).outcome == "posted"
    bench.set_alert(ALICE, 440)
    assert bench.ledger.reserve(Reserve(trf(2), ALICE, 10, "USD")).outcome == "held"
    assert told(table.get((f"S#{trf(2)}", "hold"))) == ["balance.low"]
    assert bench.ledger.settle(Settle(trf(2), BOB)).outcome == "settled"
    assert "outbox" not in (table.get((f"S#{trf(2)}", "hold")) or {"outbox": ""})


@pytest.mark.parametrize(("daily", "weekly"), [(119, None), (None, 119)])
def test_a_limit_set_since_refuses_the_posting(
    bench: Bench, store: LedgerStore, daily: int | None, weekly: int | None
) -> None:
    _, heads = store.posting(trf(1), "post", [ALICE, BOB])
    planned = plan_post(pay(1, 120), heads, NOW)
    bench.set_limits(ALICE, daily, weekly)
    assert store.record(planned) is None
    bench.set_limits(ALICE, 120, 120)
    assert store.record(planned) is not None


def test_an_alert_set_since_refuses_the_posting(bench: Bench, store: LedgerStore) -> None:
    _, heads = store.posting(trf(1), "post", [ALICE, BOB])
    bench.set_alert(ALICE, 10)
    assert store.record(plan_post(pay(1, 120), heads, NOW)) is None
    _, heads = store.posting(trf(1), "post", [ALICE, BOB])
    bench.set_alert(ALICE, None)
    assert store.record(plan_post(pay(1, 120), heads, NOW)) is None


def test_a_notice_refuses_with_the_account_it_was_made_for(bench: Bench, store: LedgerStore, table: Table) -> None:
    bench.set_limits(ALICE, 100)
    _, heads = store.posting(trf(1), "post", [ALICE, BOB])
    planned = plan_post(pay(1, 120), heads, NOW)
    bench.set_limits(ALICE, 110)
    assert store.record(planned) is None
    assert table.get((f"S#{trf(1)}", "post")) is None


def test_limits_are_written_once_for_what_was_read(bench: Bench, table: Table) -> None:
    limits = LimitTable(table)

    def write(found: tuple[Account, Spending] | None, daily: int | None, weekly: int | None) -> bool:
        assert found is not None
        account, spending = found
        revised = replace(account, changes=account.changes + 1)
        told = revised.told("account.updated", bench.clock(), SYSTEM)
        return limits.set(account, revised, spending.limited(daily, weekly), told)

    assert limits.get(STRANGER) is None
    first = limits.get(ALICE)
    assert write(first, 100, 700)
    assert not write(first, 100, 700)
    found = limits.get(ALICE)
    assert found is not None
    assert found[1] == Spending(Allowance(100), Allowance(700))
    assert (found[0].changes, found[0].sequence) == (1, 2)
    assert told(bench.head(ALICE)) == ["account.updated"]
    assert write(found, None, 700)
    assert "daily_limit" not in bench.head(ALICE)
    before = limits.get(ALICE)
    bench.fund(ALICE, 1, 9001)
    assert not write(before, 100, None)
    bench.ledger.post(pay(1, 501))
    before = limits.get(ALICE)
    bench.set_status(ALICE, "closed")
    assert not write(before, 100, None)


def test_the_index_holds_open_holds_by_their_time(bench: Bench, table: Table, store: LedgerStore) -> None:
    for number, hours in ((1, 1), (2, 2), (3, 3), (4, 1)):
        lapses_at = timestamp(bench.clock() + timedelta(hours=hours))
        bench.ledger.reserve(Reserve(trf(number), ALICE, 10, "USD", "", lapses_at))
    bench.ledger.reserve(Reserve(trf(5), ALICE, 10, "USD"))
    bench.ledger.settle(Settle(trf(4), BOB))
    assert list(bench.ledger.lapsing()) == []
    bench.clock.advance(hours=2, milliseconds=1)
    assert sorted(bench.ledger.lapsing()) == [trf(1), trf(2)]
    assert sum(1 for _ in store.lapsing(bench_time(bench), 1)) <= 2
    assert bench.ledger.lapse(trf(1)) == HoldOutcome("lapsed", "", bench_time(bench), 10)
    assert list(bench.ledger.lapsing()) == [trf(2)]
    assert table.get((f"S#{trf(1)}", "hold")) == {
        "pk": f"S#{trf(1)}",
        "sk": "hold",
        "transfer_id": trf(1),
        "account_id": ALICE,
        "amount": 10,
        "currency": "USD",
        "status": "lapsed",
        "at": NOW,
        "description": "",
        "resolved_at": bench_time(bench),
    }
    line = Books.of(table.scan()).journals[ALICE][-1]
    assert (line["step"], line["held_change"]) == ("lapse", -10)


def test_every_line_bears_the_credit_limit(bench: Bench, table: Table) -> None:
    bench.set_credit(ALICE, 300)
    bench.ledger.post(pay(1, 600))
    assert [line.get("credit_limit") for line in Books.of(table.scan()).journals[ALICE]] == [None, 300, 300]
    assert bench.head(ALICE)["available"] == 200
