"""Holds that have a time: nothing but a lapse becomes of them afterwards, whoever comes first."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from common.clock import timestamp
from common.tasks import HoldOutcome, Release, Reserve, Settle

from functions.accounts.events import lapse
from functions.accounts.service import ledger as service
from tests.support.memory_table import Call, MemoryTable
from tests.support.rest import CONTEXT
from tests.unit.accounts.ledger.bench import ALICE, BOB, RAIL, Bench, bench_time, trf
from tests.unit.accounts.ledger.books import Books
from tests.unit.accounts.ledger.model import Lapse

WEEK = timedelta(days=7)


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


@pytest.fixture
def bench(table: MemoryTable, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    bench = Bench(table)
    bench.fund(ALICE, 100)
    monkeypatch.setattr(lapse, "service", lambda: bench.ledger)
    yield bench
    table.hook = None
    Books.of(table.items()).check()


def held(bench: Bench, number: int = 1, amount: int = 60, after: timedelta = WEEK) -> HoldOutcome:
    lapses_at = timestamp(bench.clock() + after)
    return bench.ledger.reserve(Reserve(trf(number), ALICE, amount, "USD", "hotel", lapses_at))


def balances(bench: Bench) -> tuple[int, int, int]:
    head = bench.head(ALICE)
    return head["posted"], head["held"], head["available"]


def test_what_is_past_its_time_goes_back(bench: Bench, table: MemoryTable) -> None:
    assert held(bench).outcome == "held"
    bench.clock.advance(days=7, milliseconds=1)
    lapse.handler({}, CONTEXT)
    assert balances(bench) == (100, 0, 100)
    line = Books.of(table.items()).journals[ALICE][-1]
    assert (line["step"], line["held_change"], line["posted_change"]) == ("lapse", -60, 0)
    lapsed = HoldOutcome("lapsed", "", bench_time(bench), 60)
    bench.clock.advance(seconds=1)
    before = table.items()
    assert bench.ledger.settle(Settle(trf(1), BOB)) == lapsed
    assert bench.ledger.release(Release(trf(1))) == lapsed
    assert bench.ledger.lapse(trf(1)) == lapsed
    assert held(bench) == lapsed
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
def test_to_the_millisecond(bench: Bench, early: timedelta, found: bool, outcome: str) -> None:
    held(bench)
    bench.clock.at += WEEK - early
    assert list(bench.ledger.lapsing()) == ([trf(1)] if found else [])
    assert bench.ledger.lapse(trf(1)).outcome == outcome


def test_a_hold_without_a_time_stays(bench: Bench) -> None:
    bench.ledger.reserve(Reserve(trf(1), ALICE, 60, "USD"))
    bench.clock.advance(days=4000)
    lapse.handler({}, CONTEXT)
    assert bench.ledger.lapse(trf(1)).outcome == "held"
    assert bench.ledger.lapse(trf(2)) == HoldOutcome("not_found")
    assert balances(bench) == (100, 60, 40)


@pytest.mark.parametrize("resolve", [Settle(trf(1), BOB), Settle(trf(1), RAIL, 10), Release(trf(1))])
def test_in_time_it_is_settled_or_released_and_never_lapses(bench: Bench, resolve: Settle | Release) -> None:
    held(bench)
    bench.clock.at += WEEK - timedelta(milliseconds=1)
    answer = bench.run(resolve)
    bench.clock.advance(seconds=1)
    assert list(bench.ledger.lapsing()) == []
    assert bench.ledger.lapse(trf(1)) == answer


@pytest.mark.parametrize("resolve", [Settle(trf(1), BOB), Settle(trf(1), BOB, 1000), Release(trf(1))])
def test_past_its_time_whoever_comes_finds_it_lapsed(bench: Bench, resolve: Settle | Release) -> None:
    """Its owner was promised the money back by then, whether or not the clock's own look is late."""
    held(bench)
    bench.clock.at += WEEK
    assert bench.run(resolve) == HoldOutcome("lapsed", "", bench_time(bench), 60)
    assert balances(bench) == (100, 0, 100)


@pytest.mark.parametrize("other", [Settle(trf(1), BOB), Release(trf(1)), Lapse(trf(1))])
@pytest.mark.parametrize(("call", "moment"), [("batch_get", "after"), ("transact", "before")])
def test_a_lapse_and_a_resolution_at_once_are_one(
    bench: Bench, table: MemoryTable, other: Settle | Release | Lapse, call: str, moment: str
) -> None:
    """The other's clock is a minute behind, and by it the hold is in time."""
    held(bench)
    bench.clock.at += WEEK
    others: list[object] = []

    def rival() -> None:
        bench.clock.advance(minutes=-1)
        others.append(bench.run(other))
        bench.clock.advance(minutes=1)

    def hook(found: Call) -> None:
        if (found.operation, found.moment) == (call, moment):
            table.hook = None
            rival()

    table.hook = hook
    answer = bench.ledger.lapse(trf(1))
    if isinstance(other, Lapse):
        assert (others[0], answer.outcome) == (HoldOutcome("held", "", answer_at(table), 60), "lapsed")
    else:
        assert others == [answer]


def answer_at(table: MemoryTable) -> str:
    return str(Books.of(table.items()).holds[trf(1)]["at"])


def test_what_was_settled_since_it_was_listed_stays_settled(bench: Bench, table: MemoryTable) -> None:
    held(bench)
    bench.clock.at += WEEK + timedelta(milliseconds=1)

    def hook(call: Call) -> None:
        if (call.operation, call.moment) == ("batch_get", "before"):
            table.hook = None
            bench.clock.advance(minutes=-1)
            bench.ledger.settle(Settle(trf(1), BOB))
            bench.clock.advance(minutes=1)

    table.hook = hook
    lapse.handler({}, CONTEXT)
    assert balances(bench) == (40, 0, 40)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_lapse_that_died_is_finished_by_the_next(bench: Bench, table: MemoryTable, moment: str) -> None:
    for number in range(1, 4):
        held(bench, number, 10)
    bench.clock.at += WEEK + timedelta(seconds=1)
    deaths = iter([True])

    def hook(call: Call) -> None:
        if (call.operation, call.moment) == ("transact", moment) and next(deaths, False):
            raise OSError

    table.hook = hook
    lapse.handler({}, CONTEXT)
    assert len(list(bench.ledger.lapsing())) == (1 if moment == "before" else 0)
    lapse.handler({}, CONTEXT)
    assert balances(bench) == (100, 0, 100)


def test_a_run_takes_so_many_of_each_shard(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_LAPSED_A_SHARD", 2)
    for number in range(1, 41):
        held(bench, number, 1)
    bench.clock.at += WEEK + timedelta(seconds=1)
    left = []
    while waiting := len(list(bench.ledger.lapsing())):
        left.append(waiting)
        lapse.handler({}, CONTEXT)
    assert left[0] <= 16 and len(left) > 1 and sum(left) == 40
    assert balances(bench) == (100, 0, 100)


def test_an_account_that_never_stands_still_stops_no_other(
    bench: Bench, table: MemoryTable, caplog: pytest.LogCaptureFixture
) -> None:
    bench.fund(BOB, 100, 9001)
    bench.ledger.reserve(Reserve(trf(2), BOB, 10, "USD", "", timestamp(bench.clock())))
    held(bench, 1, 60, timedelta())
    bench.clock.advance(seconds=1)
    numbers = iter(range(100, 200))

    def hook(call: Call) -> None:
        if (call.operation, call.moment) == ("transact", "before") and (f"A#{BOB}", "H") in call.keys:
            table.hook = None
            bench.fund(BOB, 1, next(numbers))
            table.hook = hook

    table.hook = hook
    lapse.handler({}, CONTEXT)
    assert balances(bench) == (100, 0, 100)
    assert bench.head(BOB)["held"] == 10
    table.hook = None
    lapse.handler({}, CONTEXT)
    assert bench.head(BOB)["held"] == 0


@pytest.mark.parametrize("lapses_at", ["soon", "2026-11-28", "2026-11-28T09:30:00Z", "2026-11-28T09:30:00.000+01:00"])
def test_a_time_that_would_not_sort_is_a_fault(bench: Bench, lapses_at: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        bench.ledger.reserve(Reserve(trf(1), ALICE, 60, "USD", "", lapses_at))


def test_holds_wait_in_all_shards(bench: Bench, table: MemoryTable) -> None:
    bench.fund(ALICE, 1000, 9001)
    for number in range(1, 101):
        held(bench, number, 1)
    shards = {hold["lapse_shard"] for hold in Books.of(table.items()).holds.values()}
    assert shards == {f"{shard:02}" for shard in range(8)}
