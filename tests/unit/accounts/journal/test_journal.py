"""Balances as of a moment, statements, and how much is read for them."""

from collections.abc import Iterator
from typing import Any

import pytest
from common.dynamo import Item
from common.errors import Problem

from functions.accounts.domain import journal
from functions.accounts.domain.journal import Balance, Statement, Torn
from functions.accounts.domain.ledger import Line
from functions.accounts.service.journal import Direction, Journal
from functions.accounts.store.journal import JournalStore
from tests.support.memory_table import MemoryTable
from tests.unit.accounts.journal.scribe import ACCOUNT, OTHER, OWNER, Scribe


class CountedTable(MemoryTable):
    """Counts the items that its queries read."""

    read = 0

    def query(self, pk: str, **how: Any) -> Iterator[Item]:
        assert "where" not in how, "a filter hides how much is read"
        size = how["limit"] or 1_000_000
        for number, item in enumerate(super().query(pk, **how)):
            if number % size == 0:
                self.read += size
            yield item


@pytest.fixture
def table() -> CountedTable:
    return CountedTable()


@pytest.fixture
def scribe(table: CountedTable) -> Scribe:
    return Scribe(table)


def books(scribe: Scribe) -> Journal:
    scribe.head()
    return Journal(JournalStore(scribe.table), scribe.clock)


def balance(scribe: Scribe, at: str | None = None) -> Balance:
    return books(scribe).balance(ACCOUNT, OWNER, is_admin=False, at=at)


def statement(scribe: Scribe, since: str, until: str) -> Statement:
    return books(scribe).statement(ACCOUNT, OWNER, is_admin=False, since=since, until=until)


def refused(scribe: Scribe, since: str, until: str) -> tuple[str, str]:
    with pytest.raises(Problem) as problem:
        statement(scribe, since, until)
    assert problem.value.code == "validation_failed"
    (error,) = problem.value.errors
    return error.pointer, error.detail


# --- balances ---------------------------------------------------------------------------------------------------------


def test_the_balance_now_is_the_head(scribe: Scribe) -> None:
    scribe.limit(300)
    scribe.line(500)
    scribe.line(held=100, step="reserve")
    assert balance(scribe) == Balance(500, 100, 700, "USD", "2026-11-21T09:30:00.000Z")


def test_a_balance_as_of_a_moment_counts_what_was_booked_at_it(scribe: Scribe) -> None:
    scribe.line(500)
    scribe.clock.advance(seconds=1)
    scribe.line(held=200, step="reserve")
    scribe.clock.advance(seconds=1)
    scribe.limit(50)
    scribe.clock.advance(seconds=1)
    scribe.line(-200, -200, step="settle")
    found = {
        at: balance(scribe, f"2026-11-21T09:30:{at}Z") for at in ("00.000", "00.999", "01.000", "02.500", "03.000")
    }
    assert {at: (each.posted, each.held, each.available) for at, each in found.items()} == {
        "00.000": (500, 0, 500),
        "00.999": (500, 0, 500),
        "01.000": (500, 200, 300),
        "02.500": (500, 200, 350),
        "03.000": (300, 0, 350),
    }
    assert found["00.999"].at == "2026-11-21T09:30:00.999Z"


def test_before_the_first_line_there_is_nothing(scribe: Scribe) -> None:
    scribe.limit(300)
    assert balance(scribe, "2026-11-21T09:29:59.999Z") == Balance(0, 0, 0, "USD", "2026-11-21T09:29:59.999Z")
    assert balance(scribe, "0001-01-01T00:00:00.000Z").available == 0


def test_a_balance_to_come_is_nobodys_to_know(scribe: Scribe) -> None:
    with pytest.raises(Problem) as problem:
        balance(scribe, "2026-11-21T09:30:00.001Z")
    assert problem.value.code == "validation_failed"
    assert problem.value.errors[0].pointer == "/query/at"
    assert balance(scribe, scribe.now).posted == 0


def test_a_balance_as_of_a_moment_reads_one_line(scribe: Scribe, table: CountedTable) -> None:
    for _ in range(50):
        scribe.line(1)
        scribe.clock.advance(seconds=1)
    assert balance(scribe, "2026-11-21T09:30:20.000Z").posted == 21
    assert table.read == 1


@pytest.mark.parametrize("caller", [(OTHER, False), ("usr_nobody", False)])
def test_nobody_else_sees_an_account(scribe: Scribe, caller: tuple[str, bool]) -> None:
    journal, (user_id, is_admin) = books(scribe), caller
    since, until = "2026-11-01T00:00:00.000Z", "2026-11-02T00:00:00.000Z"
    for use in (
        lambda: journal.balance(ACCOUNT, user_id, is_admin=is_admin, at=None),
        lambda: journal.statement(ACCOUNT, user_id, is_admin=is_admin, since=since, until=until),
        lambda: journal.entries(ACCOUNT, user_id, is_admin=is_admin, limit=25),
        lambda: journal.balance("acc_none", OWNER, is_admin=True, at=None),
    ):
        with pytest.raises(Problem, match="not_found"):
            use()
    assert journal.balance(ACCOUNT, OTHER, is_admin=True, at=None).posted == 0


# --- entries ----------------------------------------------------------------------------------------------------------


def pages(scribe: Scribe, direction: Direction | None = None, limit: int = 25) -> Iterator[list[Line]]:
    journal, position = books(scribe), None
    while True:
        page = journal.entries(
            ACCOUNT, OWNER, is_admin=False, direction=direction, position=position, limit=limit
        )  # fmt: skip
        yield page.items
        position = page.next_position
        if position is None:
            return


def test_ten_thousand_entries_come_page_by_page_without_a_scan(scribe: Scribe, table: CountedTable) -> None:
    for _ in range(10_000):
        scribe.line(1)
        scribe.clock.advance(milliseconds=1 if scribe.version % 3 else 0)
    journal = books(scribe)
    position, seen = None, []
    for _ in range(4):
        table.read = 0
        page = journal.entries(ACCOUNT, OWNER, is_admin=False, position=position, limit=25)
        assert table.read <= 27
        seen += [line.version for line in page.items]
        position = page.next_position
    assert seen == list(range(10_000, 9_900, -1))
    last = journal.entries(ACCOUNT, OWNER, is_admin=False, position=_place(scribe, 11), limit=25)
    assert [line.version for line in last.items] == list(range(10, 0, -1))
    assert last.next_position is None


def _place(scribe: Scribe, version: int) -> str:
    return f"{scribe.history[version - 1][0]}#{version:012}"


def test_a_page_of_one_direction_reads_on_only_as_far_as_it_needs(scribe: Scribe, table: CountedTable) -> None:
    for number in range(1000):
        scribe.line(-1 if number % 4 == 0 else 2)
    debits = next(pages(scribe, "debit"))
    assert len(debits) == 25 and all(line.posted_change < 0 for line in debits)
    assert table.read <= 200


def test_where_nearly_nothing_fits_a_page_is_short_and_leads_on(scribe: Scribe, table: CountedTable) -> None:
    scribe.line(10_000)
    for _ in range(2_500):
        scribe.line(-1)
    found = list(pages(scribe, "credit"))
    assert [len(page) for page in found] == [0, 0, 1]
    assert table.read <= 2_700
    assert [len(page) for page in pages(scribe, "debit", limit=100)] == [100] * 25


def test_a_list_goes_on_in_the_middle_of_a_page(scribe: Scribe, table: CountedTable) -> None:
    scribe.line(-5)
    for _ in range(6):
        scribe.page([1] * 60)
        scribe.line(-1)
        scribe.clock.advance(seconds=1)
    journal = books(scribe)
    position, seen = None, []
    while True:
        table.read = 0
        page = journal.entries(ACCOUNT, OWNER, is_admin=False, position=position, limit=25)
        assert table.read <= 4
        seen += [line.version for line in page.items]
        position = page.next_position
        if position is None:
            break
    assert seen == list(range(scribe.version, 0, -1))
    assert [len(page) for page in pages(scribe, "debit", limit=4)] == [4, 3]
    found = statement(scribe, DAY, NEXT)
    assert (found.closing, len(found.lines)) == (349, 367)


def test_lines_of_holds_and_credit_limits_are_no_entries(scribe: Scribe) -> None:
    scribe.limit(100)
    scribe.line(held=40, step="reserve")
    scribe.line(-30, -40, step="settle")
    scribe.line(held=10, step="reserve")
    scribe.line(held=-10, step="release")
    assert [[line.version for line in page] for page in pages(scribe)] == [[3]]


def test_a_forged_position_is_only_a_place_in_the_callers_own_list(scribe: Scribe) -> None:
    for _ in range(3):
        scribe.line(1)
    journal = books(scribe)
    for forged in ("x", "#", "##", "~", f"{scribe.now}#zzz#1", f"{scribe.now}#000000000002#x", " "):
        page = journal.entries(ACCOUNT, OWNER, is_admin=False, position=forged, limit=25)
        assert len(page.items) <= 3


# --- statements -------------------------------------------------------------------------------------------------------

DAY = "2026-11-21T00:00:00.000Z"
NEXT = "2026-11-22T00:00:00.000Z"


def test_a_statement_leads_from_its_opening_to_its_closing(scribe: Scribe) -> None:
    scribe.name("Ada", "Lovelace")
    scribe.line(1000)
    scribe.clock.advance(days=1)
    scribe.line(-300)
    scribe.line(held=100, step="reserve")
    scribe.clock.advance(seconds=5)
    scribe.line(20)
    found = statement(scribe, NEXT, "2026-11-23T00:00:00.000Z")
    assert (found.opening, found.closing, found.credits, found.debits) == (1000, 720, 20, 300)
    assert [line.posted_change for line in found.lines] == [-300, 20]
    assert (found.holder, found.account_name, found.currency) == ("Ada Lovelace", "Household", "USD")
    assert found.closing_at == "2026-11-22T09:30:05.000Z"
    assert statement(scribe, DAY, NEXT).closing_at == NEXT


def test_a_quiet_period_closes_as_it_opens(scribe: Scribe) -> None:
    scribe.line(1000)
    scribe.clock.advance(days=9)
    found = statement(scribe, "2026-11-23T00:00:00.000Z", "2026-11-24T00:00:00.000Z")
    assert (found.opening, found.closing, found.lines) == (1000, 1000, ())
    before = statement(scribe, "2026-01-01T00:00:00.000Z", "2026-11-21T09:30:00.000Z")
    assert (before.opening, before.closing, before.holder) == (0, 0, "")


def test_from_is_inclusive_and_to_exclusive(scribe: Scribe) -> None:
    scribe.line(1)
    at = scribe.now
    scribe.clock.advance(seconds=1)
    assert len(statement(scribe, at, scribe.now).lines) == 1
    assert len(statement(scribe, DAY, at).lines) == 0


def test_what_is_booked_while_a_statement_is_read_does_not_tear_it(table: CountedTable, scribe: Scribe) -> None:
    scribe.line(1000)

    def book() -> None:
        scribe.line(-1)

    reads = 0

    class Reads(JournalStore):
        """Something is booked before everything that is read."""

        def last(self, account_id: str, until: str) -> Line | None:
            nonlocal reads
            reads += 1
            book()
            return super().last(account_id, until)

        def lines(self, account_id: str, **how: Any) -> Iterator[tuple[str, Line]]:
            book()
            for each in super().lines(account_id, **how):
                book()
                yield each

    journal = Journal(Reads(table), scribe.clock)
    for since in (DAY, scribe.now, "2026-11-20T00:00:00.000Z"):
        found = journal.statement(ACCOUNT, OWNER, is_admin=False, since=since, until=NEXT)
        assert found.opening + sum(line.posted_change for line in found.lines) == found.closing
        assert [line.version for line in found.lines] == list(range(1, len(found.lines) + 1))
    assert reads == 3


def test_periods_that_are_none(scribe: Scribe) -> None:
    assert refused(scribe, DAY, DAY) == ("/query/to", "must be later than from")
    assert refused(scribe, NEXT, DAY)[0] == "/query/to"
    assert refused(scribe, "2026-11-21T09:30:00.001Z", NEXT) == ("/query/from", "must not be in the future")
    statement(scribe, scribe.now, NEXT)


def test_a_period_has_at_most_366_days(scribe: Scribe) -> None:
    statement(scribe, "2024-01-01T00:00:00.000Z", "2025-01-01T00:00:00.000Z")
    assert refused(scribe, "2024-01-01T00:00:00.000Z", "2025-01-01T00:00:00.001Z")[0] == "/query/to"


def test_a_statement_has_at_most_ten_thousand_lines(scribe: Scribe) -> None:
    scribe.line(held=5, step="reserve")
    for _ in range(10_000):
        scribe.line(1)
    assert len(statement(scribe, DAY, NEXT).lines) == 10_000
    scribe.line(1)
    assert refused(scribe, DAY, NEXT) == ("/query/to", "the period has more than 10,000 lines")


@pytest.mark.parametrize("field", ["posted", "posted_change", "version"])
@pytest.mark.parametrize("at", [2, 4])
def test_a_journal_that_was_tampered_with_makes_no_statement(
    scribe: Scribe, table: CountedTable, field: str, at: int
) -> None:
    for _ in range(4):
        scribe.line(7)
    item = next(item for item in table.items() if item.get("version") == at and item["pk"].startswith("E#"))
    table.put({**item, field: item[field] + 1})
    with pytest.raises(Torn):
        statement(scribe, DAY, NEXT)


def test_a_missing_line_makes_no_statement(scribe: Scribe, table: CountedTable) -> None:
    for _ in range(3):
        scribe.line(held=1, step="reserve")
        scribe.line(5)
        scribe.clock.advance(hours=1)
    keys = [(item["pk"], item["sk"]) for item in table.items() if item["pk"].startswith("E#")]
    table.delete(keys[2])
    with pytest.raises(Torn):
        statement(scribe, DAY, NEXT)
    # Also where it is the one that the period begins with.
    with pytest.raises(Torn):
        statement(scribe, keys[2][1].partition("#")[0], NEXT)


# --- descriptions -----------------------------------------------------------------------------------------------------


def described(texts: list[str]) -> list[str]:
    head = journal.JournalHead(ACCOUNT, OWNER, "Household", "USD", 0, 0, 0)
    lines = [
        Line(ACCOUNT, number, NEXT, "USD", 1, 0, number, 0, "trf_1", "post", "ent_1", text)
        for number, text in enumerate(texts, 1)
    ]
    return [line.description for line in journal.draw_up(head, "", DAY, NEXT, NEXT, None, lines).lines]


def test_descriptions_are_whole_where_they_fit() -> None:
    assert set(described(["x" * 500] * 4900)) == {"x" * 500}


@pytest.mark.parametrize("text", ["x" * 500, '"' * 500, "\\" * 500, "深" * 500, "🍕" * 500])
def test_descriptions_are_cut_where_all_of_them_would_be_too_much(text: str) -> None:
    (short, *found) = described(["short", *[text] * 9_999])
    assert short == "short"
    (cut,) = set(found)
    assert cut.endswith("…") and text.startswith(cut[:-1]) and len(cut) > 15
    assert journal._cost(cut) <= 250 < journal._cost(cut + text[0])
