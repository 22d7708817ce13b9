"""Holds with a lapse time: after it they can only lapse, whoever calls first."""

from datetime import timedelta

import pytest
from common.clock import timestamp
from common.contracts.accounts import HoldOutcome, Release, Reserve, Settle

from functions.accounts.events import lapse
from functions.accounts.service import ledger as service
from tests.support.memory_table import Call, MemoryTable
from tests.support.rest import CONTEXT
from tests.unit.accounts.ledger.model import Lapse
from tests.unit.accounts.ledger.snapshot import Snapshot
from tests.unit.accounts.ledger.world import ALICE, BOB, RAIL, World, once, trf

WEEK = timedelta(days=7)


@pytest.fixture
def world(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    world.fund(ALICE, 100)
    monkeypatch.setattr(lapse, "ledger", lambda: world.ledger)
    return world


def held(world: World, number: int = 1, amount: int = 60, after: timedelta = WEEK) -> HoldOutcome:
    lapses_at = timestamp(world.clock() + after)
    return world.ledger.reserve(Reserve(trf(number), ALICE, amount, "USD", "hotel", lapses_at))


def test_a_hold_past_its_time_is_released(world: World, table: MemoryTable) -> None:
    assert held(world).outcome == "held"
    world.clock.advance(days=7, milliseconds=1)
    lapse.handler({}, CONTEXT)
    assert world.balances(ALICE) == (100, 0, 100)
    line = Snapshot.of(table.items()).journals[ALICE][-1]
    assert (line["step"], line["held_change"], line["posted_change"]) == ("lapse", -60, 0)
    lapsed = HoldOutcome("lapsed", "", world.now(), 60)
    world.clock.advance(seconds=1)
    before = table.items()
    assert world.ledger.settle(Settle(trf(1), BOB)) == lapsed
    assert world.ledger.release(Release(trf(1))) == lapsed
    assert world.ledger.lapse(trf(1)) == lapsed
    assert held(world) == lapsed
    lapse.handler({}, CONTEXT)
    assert table.items() == before


@pytest.mark.parametrize(
    ("early", "found", "outcome"),
    [
        (timedelta(milliseconds=1), False, "held"),
        (timedelta(), False, "lapsed"),
        (timedelta(milliseconds=-1), True, "lapsed"),
    ],
)
def test_a_hold_lapses_at_its_time_to_the_millisecond(
    world: World, early: timedelta, found: bool, outcome: str
) -> None:
    held(world)
    world.clock.at += WEEK - early
    assert list(world.ledger.lapsing()) == ([trf(1)] if found else [])
    assert world.ledger.lapse(trf(1)).outcome == outcome


def test_a_hold_without_a_lapse_time_stays(world: World) -> None:
    world.ledger.reserve(Reserve(trf(1), ALICE, 60, "USD"))
    world.clock.advance(days=4000)
    lapse.handler({}, CONTEXT)
    assert world.ledger.lapse(trf(1)).outcome == "held"
    assert world.ledger.lapse(trf(2)) == HoldOutcome("not_found")
    assert world.balances(ALICE) == (100, 60, 40)


@pytest.mark.parametrize("resolve", [Settle(trf(1), BOB), Settle(trf(1), RAIL, 10), Release(trf(1))])
def test_a_hold_that_is_resolved_in_time_never_lapses(world: World, resolve: Settle | Release) -> None:
    held(world)
    world.clock.at += WEEK - timedelta(milliseconds=1)
    answer = world.run(resolve)
    world.clock.advance(seconds=1)
    assert list(world.ledger.lapsing()) == []
    assert world.ledger.lapse(trf(1)) == answer


@pytest.mark.parametrize("resolve", [Settle(trf(1), BOB), Settle(trf(1), BOB, 1000), Release(trf(1))])
def test_a_hold_past_its_time_is_lapsed_for_every_caller(world: World, resolve: Settle | Release) -> None:
    """The owner gets the money back in time, even if the scheduled run is late."""
    held(world)
    world.clock.at += WEEK
    assert world.run(resolve) == HoldOutcome("lapsed", "", world.now(), 60)
    assert world.balances(ALICE) == (100, 0, 100)


@pytest.mark.parametrize("other", [Settle(trf(1), BOB), Release(trf(1)), Lapse(trf(1))])
@pytest.mark.parametrize(("call", "moment"), [("batch_get", "after"), ("transact", "before")])
def test_a_lapse_and_a_resolution_at_once_are_one(
    world: World, table: MemoryTable, other: Settle | Release | Lapse, call: str, moment: str
) -> None:
    """The clock of the other caller is a minute behind, so for it the hold is in time."""
    held(world)
    world.clock.at += WEEK
    others: list[object] = []

    def run_other() -> None:
        world.clock.advance(minutes=-1)
        others.append(world.run(other))
        world.clock.advance(minutes=1)

    once(table, call, moment, run_other)
    answer = world.ledger.lapse(trf(1))
    if isinstance(other, Lapse):
        assert (others[0], answer.outcome) == (HoldOutcome("held", "", answer_at(table), 60), "lapsed")
    else:
        assert others == [answer]


def answer_at(table: MemoryTable) -> str:
    return str(Snapshot.of(table.items()).holds[trf(1)]["at"])


def test_a_hold_that_was_settled_after_it_was_listed_stays_settled(world: World, table: MemoryTable) -> None:
    held(world)
    world.clock.at += WEEK + timedelta(milliseconds=1)

    def settle() -> None:
        world.clock.advance(minutes=-1)
        world.ledger.settle(Settle(trf(1), BOB))
        world.clock.advance(minutes=1)

    once(table, "batch_get", "before", settle)
    lapse.handler({}, CONTEXT)
    assert world.balances(ALICE) == (40, 0, 40)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_lapse_that_died_is_finished_by_the_next(world: World, table: MemoryTable, moment: str) -> None:
    for number in range(1, 4):
        held(world, number, 10)
    world.clock.at += WEEK + timedelta(seconds=1)
    deaths = iter([True])

    def hook(call: Call) -> None:
        if (call.operation, call.moment) == ("transact", moment) and next(deaths, False):
            raise OSError

    table.hook = hook
    lapse.handler({}, CONTEXT)
    assert len(list(world.ledger.lapsing())) == (1 if moment == "before" else 0)
    lapse.handler({}, CONTEXT)
    assert world.balances(ALICE) == (100, 0, 100)


def test_a_run_lapses_a_limited_number_per_shard(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_LAPSES_PER_SHARD", 2)
    for number in range(1, 41):
        held(world, number, 1)
    world.clock.at += WEEK + timedelta(seconds=1)
    left = []
    while waiting := len(list(world.ledger.lapsing())):
        left.append(waiting)
        lapse.handler({}, CONTEXT)
    assert left[0] <= 16 and len(left) > 1 and sum(left) == 40
    assert world.balances(ALICE) == (100, 0, 100)


def test_an_account_that_keeps_changing_does_not_stop_the_others(
    world: World, table: MemoryTable, caplog: pytest.LogCaptureFixture
) -> None:
    world.fund(BOB, 100, 9001)
    world.ledger.reserve(Reserve(trf(2), BOB, 10, "USD", "", timestamp(world.clock())))
    held(world, 1, 60, timedelta())
    world.clock.advance(seconds=1)
    numbers = iter(range(100, 200))

    def hook(call: Call) -> None:
        if (call.operation, call.moment) == ("transact", "before") and (f"A#{BOB}", "H") in call.keys:
            table.hook = None
            world.fund(BOB, 1, next(numbers))
            table.hook = hook

    table.hook = hook
    lapse.handler({}, CONTEXT)
    assert world.balances(ALICE) == (100, 0, 100)
    assert world.head(BOB)["held"] == 10
    table.hook = None
    lapse.handler({}, CONTEXT)
    assert world.head(BOB)["held"] == 0


@pytest.mark.parametrize("lapses_at", ["soon", "2026-11-28", "2026-11-28T09:30:00Z", "2026-11-28T09:30:00.000+01:00"])
def test_an_invalid_lapse_time_raises(world: World, lapses_at: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        world.ledger.reserve(Reserve(trf(1), ALICE, 60, "USD", "", lapses_at))


def test_holds_spread_over_all_shards(world: World, table: MemoryTable) -> None:
    world.fund(ALICE, 1000, 9001)
    for number in range(1, 101):
        held(world, number, 1)
    shards = {hold["lapse_shard"] for hold in Snapshot.of(table.items()).holds.values()}
    assert shards == {f"{shard:02}" for shard in range(8)}
