"""The ledger's rules, one by one: each over a table in memory, with other writers and faults where they matter."""

from collections.abc import Callable, Iterator

import pytest
from common.clock import timestamp
from common.dynamo import Contended
from common.tasks import HoldOutcome, Post, PostOutcome, Refuse, Release, Reserve, Settle

from functions.accounts.service.ledger import Busy
from tests.support.memory_table import Call, Conflict, MemoryTable
from tests.unit.accounts.ledger.bench import (
    ALICE,
    BOB,
    CAROL,
    EURO_RAIL,
    EVA,
    RAIL,
    STRANGER,
    Bench,
    bench_time,
    trf,
)
from tests.unit.accounts.ledger.books import Books


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


def pay(number: int, source: str, destination: str, amount: int, currency: str = "USD") -> Post:
    return Post(trf(number), source, destination, amount, currency, "lunch")


def once(table: MemoryTable, operation: str, moment: str, happening: Callable[[], object]) -> None:
    """Something that happens once, at the first such moment; what it does itself meets no hook."""

    def hook(call: Call) -> None:
        if (call.operation, call.moment) == (operation, moment):
            table.hook = None
            happening()

    table.hook = hook


def crash() -> None:
    raise Crash


def balances(bench: Bench, account_id: str) -> tuple[int, int, int]:
    head = bench.head(account_id)
    return head["posted"], head["held"], head["available"]


# --- posting --------------------------------------------------------------------------------------------------------


def test_a_posting_moves_money_and_writes_both_lines(bench: Bench, table: MemoryTable) -> None:
    bench.fund(ALICE, 500)
    bench.clock.advance(seconds=1)
    outcome = bench.ledger.post(pay(1, ALICE, BOB, 120))
    assert outcome == PostOutcome("posted", "", timestamp(bench.clock()))
    assert balances(bench, ALICE) == (380, 0, 380)
    assert balances(bench, BOB) == (120, 0, 120)
    debit, credit = Books.of(table.items()).journals[ALICE][-1], Books.of(table.items()).journals[BOB][-1]
    assert debit["sk"] == f"{outcome.at}#000000000002" and credit["sk"] == f"{outcome.at}#000000000001"
    assert (debit["posted_change"], debit["posted"], debit["description"]) == (-120, 380, "lunch")
    assert (credit["posted_change"], credit["held_change"], credit["posted"], credit["step"]) == (120, 0, 120, "post")
    assert debit["entry_id"] != credit["entry_id"] and debit["entry_id"].startswith("ent_")


def test_a_posting_asked_twice_is_one(bench: Bench, table: MemoryTable) -> None:
    bench.fund(ALICE, 500)
    first = bench.ledger.post(pay(1, ALICE, BOB, 120))
    before = table.items()
    bench.clock.advance(minutes=20)
    assert bench.ledger.post(pay(1, ALICE, BOB, 120)) == first
    assert table.items() == before


def test_two_steps_of_a_transfer_are_two_postings(bench: Bench) -> None:
    bench.fund(ALICE, 500)
    bench.ledger.post(pay(1, ALICE, BOB, 100))
    bench.ledger.post(Post(trf(1), BOB, ALICE, 40, "USD", step="refund"))
    assert balances(bench, BOB) == (60, 0, 60)


@pytest.mark.parametrize(
    ("request_", "outcome", "code"),
    [
        (pay(1, ALICE, BOB, 501), "declined", "insufficient_funds"),
        (pay(1, CAROL, BOB, 301), "declined", "insufficient_funds"),
        (pay(1, STRANGER, BOB, 1), "failed", "not_found"),
        (pay(1, ALICE, STRANGER, 1), "failed", "payee_not_found"),
        (pay(1, ALICE, EVA, 1), "failed", "currency_mismatch"),
        (pay(1, EVA, ALICE, 1), "failed", "currency_mismatch"),
        (pay(1, EURO_RAIL, ALICE, 1), "failed", "currency_mismatch"),
        (pay(1, ALICE, EURO_RAIL, 1), "failed", "currency_mismatch"),
    ],
)
def test_a_refusal_is_kept_and_changes_nothing(
    bench: Bench, table: MemoryTable, request_: Post, outcome: str, code: str
) -> None:
    bench.fund(ALICE, 500)
    before = table.items()
    answer = bench.ledger.post(request_)
    assert (answer.outcome, answer.code, answer.at) == (outcome, code, timestamp(bench.clock()))
    assert [item["pk"] for item in table.items() if item not in before] == [f"S#{trf(1)}"]
    bench.fund(ALICE, 10_000, 9001)
    bench.clock.advance(minutes=1)
    assert bench.ledger.post(request_) == answer


def test_credit_is_money_to_spend(bench: Bench) -> None:
    assert bench.ledger.post(pay(1, CAROL, BOB, 300)).outcome == "posted"
    assert balances(bench, CAROL) == (-300, 0, 0)
    assert bench.ledger.post(pay(2, CAROL, BOB, 1)).code == "insufficient_funds"


def test_nothing_leaves_a_frozen_account_but_money_comes_in(bench: Bench) -> None:
    bench.fund(ALICE, 100)
    bench.fund(BOB, 100, 9001)
    bench.set_status(ALICE, "frozen")
    assert bench.ledger.post(pay(1, ALICE, BOB, 1)).code == "account_frozen"
    assert bench.ledger.reserve(Reserve(trf(2), ALICE, 1, "USD")).code == "account_frozen"
    assert bench.ledger.post(pay(3, BOB, ALICE, 1)).outcome == "posted"


def test_a_closed_account_neither_pays_nor_is_paid(bench: Bench) -> None:
    bench.fund(ALICE, 100)
    bench.set_status(BOB, "closed")
    assert bench.ledger.post(pay(1, ALICE, BOB, 1)) == PostOutcome("failed", "payee_not_found", bench_time(bench))
    assert bench.ledger.post(pay(2, BOB, ALICE, 1)).outcome == "declined"


@pytest.mark.parametrize(
    "request_",
    [
        pay(1, ALICE, BOB, 0),
        pay(1, ALICE, BOB, -5),
        pay(1, ALICE, BOB, 10**15 + 1),
        pay(1, ALICE, BOB, True),
        Post(trf(1), ALICE, BOB, 10, "USD", step="hold"),
        Post(trf(1), ALICE, BOB, 10, "USD", step="settle"),
        Post(trf(1), ALICE, BOB, 10, "USD", step=""),
    ],
)
def test_what_no_caller_may_ask_is_a_fault(bench: Bench, table: MemoryTable, request_: Post) -> None:
    bench.fund(ALICE, 100)
    before = table.items()
    with pytest.raises(ValueError, match=r"\w"):
        bench.ledger.post(request_)
    assert table.items() == before


@pytest.mark.parametrize("account_id", [ALICE, RAIL])
def test_money_does_not_move_from_an_account_to_itself(bench: Bench, table: MemoryTable, account_id: str) -> None:
    bench.fund(ALICE, 100)
    before = table.items()
    with pytest.raises(ValueError, match="one account"):
        bench.ledger.post(pay(1, account_id, account_id, 10))
    assert table.items() == before


def test_a_posting_is_never_older_than_its_accounts_lines(bench: Bench) -> None:
    bench.fund(BOB, 100)
    late = bench_time(bench)
    bench.clock.advance(minutes=-5)
    bench.fund(ALICE, 100, 9001)
    assert bench.ledger.post(pay(1, ALICE, BOB, 1)).at == late
    assert bench.head(ALICE)["line_at"] == late


# --- a posting, other writers and faults ----------------------------------------------------------------------------


def test_a_payee_that_was_paid_and_paid_in_between_loses_no_version(bench: Bench, table: MemoryTable) -> None:
    """The balance is what it was when it was read, the version is not."""
    bench.fund(ALICE, 500)
    bench.fund(CAROL, 500, 9001)

    def there_and_back() -> None:
        bench.clock.advance(seconds=1)
        bench.ledger.post(pay(2, CAROL, BOB, 50))
        bench.ledger.post(pay(3, BOB, CAROL, 50))
        bench.clock.advance(seconds=1)

    once(table, "transact", "before", there_and_back)
    assert bench.ledger.post(pay(1, ALICE, BOB, 10)).outcome == "posted"
    assert bench.head(BOB)["version"] == 3
    assert bench.pauses == [1]


def test_money_spent_since_it_was_read_is_not_spent_again(bench: Bench, table: MemoryTable) -> None:
    bench.fund(ALICE, 100)
    once(table, "transact", "before", lambda: bench.ledger.post(pay(2, ALICE, CAROL, 60)))
    assert bench.ledger.post(pay(1, ALICE, BOB, 60)).code == "insufficient_funds"
    assert balances(bench, ALICE) == (40, 0, 40)


@pytest.mark.parametrize(
    ("account_id", "status", "code"), [(ALICE, "frozen", "account_frozen"), (BOB, "closed", "payee_not_found")]
)
def test_an_account_that_changed_state_since_it_was_read(
    bench: Bench, table: MemoryTable, account_id: str, status: str, code: str
) -> None:
    bench.fund(ALICE, 100)
    once(table, "transact", "before", lambda: bench.set_status(account_id, status))
    assert bench.ledger.post(pay(1, ALICE, BOB, 60)).code == code
    assert balances(bench, ALICE) == (100, 0, 100)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_posting_whose_reply_was_lost_has_the_answer_it_had(bench: Bench, table: MemoryTable, moment: str) -> None:
    bench.fund(ALICE, 100)
    once(table, "transact", moment, crash)
    with pytest.raises(Crash):
        bench.ledger.post(pay(1, ALICE, BOB, 60))
    first = bench_time(bench)
    bench.clock.advance(seconds=5)
    assert bench.ledger.post(pay(1, ALICE, BOB, 60)).at == (first if moment == "after" else bench_time(bench))
    assert balances(bench, BOB) == (60, 0, 60)


def test_two_sagas_post_once_and_answer_alike(bench: Bench, table: MemoryTable) -> None:
    bench.fund(ALICE, 100)
    others: list[PostOutcome] = []

    def rival() -> None:
        others.append(bench.ledger.post(pay(1, ALICE, BOB, 60)))
        bench.clock.advance(seconds=1)

    once(table, "transact", "before", rival)
    assert [bench.ledger.post(pay(1, ALICE, BOB, 60))] == others
    assert balances(bench, BOB) == (60, 0, 60)


def test_a_decline_that_comes_too_late_answers_the_posting(bench: Bench, table: MemoryTable) -> None:
    """Between the read of the marker and that of the balance, a rival posted the very step."""
    bench.fund(ALICE, 100)
    once(table, "batch_get", "between", lambda: bench.ledger.post(pay(1, ALICE, BOB, 60)))
    assert bench.ledger.post(pay(1, ALICE, BOB, 60)).outcome == "posted"
    assert balances(bench, ALICE) == (40, 0, 40)


def test_the_marker_speaks_before_a_conflict_on_another_item(bench: Bench, table: MemoryTable) -> None:
    bench.fund(ALICE, 100)
    tries = []

    def hook(call: Call) -> None:
        if (call.operation, call.moment) == ("transact", "before"):
            tries.append(call)
            if len(tries) == 1:
                table.hook = None
                bench.ledger.post(pay(1, ALICE, BOB, 60))
                table.hook = hook
                raise Conflict(1)

    table.hook = hook
    assert bench.ledger.post(pay(1, ALICE, BOB, 60)).outcome == "posted"
    assert len(tries) == 1 and balances(bench, BOB) == (60, 0, 60)


def test_patience_has_an_end(bench: Bench, table: MemoryTable) -> None:
    bench.fund(ALICE, 100)
    bench.fund(BOB, 1000, 9001)
    number = iter(range(2, 100))

    def hook(call: Call) -> None:
        if (call.operation, call.moment) == ("transact", "before"):
            table.hook = None
            bench.ledger.post(pay(next(number), BOB, CAROL, 1))
            table.hook = hook

    table.hook = hook
    with pytest.raises(Busy):
        bench.ledger.post(pay(1, ALICE, BOB, 60))
    assert bench.pauses == [1, 2, 3, 4, 5, 6, 7]
    table.hook = None
    assert bench.ledger.post(pay(1, ALICE, BOB, 60)).outcome == "posted"


def test_lasting_conflicts_are_the_callers_to_retry(bench: Bench, table: MemoryTable) -> None:
    bench.fund(ALICE, 100)

    def hook(call: Call) -> None:
        if call.operation == "transact":
            raise Conflict

    table.hook = hook
    with pytest.raises(Contended):
        bench.ledger.post(pay(1, ALICE, BOB, 60))
    assert balances(bench, ALICE) == (100, 0, 100)


# --- refusing -------------------------------------------------------------------------------------------------------


def test_what_was_refused_never_posts(bench: Bench) -> None:
    bench.fund(ALICE, 100)
    refused = bench.ledger.refuse(Refuse(trf(1), "declined", "card_declined"))
    assert refused == PostOutcome("declined", "card_declined", bench_time(bench))
    bench.clock.advance(seconds=1)
    assert bench.ledger.post(pay(1, ALICE, BOB, 10)) == refused
    assert bench.ledger.refuse(Refuse(trf(1), "failed")) == refused
    assert balances(bench, BOB) == (0, 0, 0)


def test_what_has_posted_stays_posted(bench: Bench, table: MemoryTable) -> None:
    bench.fund(ALICE, 100)
    once(table, "put", "before", lambda: bench.ledger.post(pay(1, ALICE, BOB, 10)))
    assert bench.ledger.refuse(Refuse(trf(1), "failed")).outcome == "posted"
    with pytest.raises(ValueError, match="step"):
        bench.ledger.refuse(Refuse(trf(1), "failed", step="hold"))


# --- holds ----------------------------------------------------------------------------------------------------------


def reserved(bench: Bench, amount: int = 60) -> HoldOutcome:
    bench.fund(ALICE, 100)
    return bench.ledger.reserve(Reserve(trf(1), ALICE, amount, "USD", "rent"))


def test_a_hold_sets_money_aside_once(bench: Bench) -> None:
    held = reserved(bench)
    assert held == HoldOutcome("held", "", bench_time(bench), 60)
    bench.clock.advance(seconds=1)
    assert bench.ledger.reserve(Reserve(trf(1), ALICE, 60, "USD")) == held
    assert balances(bench, ALICE) == (100, 60, 40)
    assert bench.ledger.post(pay(2, ALICE, BOB, 41)).code == "insufficient_funds"


@pytest.mark.parametrize("amount", [None, 45])
@pytest.mark.parametrize("destination", [BOB, RAIL])
def test_settling_pays_and_releases_the_rest(bench: Bench, amount: int | None, destination: str) -> None:
    reserved(bench)
    bench.clock.advance(seconds=1)
    settled = bench.ledger.settle(Settle(trf(1), destination, amount))
    paid = amount or 60
    assert settled == HoldOutcome("settled", "", bench_time(bench), paid)
    assert balances(bench, ALICE) == (100 - paid, 0, 100 - paid)
    if destination == BOB:
        assert balances(bench, BOB) == (paid, 0, paid)
    bench.clock.advance(seconds=1)
    assert bench.ledger.settle(Settle(trf(1), destination, amount)) == settled
    assert bench.ledger.release(Release(trf(1))) == settled
    assert bench.ledger.reserve(Reserve(trf(1), ALICE, 60, "USD")) == settled


def test_releasing_gives_back(bench: Bench) -> None:
    reserved(bench)
    released = bench.ledger.release(Release(trf(1)))
    assert released == HoldOutcome("released", "", bench_time(bench), 60)
    assert balances(bench, ALICE) == (100, 0, 100)
    bench.clock.advance(seconds=1)
    assert bench.ledger.settle(Settle(trf(1), BOB)) == released
    assert bench.ledger.release(Release(trf(1))) == released
    assert bench.ledger.reserve(Reserve(trf(1), ALICE, 60, "USD")) == released
    assert balances(bench, ALICE) == (100, 0, 100)


def test_a_release_that_overtakes_its_reserve(bench: Bench) -> None:
    assert bench.ledger.settle(Settle(trf(1), BOB)) == HoldOutcome("not_found")
    released = bench.ledger.release(Release(trf(1)))
    assert released.outcome == "released" and released.amount == 0
    assert reserved(bench) == released
    assert balances(bench, ALICE) == (100, 0, 100)


def test_a_release_meets_the_reserve_that_it_overtook(bench: Bench, table: MemoryTable) -> None:
    once(table, "put", "before", lambda: reserved(bench))
    assert bench.ledger.release(Release(trf(1))).outcome == "released"
    assert balances(bench, ALICE) == (100, 0, 100)


def test_a_declined_hold_stays_declined(bench: Bench) -> None:
    declined = reserved(bench, 101)
    assert declined == HoldOutcome("declined", "insufficient_funds", bench_time(bench))
    bench.fund(ALICE, 1000, 9001)
    bench.clock.advance(seconds=1)
    assert bench.ledger.reserve(Reserve(trf(1), ALICE, 101, "USD")) == declined
    assert bench.ledger.release(Release(trf(1))) == declined
    assert bench.ledger.settle(Settle(trf(1), BOB)) == declined


@pytest.mark.parametrize(
    ("destination", "code"),
    [(STRANGER, "payee_not_found"), (EVA, "currency_mismatch"), (EURO_RAIL, "currency_mismatch")],
)
def test_a_destination_that_cant_be_paid_leaves_the_hold_open(bench: Bench, destination: str, code: str) -> None:
    reserved(bench)
    assert bench.ledger.settle(Settle(trf(1), destination)) == HoldOutcome("declined", code)
    assert balances(bench, ALICE) == (100, 60, 40)
    assert bench.ledger.settle(Settle(trf(1), BOB)).outcome == "settled"


def test_what_was_promised_before_a_freeze_is_paid(bench: Bench) -> None:
    reserved(bench)
    bench.set_status(ALICE, "frozen")
    assert bench.ledger.settle(Settle(trf(1), BOB)).outcome == "settled"


@pytest.mark.parametrize("settle", [Settle(trf(1), ALICE), Settle(trf(1), BOB, 61), Settle(trf(1), BOB, 0)])
def test_a_hold_is_not_settled_like_this(bench: Bench, settle: Settle) -> None:
    reserved(bench)
    with pytest.raises(ValueError, match=r"\w"):
        bench.ledger.settle(settle)
    assert balances(bench, ALICE) == (100, 60, 40)


@pytest.mark.parametrize("reserve", [Reserve(trf(1), RAIL, 5, "USD"), Reserve(trf(1), ALICE, 0, "USD")])
def test_a_hold_is_not_made_like_this(bench: Bench, reserve: Reserve) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        bench.ledger.reserve(reserve)


@pytest.mark.parametrize("first", [Release(trf(1)), Settle(trf(1), CAROL), Settle(trf(1), BOB, 10)])
@pytest.mark.parametrize("second", [Release(trf(1)), Settle(trf(1), BOB)])
@pytest.mark.parametrize(("call", "moment"), [("batch_get", "after"), ("transact", "before")])
def test_two_resolutions_at_once_are_one(
    bench: Bench, table: MemoryTable, first: Release | Settle, second: Release | Settle, call: str, moment: str
) -> None:
    """A rival resolves the hold between its read and that of the balances, or after both."""
    bench.fund(ALICE, 100, 9001)
    bench.ledger.reserve(Reserve(trf(2), ALICE, 100, "USD"))
    reserved(bench)
    others: list[object] = []
    once(table, call, moment, lambda: others.append(bench.run(first)))
    assert [bench.run(second)] == others


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    "operation", [Reserve(trf(1), ALICE, 60, "USD", "rent"), Settle(trf(1), BOB, 45), Release(trf(1))]
)
def test_a_step_of_a_hold_that_died_is_done_once(
    bench: Bench, table: MemoryTable, operation: Reserve | Settle | Release, moment: str
) -> None:
    bench.fund(ALICE, 100)
    if not isinstance(operation, Reserve):
        bench.ledger.reserve(Reserve(trf(1), ALICE, 60, "USD", "rent"))
    once(table, "transact", moment, crash)
    with pytest.raises(Crash):
        bench.run(operation)
    first = bench_time(bench)
    bench.clock.advance(seconds=5)
    answer = bench.run(operation)
    assert isinstance(answer, HoldOutcome)
    assert answer.at == (first if moment == "after" else bench_time(bench))
    expected = {Reserve: (100, 60, 40), Settle: (55, 0, 55), Release: (100, 0, 100)}
    assert balances(bench, ALICE) == expected[type(operation)]
