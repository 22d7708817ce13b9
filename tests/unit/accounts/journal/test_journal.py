"""Balances as of a time, entries, statements, and how many items are read for them."""

from collections.abc import Iterator
from typing import Any

import pytest
from common.dynamo import Item
from common.errors import Refusal

from functions.accounts.domain import journal
from functions.accounts.domain.journal import Balance, JournalCorrupt, Statement
from functions.accounts.domain.ledger import JournalLine
from functions.accounts.service.journal import Direction, Journal
from functions.accounts.store.journal import JournalStore
from tests.support.memory_table import MemoryTable
from tests.unit.accounts.journal.world import ACCOUNT, OTHER, OWNER, World


class CountedTable(MemoryTable):
    """Counts the items that its queries read."""

    read = 0

    def query(self, pk: str, **how: Any) -> Iterator[Item]:
        assert "where" not in how, "a filter would hide how many items are read"
        size = how["limit"] or 1_000_000
        for number, item in enumerate(super().query(pk, **how)):
            if number % size == 0:
                self.read += size
            yield item


@pytest.fixture
def table() -> CountedTable:
    return CountedTable()


@pytest.fixture
def world(table: CountedTable) -> World:
    return World(table)


def reader(world: World) -> Journal:
    world.head()
    return Journal(JournalStore(world.table), world.clock)


def balance(world: World, at: str | None = None) -> Balance:
    return reader(world).balance(ACCOUNT, OWNER, is_admin=False, at=at)


def statement(world: World, since: str, until: str) -> Statement:
    return reader(world).statement(ACCOUNT, OWNER, is_admin=False, since=since, until=until)


def refused(world: World, since: str, until: str) -> tuple[str, str]:
    with pytest.raises(Refusal) as problem:
        statement(world, since, until)
    assert problem.value.code == "validation_failed"
    (error,) = problem.value.errors
    return error.pointer, error.detail


# --- balances ---------------------------------------------------------------------------------------------------------


def test_the_balance_now_is_the_head(world: World) -> None:
    world.limit(300)
    world.line(500)
    world.line(held=100, step="reserve")
    assert balance(world) == Balance(500, 100, 700, "USD", "2026-11-21T09:30:00.000Z")


def test_a_balance_as_of_a_time_includes_what_was_booked_at_it(world: World) -> None:
    world.line(500)
    world.clock.advance(seconds=1)
    world.line(held=200, step="reserve")
    world.clock.advance(seconds=1)
    world.limit(50)
    world.clock.advance(seconds=1)
    world.line(-200, -200, step="settle")
    found = {at: balance(world, f"2026-11-21T09:30:{at}Z") for at in ("00.000", "00.999", "01.000", "02.500", "03.000")}
    assert {at: (each.posted, each.held, each.available) for at, each in found.items()} == {
        "00.000": (500, 0, 500),
        "00.999": (500, 0, 500),
        "01.000": (500, 200, 300),
        "02.500": (500, 200, 350),
        "03.000": (300, 0, 350),
    }
    assert found["00.999"].at == "2026-11-21T09:30:00.999Z"


def test_the_balance_before_the_first_line_is_zero(world: World) -> None:
    world.limit(300)
    assert balance(world, "2026-11-21T09:29:59.999Z") == Balance(0, 0, 0, "USD", "2026-11-21T09:29:59.999Z")
    assert balance(world, "0001-01-01T00:00:00.000Z").available == 0


def test_a_balance_in_the_future_is_refused(world: World) -> None:
    with pytest.raises(Refusal) as problem:
        balance(world, "2026-11-21T09:30:00.001Z")
    assert problem.value.code == "validation_failed"
    assert problem.value.errors[0].pointer == "/query/at"
    assert balance(world, world.now).posted == 0


def test_a_balance_as_of_a_time_reads_one_line(world: World, table: CountedTable) -> None:
    for _ in range(50):
        world.line(1)
        world.clock.advance(seconds=1)
    assert balance(world, "2026-11-21T09:30:20.000Z").posted == 21
    assert table.read == 1


@pytest.mark.parametrize("caller", [(OTHER, False), ("usr_nobody", False)])
def test_the_accounts_of_others_are_not_found(world: World, caller: tuple[str, bool]) -> None:
    journal, (user_id, is_admin) = reader(world), caller
    since, until = "2026-11-01T00:00:00.000Z", "2026-11-02T00:00:00.000Z"
    for use in (
        lambda: journal.balance(ACCOUNT, user_id, is_admin=is_admin, at=None),
        lambda: journal.statement(ACCOUNT, user_id, is_admin=is_admin, since=since, until=until),
        lambda: journal.entries(ACCOUNT, user_id, is_admin=is_admin, limit=25),
        lambda: journal.balance("acc_none", OWNER, is_admin=True, at=None),
    ):
        with pytest.raises(Refusal, match="not_found"):
            use()
    assert journal.balance(ACCOUNT, OTHER, is_admin=True, at=None).posted == 0


# --- entries ----------------------------------------------------------------------------------------------------------


def pages(world: World, direction: Direction | None = None, limit: int = 25) -> Iterator[list[JournalLine]]:
    journal, position = reader(world), None
    while True:
        page = journal.entries(
            ACCOUNT, OWNER, is_admin=False, direction=direction, position=position, limit=limit
        )  # fmt: skip
        yield page.items
        position = page.next_position
        if position is None:
            return


def test_ten_thousand_entries_are_read_page_by_page(world: World, table: CountedTable) -> None:
    for _ in range(10_000):
        world.line(1)
        world.clock.advance(milliseconds=1 if world.version % 3 else 0)
    journal = reader(world)
    position, seen = None, []
    for _ in range(4):
        table.read = 0
        page = journal.entries(ACCOUNT, OWNER, is_admin=False, position=position, limit=25)
        assert table.read <= 27
        seen += [line.version for line in page.items]
        position = page.next_position
    assert seen == list(range(10_000, 9_900, -1))
    last = journal.entries(ACCOUNT, OWNER, is_admin=False, position=_position(world, 11), limit=25)
    assert [line.version for line in last.items] == list(range(10, 0, -1))
    assert last.next_position is None


def _position(world: World, version: int) -> str:
    return f"{world.history[version - 1][0]}#{version:012}"


def test_a_page_of_one_direction_reads_no_more_than_it_needs(world: World, table: CountedTable) -> None:
    for number in range(1000):
        world.line(-1 if number % 4 == 0 else 2)
    debits = next(pages(world, "debit"))
    assert len(debits) == 25 and all(line.posted_change < 0 for line in debits)
    assert table.read <= 200


def test_a_page_with_few_matches_is_short_and_has_a_next_page(world: World, table: CountedTable) -> None:
    world.line(10_000)
    for _ in range(2_500):
        world.line(-1)
    found = list(pages(world, "credit"))
    assert [len(page) for page in found] == [0, 0, 1]
    assert table.read <= 2_700
    assert [len(page) for page in pages(world, "debit", limit=100)] == [100] * 25


def test_a_list_continues_in_the_middle_of_a_batch(world: World, table: CountedTable) -> None:
    world.line(-5)
    for _ in range(6):
        world.batch([1] * 60)
        world.line(-1)
        world.clock.advance(seconds=1)
    journal = reader(world)
    position, seen = None, []
    while True:
        table.read = 0
        page = journal.entries(ACCOUNT, OWNER, is_admin=False, position=position, limit=25)
        assert table.read <= 4
        seen += [line.version for line in page.items]
        position = page.next_position
        if position is None:
            break
    assert seen == list(range(world.version, 0, -1))
    assert [len(page) for page in pages(world, "debit", limit=4)] == [4, 3]
    found = statement(world, DAY, NEXT)
    assert (found.closing, len(found.lines)) == (349, 367)


def test_lines_of_holds_and_credit_limits_are_not_entries(world: World) -> None:
    world.limit(100)
    world.line(held=40, step="reserve")
    world.line(-30, -40, step="settle")
    world.line(held=10, step="reserve")
    world.line(held=-10, step="release")
    assert [[line.version for line in page] for page in pages(world)] == [[3]]


def test_a_forged_position_shows_nothing_but_the_callers_own_list(world: World) -> None:
    for _ in range(3):
        world.line(1)
    journal = reader(world)
    for forged in ("x", "#", "##", "~", f"{world.now}#zzz#1", f"{world.now}#000000000002#x", " "):
        page = journal.entries(ACCOUNT, OWNER, is_admin=False, position=forged, limit=25)
        assert len(page.items) <= 3


# --- statements -------------------------------------------------------------------------------------------------------

DAY = "2026-11-21T00:00:00.000Z"
NEXT = "2026-11-22T00:00:00.000Z"


def test_a_statement_leads_from_its_opening_to_its_closing(world: World) -> None:
    world.name("Ada", "Lovelace")
    world.line(1000)
    world.clock.advance(days=1)
    world.line(-300)
    world.line(held=100, step="reserve")
    world.clock.advance(seconds=5)
    world.line(20)
    found = statement(world, NEXT, "2026-11-23T00:00:00.000Z")
    assert (found.opening, found.closing, found.credits, found.debits) == (1000, 720, 20, 300)
    assert [line.posted_change for line in found.lines] == [-300, 20]
    assert (found.holder, found.account_name, found.currency) == ("Ada Lovelace", "Household", "USD")
    assert found.closing_at == "2026-11-22T09:30:05.000Z"
    assert statement(world, DAY, NEXT).closing_at == NEXT


def test_a_period_without_entries_closes_as_it_opens(world: World) -> None:
    world.line(1000)
    world.clock.advance(days=9)
    found = statement(world, "2026-11-23T00:00:00.000Z", "2026-11-24T00:00:00.000Z")
    assert (found.opening, found.closing, found.lines) == (1000, 1000, ())
    before = statement(world, "2026-01-01T00:00:00.000Z", "2026-11-21T09:30:00.000Z")
    assert (before.opening, before.closing, before.holder) == (0, 0, "")


def test_from_is_inclusive_and_to_exclusive(world: World) -> None:
    world.line(1)
    at = world.now
    world.clock.advance(seconds=1)
    assert len(statement(world, at, world.now).lines) == 1
    assert len(statement(world, DAY, at).lines) == 0


def test_lines_booked_while_a_statement_is_read_leave_it_consistent(table: CountedTable, world: World) -> None:
    world.line(1000)

    def book() -> None:
        world.line(-1)

    reads = 0

    class BookingStore(JournalStore):
        """A line is booked before every read."""

        def last(self, account_id: str, until: str) -> JournalLine | None:
            nonlocal reads
            reads += 1
            book()
            return super().last(account_id, until)

        def lines(self, account_id: str, **how: Any) -> Iterator[tuple[str, JournalLine]]:
            book()
            for each in super().lines(account_id, **how):
                book()
                yield each

    journal = Journal(BookingStore(table), world.clock)
    for since in (DAY, world.now, "2026-11-20T00:00:00.000Z"):
        found = journal.statement(ACCOUNT, OWNER, is_admin=False, since=since, until=NEXT)
        assert found.opening + sum(line.posted_change for line in found.lines) == found.closing
        assert [line.version for line in found.lines] == list(range(1, len(found.lines) + 1))
    assert reads == 3


def test_invalid_periods(world: World) -> None:
    assert refused(world, DAY, DAY) == ("/query/to", "must be later than from")
    assert refused(world, NEXT, DAY)[0] == "/query/to"
    assert refused(world, "2026-11-21T09:30:00.001Z", NEXT) == ("/query/from", "must not be in the future")
    statement(world, world.now, NEXT)


def test_a_period_has_at_most_366_days(world: World) -> None:
    statement(world, "2024-01-01T00:00:00.000Z", "2025-01-01T00:00:00.000Z")
    assert refused(world, "2024-01-01T00:00:00.000Z", "2025-01-01T00:00:00.001Z")[0] == "/query/to"


def test_a_statement_has_at_most_ten_thousand_lines(world: World) -> None:
    world.line(held=5, step="reserve")
    for _ in range(10_000):
        world.line(1)
    assert len(statement(world, DAY, NEXT).lines) == 10_000
    world.line(1)
    assert refused(world, DAY, NEXT) == ("/query/to", "the period has more than 10,000 lines")


@pytest.mark.parametrize("field", ["posted", "posted_change", "version"])
@pytest.mark.parametrize("at", [2, 4])
def test_a_journal_that_was_tampered_with_makes_no_statement(
    world: World, table: CountedTable, field: str, at: int
) -> None:
    for _ in range(4):
        world.line(7)
    item = next(item for item in table.items() if item.get("version") == at and item["pk"].startswith("E#"))
    table.put({**item, field: item[field] + 1})
    with pytest.raises(JournalCorrupt):
        statement(world, DAY, NEXT)


def test_a_missing_line_makes_no_statement(world: World, table: CountedTable) -> None:
    for _ in range(3):
        world.line(held=1, step="reserve")
        world.line(5)
        world.clock.advance(hours=1)
    keys = [(item["pk"], item["sk"]) for item in table.items() if item["pk"].startswith("E#")]
    table.delete(keys[2])
    with pytest.raises(JournalCorrupt):
        statement(world, DAY, NEXT)
    # Also if it is the first line of the period.
    with pytest.raises(JournalCorrupt):
        statement(world, keys[2][1].partition("#")[0], NEXT)


# --- descriptions -----------------------------------------------------------------------------------------------------


def described(texts: list[str]) -> list[str]:
    head = journal.JournalHead(ACCOUNT, OWNER, "Household", "USD", 0, 0, 0)
    lines = [
        JournalLine(ACCOUNT, number, NEXT, "USD", 1, 0, number, 0, "trf_1", "post", "ent_1", text)
        for number, text in enumerate(texts, 1)
    ]
    return [line.description for line in journal.make_statement(head, "", DAY, NEXT, NEXT, None, lines).lines]


def test_descriptions_are_complete_if_they_fit() -> None:
    assert set(described(["x" * 500] * 4900)) == {"x" * 500}


@pytest.mark.parametrize("text", ["x" * 500, '"' * 500, "\\" * 500, "深" * 500, "🍕" * 500])
def test_descriptions_are_cut_if_they_are_too_long_together(text: str) -> None:
    (short, *found) = described(["short", *[text] * 9_999])
    assert short == "short"
    (cut,) = set(found)
    assert cut.endswith("…") and text.startswith(cut[:-1]) and len(cut) > 15
    assert journal._size(cut) <= 250 < journal._size(cut + text[0])
