"""What each use case of the ledger costs: calls to the table, and write units as AWS counts them (two a KB in a
transaction). `make bench` prints it.

A hold that lapses is in an index meanwhile, which costs a unit when it is made and one when it is resolved.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from common.tasks import Post, Refuse, Release, Reserve, Settle

from functions.accounts.domain import pages
from tests.support.memory_table import MemoryTable
from tests.unit.accounts.ledger.bench import ALICE, BOB, CAROL, RAIL, SHARDS, Bench, lapse_at, trf


class Cost(NamedTuple):
    """What one run of a use case took."""

    name: str
    calls: int
    units: int


def costs() -> list[Cost]:
    """Each use case once, over accounts that have money."""
    table = MemoryTable()
    bench = Bench(table)
    for number, account_id in enumerate((ALICE, BOB, CAROL)):
        bench.fund(account_id, 10_000, 9000 + number)
    return [_measured(table, name, run) for name, run in _use_cases(bench)]


def fold(entries: int) -> Cost:
    """Folding so many entries of one account at once."""
    table = MemoryTable()
    bench = Bench(table)
    for number in range(entries):
        bench.fund(ALICE, 1, number)
    return _measured(table, f"fold {entries} entries", lambda: bench.folding.fold(RAIL, SHARDS))


def _use_cases(bench: Bench) -> Iterator[tuple[str, Callable[[], object]]]:
    ledger = bench.ledger

    def pay(number: int, source: str, destination: str, amount: int = 10) -> Callable[[], object]:
        return lambda: ledger.post(Post(trf(number), source, destination, amount, "USD", "lunch"))

    def hold(number: int, amount: int = 10, lapses_at: str = "") -> Callable[[], object]:
        return lambda: ledger.reserve(Reserve(trf(number), ALICE, amount, "USD", "hotel", lapses_at))

    yield "post", pay(1, ALICE, BOB)
    yield "post asked again", pay(1, ALICE, BOB)
    yield "post from a rail", pay(2, RAIL, BOB)
    yield "post to a rail", pay(3, ALICE, RAIL)
    yield "decline for funds", pay(4, ALICE, BOB, 100_000)
    yield "refuse", lambda: ledger.refuse(Refuse(trf(5), "failed"))
    yield "reserve", hold(6)
    yield "settle", lambda: ledger.settle(Settle(trf(6), BOB))
    yield "settle asked again", lambda: ledger.settle(Settle(trf(6), BOB))
    hold(7)()
    yield "settle in part", lambda: ledger.settle(Settle(trf(7), BOB, 4))
    hold(8)()
    yield "release", lambda: ledger.release(Release(trf(8)))
    yield "reserve that lapses", hold(9, lapses_at=lapse_at(1))
    bench.clock.advance(days=1)
    yield "lapse", lambda: ledger.lapse(trf(9))
    yield "set limits", lambda: bench.set_limits(ALICE, 1000, 5000)
    yield "set the same limits", lambda: bench.set_limits(ALICE, 1000, 5000)
    bench.set_alert(ALICE, bench.head(ALICE)["available"] - 15)
    yield "post under limits and an alert", pay(10, ALICE, BOB)
    yield "post that tells of a low balance", pay(11, ALICE, BOB)
    yield "decline by a limit, told", pay(12, ALICE, BOB, 2000)
    yield "decline by a limit, later", pay(13, ALICE, BOB, 2000)
    bench.clock.advance(days=1)
    yield "reserve declined by a limit, told", hold(14, 2000)
    bench.set_alert(ALICE, bench.head(ALICE)["available"])
    yield "reserve that tells of a low balance", hold(15)


def _measured(table: MemoryTable, name: str, run: Callable[[], object]) -> Cost:
    before = len(table.calls)
    run()
    calls = table.calls[before:]
    return Cost(name, len(calls), sum(call.units for call in calls))


def main() -> None:
    """Prints the table."""
    print(f"{'use case':<40}{'calls':>7}{'write units':>13}")
    for cost in costs():
        print(f"{cost.name:<40}{cost.calls:>7}{cost.units:>13}")
    for entries in (1, 10, 100, pages.PAGE_LINES):
        cost = fold(entries)
        print(f"{cost.name:<40}{cost.calls:>7}{cost.units:>13}  {cost.units / entries:.1f} an entry")


if __name__ == "__main__":
    main()
