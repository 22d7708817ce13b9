"""What each use case of the ledger costs: calls to the table, and write units as AWS counts them (two per KB in a
transaction). `make bench` prints it.

A hold with a lapse time is also in an index, which costs one more unit when it is made and one when it is resolved.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from common.contracts.accounts import Expect, Post, Refuse, Release, Reserve, Settle

from functions.accounts.domain import folding
from tests.support.memory_table import MemoryTable
from tests.unit.accounts.ledger.world import ALICE, BOB, CAROL, RAIL, SHARDS, World, lapse_at, trf


class Cost(NamedTuple):
    """The cost of one call of a use case."""

    name: str
    calls: int
    units: int


def costs() -> list[Cost]:
    """Return the cost of each use case, with accounts that have money."""
    table = MemoryTable()
    world = World(table)
    for number, account_id in enumerate((ALICE, BOB, CAROL)):
        world.fund(account_id, 10_000, 9000 + number)
    return [_measured(table, name, run) for name, run in _use_cases(world)]


def fold(count: int) -> Cost:
    """Return the cost of folding this many pending credits of one account at once."""
    table = MemoryTable()
    world = World(table)
    for number in range(count):
        world.fund(ALICE, 1, number)
    return _measured(table, f"fold {count} credits", lambda: world.folding.fold(RAIL, SHARDS))


def _use_cases(world: World) -> Iterator[tuple[str, Callable[[], object]]]:
    ledger = world.ledger

    def pay(number: int, source: str, destination: str, amount: int = 10) -> Callable[[], object]:
        return lambda: ledger.post(Post(trf(number), source, destination, amount, "USD", "lunch"))

    def hold(number: int, amount: int = 10, lapses_at: str = "") -> Callable[[], object]:
        return lambda: ledger.reserve(Reserve(trf(number), ALICE, amount, "USD", "hotel", lapses_at))

    yield "post", pay(1, ALICE, BOB)
    yield "post called again", pay(1, ALICE, BOB)
    yield "post from a rail", pay(2, RAIL, BOB)
    yield "post to a rail", pay(3, ALICE, RAIL)
    yield "decline for funds", pay(4, ALICE, BOB, 100_000)
    yield "refuse", lambda: ledger.refuse(Refuse(trf(5), "failed"))
    yield "expect", lambda: ledger.expect(Expect(trf(20), BOB, 10, "USD"))
    yield "expect called again", lambda: ledger.expect(Expect(trf(20), BOB, 10, "USD"))
    yield "post what was expected", lambda: ledger.post(Post(trf(20), RAIL, BOB, 10, "USD", is_expected=True))
    ledger.expect(Expect(trf(21), BOB, 10, "USD"))
    yield "refuse what was expected", lambda: ledger.refuse(Refuse(trf(21), "failed", expecting_account_id=BOB))
    yield "reserve", hold(6)
    yield "settle", lambda: ledger.settle(Settle(trf(6), BOB))
    yield "settle called again", lambda: ledger.settle(Settle(trf(6), BOB))
    hold(7)()
    yield "settle in part", lambda: ledger.settle(Settle(trf(7), BOB, 4))
    hold(8)()
    yield "release", lambda: ledger.release(Release(trf(8)))
    yield "reserve that lapses", hold(9, lapses_at=lapse_at(1))
    world.clock.advance(days=1)
    yield "lapse", lambda: ledger.lapse(trf(9))
    yield "set limits", lambda: world.set_limits(ALICE, 1000, 5000)
    yield "set the same limits", lambda: world.set_limits(ALICE, 1000, 5000)
    world.set_alert(ALICE, world.head(ALICE)["available"] - 15)
    yield "post under limits and an alert", pay(10, ALICE, BOB)
    yield "post with a low-balance event", pay(11, ALICE, BOB)
    yield "decline by a limit with an event", pay(12, ALICE, BOB, 2000)
    yield "later decline by a limit", pay(13, ALICE, BOB, 2000)
    world.clock.advance(days=1)
    yield "reserve declined by a limit with an event", hold(14, 2000)
    world.set_alert(ALICE, world.head(ALICE)["available"])
    yield "reserve with a low-balance event", hold(15)


def _measured(table: MemoryTable, name: str, run: Callable[[], object]) -> Cost:
    before = len(table.calls)
    run()
    calls = table.calls[before:]
    return Cost(name, len(calls), sum(call.units for call in calls))


def main() -> None:
    """Print the table."""
    print(f"{'use case':<40}{'calls':>7}{'write units':>13}")
    for cost in costs():
        print(f"{cost.name:<40}{cost.calls:>7}{cost.units:>13}")
    for count in (1, 10, 100, folding.BATCH_CREDITS):
        cost = fold(count)
        print(f"{cost.name:<40}{cost.calls:>7}{cost.units:>13}  {cost.units / count:.1f} each")


if __name__ == "__main__":
    main()
