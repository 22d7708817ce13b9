"""Limits, alerts and lapses as items, conditions and an index."""

import json
from datetime import timedelta

import pytest
from common.clock import timestamp
from common.contracts.accounts import HoldOutcome, Post, Release, Reserve, Settle
from common.contracts.events import SYSTEM
from common.dynamo import Table
from common.errors import Stale

from functions.accounts.domain.accounts import Account
from functions.accounts.domain.limits import Allowance, Spending
from functions.accounts.domain.postings import plan_post
from functions.accounts.store.ledger import LedgerStore
from functions.accounts.store.limits import LimitStore
from tests.unit.accounts.ledger.snapshot import Snapshot
from tests.unit.accounts.ledger.world import ALICE, BOB, STRANGER, World, trf

NOW = "2026-11-21T09:30:00.000Z"


@pytest.fixture
def world(world: World) -> World:
    world.fund(ALICE, 500)
    return world


@pytest.fixture
def store(table: Table) -> LedgerStore:
    return LedgerStore(table)


def pay(number: int, amount: int) -> Post:
    return Post(trf(number), ALICE, BOB, amount, "USD", "lunch")


def event_types(item: object) -> list[str]:
    assert isinstance(item, dict)
    return [event["type"] for event in json.loads(item["outbox"])]


def test_a_debit_counts_on_the_head_and_a_credit_does_not(world: World) -> None:
    world.set_limits(ALICE, 200)
    assert world.ledger.post(pay(1, 120)).outcome == "posted"
    head = world.head(ALICE)
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
    assert "day" not in world.head(BOB)


def test_the_first_decline_carries_its_event_and_marks_the_head(world: World, table: Table) -> None:
    world.set_limits(ALICE, 100, 110)
    for number in (1, 2):
        assert world.ledger.post(pay(number, 111)).code == "limit_exceeded"
    assert world.ledger.reserve(Reserve(trf(3), ALICE, 111, "USD")).code == "limit_exceeded"
    head = world.head(ALICE)
    assert (head["day_told"], head["week_told"], head["changes"]) == ("2026-11-21", "2026-W47", 3)
    assert event_types(table.get((f"S#{trf(1)}", "post"))) == ["limit.exceeded", "limit.exceeded"]
    for key in ((f"S#{trf(2)}", "post"), (f"S#{trf(3)}", "hold")):
        assert "outbox" not in (table.get(key) or {"outbox": ""})
    assert world.ledger.post(pay(1, 111)).code == "limit_exceeded"


def test_a_declined_hold_carries_its_event(world: World, table: Table) -> None:
    world.set_limits(ALICE, 100)
    declined = world.ledger.reserve(Reserve(trf(1), ALICE, 111, "USD", "", timestamp(world.clock())))
    assert event_types(table.get((f"S#{trf(1)}", "hold"))) == ["limit.exceeded"]
    assert world.ledger.release(Release(trf(1))) == declined


def test_a_low_balance_event_is_on_the_step_outcome_or_hold(world: World, table: Table) -> None:
    world.set_alert(ALICE, 450)
    assert world.ledger.post(pay(1, 51)).outcome == "posted"
    assert event_types(table.get((f"S#{trf(1)}", "post"))) == ["balance.low"]
    assert world.ledger.post(pay(1, 51)).outcome == "posted"
    world.set_alert(ALICE, 440)
    assert world.ledger.reserve(Reserve(trf(2), ALICE, 10, "USD")).outcome == "held"
    assert event_types(table.get((f"S#{trf(2)}", "hold"))) == ["balance.low"]
    assert world.ledger.settle(Settle(trf(2), BOB)).outcome == "settled"
    assert "outbox" not in (table.get((f"S#{trf(2)}", "hold")) or {"outbox": ""})


@pytest.mark.parametrize(("daily", "weekly"), [(119, None), (None, 119)])
def test_a_posting_is_stale_if_a_lower_limit_was_set(
    world: World, store: LedgerStore, daily: int | None, weekly: int | None
) -> None:
    _, heads = store.posting(trf(1), "post", [ALICE, BOB])
    planned = plan_post(pay(1, 120), heads, NOW)
    world.set_limits(ALICE, daily, weekly)
    with pytest.raises(Stale):
        store.record(planned)
    world.set_limits(ALICE, 120, 120)
    store.record(planned)


def test_a_posting_is_stale_if_the_alert_changed(world: World, store: LedgerStore) -> None:
    _, heads = store.posting(trf(1), "post", [ALICE, BOB])
    world.set_alert(ALICE, 10)
    with pytest.raises(Stale):
        store.record(plan_post(pay(1, 120), heads, NOW))
    _, heads = store.posting(trf(1), "post", [ALICE, BOB])
    world.set_alert(ALICE, None)
    with pytest.raises(Stale):
        store.record(plan_post(pay(1, 120), heads, NOW))


def test_a_notice_is_stale_if_its_account_changed(world: World, store: LedgerStore, table: Table) -> None:
    world.set_limits(ALICE, 100)
    _, heads = store.posting(trf(1), "post", [ALICE, BOB])
    planned = plan_post(pay(1, 120), heads, NOW)
    world.set_limits(ALICE, 110)
    with pytest.raises(Stale):
        store.record(planned)
    assert table.get((f"S#{trf(1)}", "post")) is None


def test_limits_are_stale_if_the_account_changed(world: World, table: Table) -> None:
    limits = LimitStore(table)

    def write(found: tuple[Account, Spending] | None, daily: int | None, weekly: int | None) -> None:
        assert found is not None
        account, spending = found
        changed = account.changed()
        event = changed.event("account.updated", world.clock(), SYSTEM)
        limits.set(account, changed, spending.limited(daily, weekly), event)

    assert limits.get(STRANGER) is None
    first = limits.get(ALICE)
    write(first, 100, 700)
    with pytest.raises(Stale):
        write(first, 100, 700)
    found = limits.get(ALICE)
    assert found is not None
    assert found[1] == Spending(Allowance(100), Allowance(700))
    assert (found[0].changes, found[0].sequence) == (1, 2)
    assert event_types(world.head(ALICE)) == ["account.updated"]
    write(found, None, 700)
    assert "daily_limit" not in world.head(ALICE)
    before = limits.get(ALICE)
    world.fund(ALICE, 1, 9001)
    with pytest.raises(Stale):
        write(before, 100, None)
    world.ledger.post(pay(1, 501))
    before = limits.get(ALICE)
    world.set_status(ALICE, "closed")
    with pytest.raises(Stale):
        write(before, 100, None)


def test_the_index_holds_open_holds_by_their_time(world: World, table: Table, store: LedgerStore) -> None:
    for number, hours in ((1, 1), (2, 2), (3, 3), (4, 1)):
        lapses_at = timestamp(world.clock() + timedelta(hours=hours))
        world.ledger.reserve(Reserve(trf(number), ALICE, 10, "USD", "", lapses_at))
    world.ledger.reserve(Reserve(trf(5), ALICE, 10, "USD"))
    world.ledger.settle(Settle(trf(4), BOB))
    assert list(world.ledger.lapsing()) == []
    world.clock.advance(hours=2, milliseconds=1)
    assert sorted(world.ledger.lapsing()) == [trf(1), trf(2)]
    assert sum(1 for _ in store.lapsing(world.now(), 1)) <= 2
    assert world.ledger.lapse(trf(1)) == HoldOutcome("lapsed", "", world.now(), 10)
    assert list(world.ledger.lapsing()) == [trf(2)]
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
        "resolved_at": world.now(),
    }
    line = Snapshot.of(table.scan()).journals[ALICE][-1]
    assert (line["step"], line["held_change"]) == ("lapse", -10)


def test_every_line_has_the_credit_limit(world: World, table: Table) -> None:
    world.set_credit(ALICE, 300)
    world.ledger.post(pay(1, 600))
    assert [line.get("credit_limit") for line in Snapshot.of(table.scan()).journals[ALICE]] == [None, 300, 300]
    assert world.head(ALICE)["available"] == 200
