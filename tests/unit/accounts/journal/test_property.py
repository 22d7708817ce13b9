"""For any journal, consecutive statements meet, add up to the whole, and agree with the balances at their ends."""

from datetime import timedelta
from itertools import pairwise

from common.clock import parse, timestamp
from hypothesis import given
from hypothesis import strategies as st

from functions.accounts.service.journal import Direction, Journal
from functions.accounts.store.journal import JournalStore
from tests.support.memory_table import MemoryTable
from tests.unit.accounts.journal.world import ACCOUNT, OWNER, World

_CHANGES = st.integers(-500, 500).filter(bool)
_STEPS = st.one_of(
    st.tuples(st.just("line"), _CHANGES),
    st.tuples(st.just("hold"), _CHANGES),
    st.tuples(st.just("settle"), _CHANGES),
    st.tuples(st.just("limit"), st.integers(0, 1000)),
    st.tuples(st.just("page"), st.lists(_CHANGES, min_size=1, max_size=7)),
)
# Several lines share a millisecond.
_JOURNALS = st.lists(st.tuples(_STEPS, st.sampled_from([0, 0, 1, 2, 1000])), max_size=25)


def written(journal: list[tuple[tuple[str, object], int]]) -> World:
    world = World(MemoryTable())
    for (kind, how), pause in journal:
        match kind, how:
            case "line", int(change):
                world.line(change)
            case "hold", int(change):
                world.line(held=change, step="reserve")
            case "settle", int(change):
                world.line(change, change, step="settle")
            case "limit", int(limit):
                world.limit(limit)
            case "page", list(changes):
                world.batch(changes)
        world.clock.advance(milliseconds=pause)
    world.head()
    return world


@given(journal=_JOURNALS, data=st.data())
def test_any_partition_of_time(journal: list[tuple[tuple[str, object], int]], data: st.DataObject) -> None:
    world = written(journal)
    reader = Journal(JournalStore(world.table), world.clock)
    begin, end = World(MemoryTable()).clock() - timedelta(seconds=1), world.clock() + timedelta(seconds=1)
    span = (end - begin) // timedelta(milliseconds=1)
    offsets = data.draw(st.sets(st.integers(1, max(1, span - 1001)), max_size=6))
    cuts = sorted({timestamp(begin + timedelta(milliseconds=each)) for each in (0, span, *offsets)})

    parts = [
        reader.statement(ACCOUNT, OWNER, is_admin=False, since=since, until=until)
        for since, until in pairwise(cuts)
    ]  # fmt: skip
    whole = reader.statement(ACCOUNT, OWNER, is_admin=False, since=cuts[0], until=cuts[-1])

    assert [(line.at, line.posted_change) for line in whole.lines] == world.entries
    assert [line for part in parts for line in part.lines] == list(whole.lines)
    assert (whole.opening, whole.closing) == (0, world.posted) == (parts[0].opening, parts[-1].closing)
    assert all(one.closing == two.opening for one, two in pairwise(parts))
    assert sum(part.credits for part in parts) == whole.credits
    assert sum(part.debits for part in parts) == whole.debits
    for part in parts:
        assert part.opening + sum(line.posted_change for line in part.lines) == part.closing
        assert part.opening + part.credits - part.debits == part.closing
        just_before = timestamp(parse(part.since) - timedelta(milliseconds=1))
        assert reader.balance(ACCOUNT, OWNER, is_admin=False, at=just_before).posted == part.opening


@given(journal=_JOURNALS)
def test_the_balance_as_of_every_moment(journal: list[tuple[tuple[str, object], int]]) -> None:
    world = written(journal)
    reader = Journal(JournalStore(world.table), world.clock)
    for at in {each[0] for each in world.history} | {world.now}:
        found = reader.balance(ACCOUNT, OWNER, is_admin=False, at=at)
        assert (found.posted, found.held, found.available) == world.balance(at)
    now = reader.balance(ACCOUNT, OWNER, is_admin=False, at=None)
    assert (now.posted, now.held, now.available) == world.balance(world.now)


@given(journal=_JOURNALS, limit=st.integers(1, 5), direction=st.sampled_from(["debit", "credit", None]))
def test_pages_of_any_size_hold_every_entry_once(
    journal: list[tuple[tuple[str, object], int]], limit: int, direction: Direction | None
) -> None:
    world = written(journal)
    reader = Journal(JournalStore(world.table), world.clock)
    seen, position = [], None
    while True:
        page = reader.entries(
            ACCOUNT, OWNER, is_admin=False, direction=direction, position=position, limit=limit
        )  # fmt: skip
        assert len(page.items) == limit or page.next_position is None
        seen += page.items
        position = page.next_position
        if position is None:
            break
    wanted = [change for _, change in world.entries if direction is None or (change < 0) == (direction == "debit")]
    assert [line.posted_change for line in seen] == wanted[::-1]
    assert sorted({line.version for line in seen}, reverse=True) == [line.version for line in seen]
