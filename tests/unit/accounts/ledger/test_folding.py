"""Inboxes and their folding, rule by rule: of a system account, and of an account that an admin made hot."""

from collections.abc import Callable, Iterator

import pytest
from common.clock import timestamp
from common.ids import derived_id
from common.tasks import Post, Release, Reserve, Settle

from functions.accounts.domain import ledger, pages
from functions.accounts.domain.pages import expand
from functions.accounts.service.folding import Folding
from functions.accounts.service.ledger import Busy
from functions.accounts.store.folding import FoldingStore
from functions.accounts.store.items import page_of
from tests.support.memory_table import Call, Conflict, MemoryTable
from tests.unit.accounts.ledger.bench import ALICE, BOB, CAROL, FEES, RAIL, SHARDS, Bench, bench_time, trf
from tests.unit.accounts.ledger.books import Books

SHOP = CAROL


class Crash(Exception):
    """The process died, or never heard the reply."""


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


@pytest.fixture
def bench(table: MemoryTable) -> Iterator[Bench]:
    bench = Bench(table)
    yield bench
    table.hook = None
    Books.of(table.items()).check()


@pytest.fixture
def shop(bench: Bench) -> str:
    """An account with some lines of its own that was then made hot."""
    bench.set_credit(SHOP, 0)
    bench.fund(SHOP, 100, 8001)
    bench.fund(ALICE, 1000, 8002)
    bench.fund(BOB, 1000, 8003)
    bench.folding.fold(RAIL, SHARDS)
    bench.set_hot(SHOP, True)
    bench.clock.advance(seconds=1)
    return SHOP


def pay(number: int, source: str, destination: str, amount: int) -> Post:
    return Post(trf(number), source, destination, amount, "USD", f"order {number}")


def once(table: MemoryTable, operation: str, moment: str, happening: Callable[[], object], after: int = 0) -> None:
    """Something that happens once, at such a moment after some others; what it does itself meets no hook."""
    left = after

    def hook(call: Call) -> None:
        nonlocal left
        if (call.operation, call.moment) == (operation, moment):
            left -= 1
            if left < 0:
                table.hook = None
                happening()

    table.hook = hook


def crash() -> None:
    raise Crash


def folded(bench: Bench, account_id: str = RAIL, shards: tuple[int, ...] = SHARDS) -> Books:
    bench.folding.fold(account_id, shards)
    return Books.of(bench.table.scan())


def waiting(bench: Bench, account_id: str) -> list[int]:
    """The changes that wait in an account's inbox."""
    return sorted(item["change"] for item in Books.of(bench.table.scan()).waiting() if item["account_id"] == account_id)


# --- folding --------------------------------------------------------------------------------------------------------


def test_entries_of_the_rail_are_folded_into_a_page(bench: Bench) -> None:
    bench.fund(ALICE, 100, 1)
    bench.clock.advance(seconds=1)
    bench.fund(BOB, 50, 2)
    books = folded(bench)
    (page,) = books.journals[RAIL]
    assert books.inbox == []
    assert (page["page"], page["opening_version"], page["opening_posted"]) == (1, 0, 0)
    assert (page["version"], page["posted"]) == (2, -150)
    assert [line["transfer_id"] for line in page["lines"]] == [trf(1), trf(2)]
    assert books.heads[RAIL] == {
        "pk": f"A#{RAIL}",
        "sk": "H",
        "account_id": RAIL,
        "currency": "USD",
        "posted": -150,
        "held": 0,
        "available": -150,
        "version": 2,
        "line_at": bench_time(bench),
        "fold": 1,
        "clean": 1,
    }


def test_folding_nothing_writes_nothing(bench: Bench, table: MemoryTable) -> None:
    before = table.items()
    folded(bench)
    assert table.items() == before


def test_a_page_takes_so_many_and_the_next_the_rest(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_LINES", 2)
    for number in range(1, 6):
        bench.fund(ALICE, 10, number)
    assert [len(page["lines"]) for page in folded(bench).journals[RAIL]] == [2, 2, 1]


def test_a_page_is_never_older_than_the_last(bench: Bench) -> None:
    bench.fund(ALICE, 10, 1)
    late = bench_time(bench)
    folded(bench)
    bench.clock.advance(minutes=-5)
    bench.fund(ALICE, 10, 2)
    first, second = folded(bench).journals[RAIL]
    assert first["sk"] < second["sk"] == f"{late}#000000000002"


def test_only_the_shards_named_are_folded(bench: Bench) -> None:
    bench.fund(ALICE, 10, 1)
    (entry,) = Books.of(bench.table.scan()).inbox
    assert len(folded(bench, shards=tuple(shard for shard in SHARDS if shard != entry["shard"])).inbox) == 1
    assert folded(bench, shards=(entry["shard"],)).inbox == []


def test_entries_spread_over_the_shards(bench: Bench) -> None:
    shards = {ledger.InboxEntry(RAIL, trf(number), "post", 1, "USD", "", "").shard for number in range(1000)}
    assert shards == set(range(ledger.INBOX_SHARDS))


def test_a_full_page_fits_into_an_item(bench: Bench, table: MemoryTable) -> None:
    """The table refuses an item of more than 400 KB."""
    for number in range(pages.PAGE_LINES):
        entry = ledger.InboxEntry(RAIL, trf(number), "release", -(10**15), "USD", bench_time(bench), "")
        table.put(
            {
                "pk": f"I#{RAIL}#00",
                "sk": f"{entry.transfer_id}#{entry.step}",
                "account_id": RAIL,
                "transfer_id": entry.transfer_id,
                "step": entry.step,
                "change": entry.change,
                "currency": "USD",
                "at": entry.at,
                "description": "",
            }
        )
    bench.folding.fold(RAIL, [0])
    head = bench.head(RAIL)
    assert (head["fold"], head["clean"], head["posted"]) == (1, 1, -pages.PAGE_LINES * 10**15)
    table.batch_delete([(item["pk"], item["sk"]) for item in table.items()])


@pytest.mark.parametrize(
    ("call", "moment"),
    [
        ("transact", "after"),
        ("batch_delete", "before"),
        ("batch_delete", "after"),
        ("update", "before"),
        ("update", "after"),
    ],
)
def test_a_fold_that_died_is_finished_by_the_next(bench: Bench, table: MemoryTable, call: str, moment: str) -> None:
    for number in range(1, 5):
        bench.fund(ALICE, 10, number)
    once(table, call, moment, crash)
    with pytest.raises(Crash):
        folded(bench)
    Books.of(table.items()).check()
    bench.fund(ALICE, 10, 5)
    books = folded(bench)
    assert books.inbox == []
    assert [len(page["lines"]) for page in books.journals[RAIL]] == [4, 1]
    assert books.heads[RAIL]["posted"] == -50 and books.heads[RAIL]["clean"] == 2


@pytest.mark.parametrize("calls", range(1, 12))
def test_two_folders_count_each_entry_once(bench: Bench, table: MemoryTable, calls: int) -> None:
    """A rival folds the same entries, and what came meanwhile, before each of the calls in turn."""
    for number in range(1, 4):
        bench.fund(ALICE, 10, number)
    shards = tuple({entry["shard"] for entry in Books.of(table.items()).inbox})
    left = calls

    def hook(call: Call) -> None:
        nonlocal left
        left -= call.moment == "before"
        if left == 0:
            table.hook = None
            bench.folding.fold(RAIL, shards)
            bench.clock.advance(seconds=1)
            bench.fund(ALICE, 10, 4)
            bench.folding.fold(RAIL, SHARDS)
            bench.fund(ALICE, 10, 5)
            bench.clock.advance(seconds=1)

    table.hook = hook
    folded(bench, shards=shards)
    table.hook = None
    books = folded(bench)
    assert sum(len(page["lines"]) for page in books.journals[RAIL]) == (5 if left <= 0 else 3)


def test_fees_are_a_system_account_too(bench: Bench) -> None:
    bench.fund(ALICE, 100)
    assert bench.ledger.post(pay(1, ALICE, FEES, 30)).outcome == "posted"
    bench.folding.fold(FEES, SHARDS)
    assert bench.head(FEES)["posted"] == 30


def test_a_posting_between_two_system_accounts(bench: Bench) -> None:
    assert bench.ledger.post(pay(1, RAIL, FEES, 30)).outcome == "posted"
    assert Books.of(bench.table.scan()).balances()[FEES] == (30, 0)


# --- a hot account --------------------------------------------------------------------------------------------------


def test_a_credit_waits_in_the_inbox_and_leaves_the_head_alone(bench: Bench, shop: str) -> None:
    before = bench.head(shop)
    assert bench.ledger.post(pay(1, ALICE, shop, 30)).outcome == "posted"
    assert bench.head(shop) == before
    assert waiting(bench, shop) == [30]
    assert Books.of(bench.table.scan()).balances()[shop] == (130, 0)


def test_folded_credits_are_lines_with_versions_and_balances(bench: Bench, shop: str) -> None:
    for number, amount in enumerate((30, 20), 1):
        bench.ledger.post(pay(number, ALICE, shop, amount))
        bench.clock.advance(seconds=1)
    books = folded(bench, shop)
    head = bench.head(shop)
    assert (head["posted"], head["available"], head["version"], head["fold"], head["clean"]) == (150, 150, 4, 1, 1)
    assert head["line_at"] == bench_time(bench) and books.inbox == []
    lines = expand(page_of(bench.table.get((f"E#{shop}", f"{bench_time(bench)}#{4:012}")) or {}))
    assert [(line.version, line.posted_change, line.posted, line.description) for line in lines] == [
        (3, 30, 130, "order 1"),
        (4, 20, 150, "order 2"),
    ]
    assert {(line.at, line.held, line.held_change, line.step) for line in lines} == {(bench_time(bench), 0, 0, "post")}
    assert lines[0].entry_id == derived_id("ent", bench.clock.at.replace(second=1), trf(1), "post", shop)


def test_debits_go_by_what_is_booked_and_stay_on_the_head(bench: Bench, shop: str) -> None:
    bench.ledger.post(pay(1, ALICE, shop, 30))
    assert bench.ledger.post(pay(2, shop, BOB, 100)).outcome == "posted"
    assert waiting(bench, shop) == [30], "what is there suffices"
    assert (bench.head(shop)["posted"], bench.head(shop)["version"]) == (0, 3)


@pytest.mark.parametrize("hot", [True, False], ids=["hot", "lately hot"])
def test_the_inbox_is_folded_before_a_debit_is_declined(bench: Bench, shop: str, hot: bool) -> None:
    bench.ledger.post(pay(1, ALICE, shop, 30))
    bench.set_hot(shop, hot)
    assert bench.ledger.post(pay(2, shop, BOB, 131)).code == "insufficient_funds"
    assert waiting(bench, shop) == [] and bench.head(shop)["posted"] == 130
    bench.set_hot(shop, True)
    bench.ledger.post(pay(3, ALICE, shop, 20))
    assert bench.ledger.post(pay(4, shop, BOB, 131)).outcome == "posted"
    assert bench.head(shop)["posted"] == 19


def test_the_inbox_is_folded_before_a_hold_is_declined(bench: Bench, shop: str) -> None:
    bench.ledger.post(pay(1, ALICE, shop, 30))
    assert bench.ledger.reserve(Reserve(trf(2), shop, 120, "USD")).outcome == "held"
    assert bench.ledger.reserve(Reserve(trf(3), shop, 11, "USD")).code == "insufficient_funds"
    assert bench.head(shop)["held"] == 120


def test_what_comes_while_it_is_folded_counts_too(bench: Bench, table: MemoryTable, shop: str) -> None:
    bench.ledger.post(pay(1, ALICE, shop, 30))
    once(table, "transact", "before", lambda: bench.ledger.post(pay(2, ALICE, shop, 20)))
    assert bench.ledger.post(pay(3, shop, BOB, 130)).outcome == "posted"


def test_holds_of_a_hot_account_go_on_beside_its_pages(bench: Bench, shop: str) -> None:
    bench.ledger.reserve(Reserve(trf(1), shop, 60, "USD"))
    bench.ledger.reserve(Reserve(trf(2), shop, 40, "USD"))
    bench.ledger.reserve(Reserve(trf(3), ALICE, 50, "USD"))
    assert bench.ledger.settle(Settle(trf(3), shop)).outcome == "settled"
    assert waiting(bench, shop) == [50]
    assert bench.ledger.settle(Settle(trf(1), BOB, 10)).outcome == "settled"
    folded(bench, shop)
    head = bench.head(shop)
    assert (head["posted"], head["held"], head["available"]) == (140, 40, 100)
    assert bench.ledger.release(Release(trf(2))).outcome == "released"


def test_a_frozen_account_receives(bench: Bench, shop: str) -> None:
    bench.set_status(shop, "frozen")
    assert bench.ledger.post(pay(1, ALICE, shop, 30)).outcome == "posted"
    folded(bench, shop)
    assert bench.head(shop)["posted"] == 130
    assert bench.ledger.post(pay(2, shop, BOB, 1)).code == "account_frozen"


def test_switched_off_it_is_ordinary_again_and_what_waits_is_folded(bench: Bench, shop: str) -> None:
    bench.ledger.post(pay(1, ALICE, shop, 30))
    bench.set_hot(shop, False)
    bench.ledger.post(pay(2, ALICE, shop, 5))
    assert waiting(bench, shop) == [5, 30], "what was read a moment ago still holds"
    bench.clock.advance(seconds=5)
    bench.ledger.post(pay(3, ALICE, shop, 20))
    assert bench.head(shop)["posted"] == 120
    folded(bench, shop)
    assert bench.head(shop)["posted"] == 155 and waiting(bench, shop) == []


def test_the_head_of_a_hot_payee_is_not_read_each_time(bench: Bench, table: MemoryTable, shop: str) -> None:
    """A key has 3,000 read units a second, and each credit would take one."""
    bench.ledger.post(pay(1, ALICE, shop, 1))
    before = len(table.calls)
    for number in range(2, 20):
        bench.ledger.post(pay(number, ALICE, shop, 1))
    assert not any((f"A#{shop}", "H") in call.keys for call in table.calls[before:])
    bench.clock.advance(seconds=5)
    bench.ledger.post(pay(20, ALICE, shop, 1))
    assert any((f"A#{shop}", "H") in call.keys for call in table.calls[-2:])


def test_a_debit_between_look_and_page_stops_no_fold(bench: Bench, table: MemoryTable, shop: str) -> None:
    bench.ledger.post(pay(1, ALICE, shop, 30))
    bench.clock.advance(minutes=1)
    once(table, "transact", "before", lambda: bench.ledger.post(pay(2, shop, BOB, 100)))
    inboxes = len([call for call in table.calls if call.operation == "query"])
    folded(bench, shop, (only_shard(bench, shop),))
    assert (bench.head(shop)["posted"], bench.head(shop)["version"]) == (30, 4)
    assert len([call for call in table.calls if call.operation == "query"]) == inboxes + 1


def only_shard(bench: Bench, account_id: str) -> int:
    (shard,) = {item["shard"] for item in Books.of(bench.table.scan()).inbox if item["account_id"] == account_id}
    return int(shard)


@pytest.mark.parametrize("calls", range(1, 16))
def test_two_folders_of_a_hot_account_with_debits_between(
    bench: Bench, table: MemoryTable, shop: str, calls: int
) -> None:
    for number in range(1, 4):
        bench.ledger.post(pay(number, ALICE, shop, 10))
    left = calls

    def hook(call: Call) -> None:
        nonlocal left
        left -= call.moment == "before"
        if left == 0:
            table.hook = None
            bench.ledger.post(pay(4, shop, BOB, 100))
            bench.folding.fold_all(shop)
            bench.ledger.post(pay(5, ALICE, shop, 10))

    table.hook = hook
    bench.folding.fold_all(shop)
    table.hook = None
    folded(bench, shop)
    assert bench.head(shop)["posted"] == (40 if left <= 0 else 130)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("operation", "after"), [("put", 0), ("transact", 0), ("batch_delete", 0), ("update", 0), ("put", 1)]
)
def test_a_folder_that_died_in_its_turn_is_waited_for_and_then_helped(
    bench: Bench, table: MemoryTable, shop: str, operation: str, after: int, moment: str
) -> None:
    bench.fund(shop, 1, 1)
    bench.folding.fold_all(shop)
    bench.fund(shop, 10, 2)
    once(table, operation, moment, crash, after)
    with pytest.raises(Crash):
        bench.folding.fold_all(shop)
    table.hook = None
    Books.of(table.items()).check()
    bench.fund(shop, 10, 3)
    books = folded(bench, shop)
    assert books.heads[shop]["posted"] == 121
    assert [item for item in books.inbox if item["account_id"] == shop] == []


def test_who_meets_another_folder_waits_and_is_done_when_its_entries_are_booked(
    bench: Bench, table: MemoryTable, shop: str
) -> None:
    bench.fund(shop, 1, 1)
    bench.folding.fold_all(shop)
    bench.fund(shop, 10, 2)
    bench.clock.advance(milliseconds=10)
    table.put({"pk": f"T#{shop}", "sk": "T", "until": timestamp(bench.clock.at.replace(second=9))})

    def other_books(call: Call) -> None:
        if call.moment == "after" and call.operation == "put":
            raise AssertionError("it is not its turn")
        if call.moment == "before" and call.operation == "put":
            table.hook = None
            table.delete((f"T#{shop}", "T"))
            bench.folding.fold_all(shop)
            table.put({"pk": f"T#{shop}", "sk": "T", "until": timestamp(bench.clock.at.replace(second=9))})
            table.hook = other_books

    table.hook = other_books
    bench.folding.fold_all(shop)
    assert bench.head(shop)["posted"] == 111 and bench.head(shop)["fold"] == 2


def test_whose_turn_never_comes_gives_up(bench: Bench, table: MemoryTable, shop: str) -> None:
    bench.fund(shop, 1, 1)
    bench.folding.fold_all(shop)
    bench.fund(shop, 10, 2)
    turn = {"pk": f"T#{shop}", "sk": "T", "until": "2027-01-01T00:00:00.000Z"}
    table.put(turn)
    pauses: list[int] = []
    with pytest.raises(Busy):
        Folding(FoldingStore(table), bench.clock, pauses.append).fold_all(shop)
    assert pauses == list(range(1, 12))
    assert table.get((f"T#{shop}", "T")) == turn and waiting(bench, shop) == [10]


def test_a_turn_is_ended(bench: Bench, table: MemoryTable, shop: str) -> None:
    bench.fund(shop, 1, 1)
    bench.folding.fold_all(shop)
    bench.fund(shop, 10, 2)
    bench.folding.fold_all(shop)
    assert (table.get((f"T#{shop}", "T")) or {})["until"] < bench_time(bench)


def test_what_one_left_half_done_is_finished_in_turn(bench: Bench, table: MemoryTable, shop: str) -> None:
    """Many who help at once would spend what the inbox's keys may write, and never come to an end."""
    bench.fund(shop, 1, 1)
    once(table, "batch_delete", "before", crash)
    with pytest.raises(Crash):
        bench.folding.fold_all(shop)
    bench.clock.advance(hours=1)
    table.put({"pk": f"T#{shop}", "sk": "T", "until": "2027-01-01T00:00:00.000Z"})
    with pytest.raises(Busy):
        bench.folding.fold_all(shop)
    assert [item["change"] for item in Books.of(table.items()).inbox if item["account_id"] == shop] == [1]


def test_a_turn_that_took_too_long_is_not_ended_for_another(bench: Bench, table: MemoryTable, shop: str) -> None:
    bench.fund(shop, 1, 1)
    bench.folding.fold_all(shop)
    bench.fund(shop, 10, 2)
    another = {"pk": f"T#{shop}", "sk": "T", "until": "2027-01-01T00:00:00.000Z"}
    once(table, "update", "before", lambda: table.put(another))
    bench.folding.fold_all(shop)
    assert table.get((f"T#{shop}", "T")) == another and waiting(bench, shop) == []


def test_an_account_that_never_stands_still_is_given_up_for_now(bench: Bench, table: MemoryTable, shop: str) -> None:
    bench.ledger.post(pay(1, ALICE, shop, 30))
    numbers = iter(range(100, 1000))

    def debit(call: Call) -> None:
        if call.moment == "before" and call.operation == "transact":
            table.hook = None
            bench.ledger.post(pay(next(numbers), shop, BOB, 1))
            bench.fund(shop, 1, next(numbers) + 1000)
            bench.set_hot(shop, False)
            bench.clock.advance(seconds=10)
            bench.fund(shop, 1, next(numbers) + 1000)
            bench.set_hot(shop, True)
            table.hook = debit

    table.hook = debit
    with pytest.raises(Busy):
        bench.folding.fold_all(shop)
    table.hook = None
    folded(bench, shop)


def test_a_conflict_is_tried_again(bench: Bench, table: MemoryTable, shop: str) -> None:
    bench.ledger.post(pay(1, ALICE, shop, 30))

    def conflict() -> None:
        raise Conflict

    once(table, "transact", "before", conflict)
    folded(bench, shop)
    assert bench.head(shop)["posted"] == 130


def test_a_page_tells_the_publisher_nothing(bench: Bench, table: MemoryTable, shop: str) -> None:
    """What stood on the head was told before: another change that still carries it would wake the publisher."""
    assert "outbox" in bench.head(shop)
    bench.ledger.post(pay(1, ALICE, shop, 30))
    folded(bench, shop)
    assert "outbox" not in bench.head(shop)


def test_what_was_not_read_at_first_is_folded_too(
    bench: Bench, table: MemoryTable, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One shard has more than is read at once, and what is over is read with the last page of what was."""
    monkeypatch.setattr(pages, "PAGE_LINES", 3)
    monkeypatch.setattr(ledger, "INBOX_SHARDS", 2)
    numbers = {0: [], 1: []}  # type: dict[int, list[int]]
    for number in range(100):
        numbers[ledger.InboxEntry(shop, trf(number), "post", 1, "USD", "", "").shard].append(number)
    for number in (*numbers[1][:3], *numbers[0][:2], *numbers[1][3:5]):
        bench.ledger.post(pay(number, ALICE, shop, 1))
        bench.clock.advance(milliseconds=1)
    folded(bench, shop, (0, 1))
    assert waiting(bench, shop) == []


def test_a_long_queue_is_folded_to_its_end(
    bench: Bench, table: MemoryTable, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE_LINES", 3)
    monkeypatch.setattr(ledger, "INBOX_SHARDS", 1)
    for number in range(20):
        bench.ledger.post(pay(number, ALICE, shop, 1))
    folded(bench, shop, (0,))
    assert waiting(bench, shop) == [] and bench.head(shop)["fold"] == 7
