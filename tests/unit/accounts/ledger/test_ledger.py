"""The rules of the ledger, with concurrent writers and faults."""

import pytest
from common.contracts.accounts import HoldOutcome, Post, PostOutcome, Refuse, Release, Reserve, Settle
from common.errors import Contended

from tests.support.memory_table import Call, Conflict, MemoryTable
from tests.unit.accounts.ledger.snapshot import Snapshot
from tests.unit.accounts.ledger.world import (
    ALICE,
    BOB,
    CAROL,
    EURO_RAIL,
    EVA,
    RAIL,
    STRANGER,
    Crash,
    World,
    crash,
    once,
    trf,
)


def pay(number: int, source: str, destination: str, amount: int, currency: str = "USD") -> Post:
    return Post(trf(number), source, destination, amount, currency, "lunch")


# --- posting --------------------------------------------------------------------------------------------------------


def test_a_posting_moves_money_and_writes_both_lines(world: World, table: MemoryTable) -> None:
    world.fund(ALICE, 500)
    world.clock.advance(seconds=1)
    outcome = world.ledger.post(pay(1, ALICE, BOB, 120))
    assert outcome == PostOutcome("posted", "", world.now())
    assert world.balances(ALICE) == (380, 0, 380)
    assert world.balances(BOB) == (120, 0, 120)
    debit, credit = Snapshot.of(table.items()).journals[ALICE][-1], Snapshot.of(table.items()).journals[BOB][-1]
    assert debit["sk"] == f"{outcome.at}#000000000002" and credit["sk"] == f"{outcome.at}#000000000001"
    assert (debit["posted_change"], debit["posted"], debit["description"]) == (-120, 380, "lunch")
    assert (credit["posted_change"], credit["held_change"], credit["posted"], credit["step"]) == (120, 0, 120, "post")
    assert debit["entry_id"] != credit["entry_id"] and debit["entry_id"].startswith("ent_")


def test_a_posting_called_twice_is_done_once(world: World, table: MemoryTable) -> None:
    world.fund(ALICE, 500)
    first = world.ledger.post(pay(1, ALICE, BOB, 120))
    before = table.items()
    world.clock.advance(minutes=20)
    assert world.ledger.post(pay(1, ALICE, BOB, 120)) == first
    assert table.items() == before


def test_two_steps_of_a_transfer_post_separately(world: World) -> None:
    world.fund(ALICE, 500)
    world.ledger.post(pay(1, ALICE, BOB, 100))
    world.ledger.post(Post(trf(1), BOB, ALICE, 40, "USD", step="refund"))
    assert world.balances(BOB) == (60, 0, 60)


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
def test_a_refusal_is_stored_and_changes_nothing(
    world: World, table: MemoryTable, request_: Post, outcome: str, code: str
) -> None:
    world.fund(ALICE, 500)
    before = table.items()
    answer = world.ledger.post(request_)
    assert (answer.outcome, answer.code, answer.at) == (outcome, code, world.now())
    assert [item["pk"] for item in table.items() if item not in before] == [f"S#{trf(1)}"]
    world.fund(ALICE, 10_000, 9001)
    world.clock.advance(minutes=1)
    assert world.ledger.post(request_) == answer


def test_credit_can_be_spent(world: World) -> None:
    assert world.ledger.post(pay(1, CAROL, BOB, 300)).outcome == "posted"
    assert world.balances(CAROL) == (-300, 0, 0)
    assert world.ledger.post(pay(2, CAROL, BOB, 1)).code == "insufficient_funds"


def test_a_frozen_account_can_be_paid_but_not_pay(world: World) -> None:
    world.fund(ALICE, 100)
    world.fund(BOB, 100, 9001)
    world.set_status(ALICE, "frozen")
    assert world.ledger.post(pay(1, ALICE, BOB, 1)).code == "account_frozen"
    assert world.ledger.reserve(Reserve(trf(2), ALICE, 1, "USD")).code == "account_frozen"
    assert world.ledger.post(pay(3, BOB, ALICE, 1)).outcome == "posted"


def test_a_closed_account_can_neither_pay_nor_be_paid(world: World) -> None:
    world.fund(ALICE, 100)
    world.set_status(BOB, "closed")
    assert world.ledger.post(pay(1, ALICE, BOB, 1)) == PostOutcome("failed", "payee_not_found", world.now())
    assert world.ledger.post(pay(2, BOB, ALICE, 1)).outcome == "declined"


@pytest.mark.parametrize(
    "request_",
    [
        pay(1, ALICE, BOB, 0),
        pay(1, ALICE, BOB, -5),
        pay(1, ALICE, BOB, 10**15 + 1),
        pay(1, ALICE, BOB, True),
        Post(trf(1), ALICE, BOB, 10, "USD", step="expect"),
        Post(trf(1), ALICE, BOB, 10, "USD", step="hold"),
        Post(trf(1), ALICE, BOB, 10, "USD", step="settle"),
        Post(trf(1), ALICE, BOB, 10, "USD", step=""),
    ],
)
def test_an_invalid_posting_raises(world: World, table: MemoryTable, request_: Post) -> None:
    world.fund(ALICE, 100)
    before = table.items()
    with pytest.raises(ValueError, match=r"\w"):
        world.ledger.post(request_)
    assert table.items() == before


@pytest.mark.parametrize("account_id", [ALICE, RAIL])
def test_a_posting_from_an_account_to_itself_raises(world: World, table: MemoryTable, account_id: str) -> None:
    world.fund(ALICE, 100)
    before = table.items()
    with pytest.raises(ValueError, match="one account"):
        world.ledger.post(pay(1, account_id, account_id, 10))
    assert table.items() == before


def test_a_posting_is_not_older_than_the_lines_of_its_accounts(world: World) -> None:
    world.fund(BOB, 100)
    late = world.now()
    world.clock.advance(minutes=-5)
    world.fund(ALICE, 100, 9001)
    assert world.ledger.post(pay(1, ALICE, BOB, 1)).at == late
    assert world.head(ALICE)["line_at"] == late


# --- a posting, concurrent writers and faults -----------------------------------------------------------------------


def test_a_payee_that_changed_and_changed_back_loses_no_version(world: World, table: MemoryTable) -> None:
    """The payee's balance is the same as when it was read, but its version is not."""
    world.fund(ALICE, 500)
    world.fund(CAROL, 500, 9001)

    def change_and_change_back() -> None:
        world.clock.advance(seconds=1)
        world.ledger.post(pay(2, CAROL, BOB, 50))
        world.ledger.post(pay(3, BOB, CAROL, 50))
        world.clock.advance(seconds=1)

    once(table, "transact", "before", change_and_change_back)
    assert world.ledger.post(pay(1, ALICE, BOB, 10)).outcome == "posted"
    assert world.head(BOB)["version"] == 3
    assert world.pauses == [1]


def test_money_spent_since_it_was_read_is_not_spent_again(world: World, table: MemoryTable) -> None:
    world.fund(ALICE, 100)
    once(table, "transact", "before", lambda: world.ledger.post(pay(2, ALICE, CAROL, 60)))
    assert world.ledger.post(pay(1, ALICE, BOB, 60)).code == "insufficient_funds"
    assert world.balances(ALICE) == (40, 0, 40)


@pytest.mark.parametrize(
    ("account_id", "status", "code"), [(ALICE, "frozen", "account_frozen"), (BOB, "closed", "payee_not_found")]
)
def test_an_account_whose_status_changed_since_it_was_read(
    world: World, table: MemoryTable, account_id: str, status: str, code: str
) -> None:
    world.fund(ALICE, 100)
    once(table, "transact", "before", lambda: world.set_status(account_id, status))
    assert world.ledger.post(pay(1, ALICE, BOB, 60)).code == code
    assert world.balances(ALICE) == (100, 0, 100)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_posting_whose_reply_was_lost_has_the_same_outcome(world: World, table: MemoryTable, moment: str) -> None:
    world.fund(ALICE, 100)
    once(table, "transact", moment, crash)
    with pytest.raises(Crash):
        world.ledger.post(pay(1, ALICE, BOB, 60))
    first = world.now()
    world.clock.advance(seconds=5)
    assert world.ledger.post(pay(1, ALICE, BOB, 60)).at == (first if moment == "after" else world.now())
    assert world.balances(BOB) == (60, 0, 60)


def test_two_sagas_post_once_and_get_the_same_outcome(world: World, table: MemoryTable) -> None:
    world.fund(ALICE, 100)
    others: list[PostOutcome] = []

    def post_meanwhile() -> None:
        others.append(world.ledger.post(pay(1, ALICE, BOB, 60)))
        world.clock.advance(seconds=1)

    once(table, "transact", "before", post_meanwhile)
    assert [world.ledger.post(pay(1, ALICE, BOB, 60))] == others
    assert world.balances(BOB) == (60, 0, 60)


def test_a_decline_of_a_step_that_has_just_posted_returns_the_posting(world: World, table: MemoryTable) -> None:
    """Another call posts the same step between the read of the step outcome and that of the balance."""
    world.fund(ALICE, 100)
    once(table, "batch_get", "between", lambda: world.ledger.post(pay(1, ALICE, BOB, 60)))
    assert world.ledger.post(pay(1, ALICE, BOB, 60)).outcome == "posted"
    assert world.balances(ALICE) == (40, 0, 40)


def test_an_existing_step_outcome_is_returned_despite_a_conflict(world: World, table: MemoryTable) -> None:
    world.fund(ALICE, 100)
    tries = []

    def hook(call: Call) -> None:
        if (call.operation, call.moment) == ("transact", "before"):
            tries.append(call)
            if len(tries) == 1:
                table.hook = None
                world.ledger.post(pay(1, ALICE, BOB, 60))
                table.hook = hook
                raise Conflict(1)

    table.hook = hook
    assert world.ledger.post(pay(1, ALICE, BOB, 60)).outcome == "posted"
    assert len(tries) == 1 and world.balances(BOB) == (60, 0, 60)


def test_a_posting_gives_up_after_eight_attempts(world: World, table: MemoryTable) -> None:
    world.fund(ALICE, 100)
    world.fund(BOB, 1000, 9001)
    number = iter(range(2, 100))

    def hook(call: Call) -> None:
        if (call.operation, call.moment) == ("transact", "before"):
            table.hook = None
            world.ledger.post(pay(next(number), BOB, CAROL, 1))
            table.hook = hook

    table.hook = hook
    with pytest.raises(Contended):
        world.ledger.post(pay(1, ALICE, BOB, 60))
    assert world.pauses == [1, 2, 3, 4, 5, 6, 7]
    table.hook = None
    assert world.ledger.post(pay(1, ALICE, BOB, 60)).outcome == "posted"


def test_lasting_transaction_conflicts_raise_contended(world: World, table: MemoryTable) -> None:
    world.fund(ALICE, 100)

    def hook(call: Call) -> None:
        if call.operation == "transact":
            raise Conflict

    table.hook = hook
    with pytest.raises(Contended):
        world.ledger.post(pay(1, ALICE, BOB, 60))
    assert world.balances(ALICE) == (100, 0, 100)


# --- refusing -------------------------------------------------------------------------------------------------------


def test_a_refused_step_never_posts(world: World) -> None:
    world.fund(ALICE, 100)
    refused = world.ledger.refuse(Refuse(trf(1), "declined", "card_declined"))
    assert refused == PostOutcome("declined", "card_declined", world.now())
    world.clock.advance(seconds=1)
    assert world.ledger.post(pay(1, ALICE, BOB, 10)) == refused
    assert world.ledger.refuse(Refuse(trf(1), "failed")) == refused
    assert world.balances(BOB) == (0, 0, 0)


def test_a_posted_step_stays_posted(world: World, table: MemoryTable) -> None:
    world.fund(ALICE, 100)
    once(table, "put", "before", lambda: world.ledger.post(pay(1, ALICE, BOB, 10)))
    assert world.ledger.refuse(Refuse(trf(1), "failed")).outcome == "posted"
    with pytest.raises(ValueError, match="step"):
        world.ledger.refuse(Refuse(trf(1), "failed", step="hold"))


# --- holds ----------------------------------------------------------------------------------------------------------


def reserved(world: World, amount: int = 60) -> HoldOutcome:
    world.fund(ALICE, 100)
    return world.ledger.reserve(Reserve(trf(1), ALICE, amount, "USD", "rent"))


def test_a_hold_sets_money_aside_once(world: World) -> None:
    held = reserved(world)
    assert held == HoldOutcome("held", "", world.now(), 60)
    world.clock.advance(seconds=1)
    assert world.ledger.reserve(Reserve(trf(1), ALICE, 60, "USD")) == held
    assert world.balances(ALICE) == (100, 60, 40)
    assert world.ledger.post(pay(2, ALICE, BOB, 41)).code == "insufficient_funds"


@pytest.mark.parametrize("amount", [None, 45])
@pytest.mark.parametrize("destination", [BOB, RAIL])
def test_settling_pays_and_releases_the_rest(world: World, amount: int | None, destination: str) -> None:
    reserved(world)
    world.clock.advance(seconds=1)
    settled = world.ledger.settle(Settle(trf(1), destination, amount))
    paid = amount or 60
    assert settled == HoldOutcome("settled", "", world.now(), paid)
    assert world.balances(ALICE) == (100 - paid, 0, 100 - paid)
    if destination == BOB:
        assert world.balances(BOB) == (paid, 0, paid)
    world.clock.advance(seconds=1)
    assert world.ledger.settle(Settle(trf(1), destination, amount)) == settled
    assert world.ledger.release(Release(trf(1))) == settled
    assert world.ledger.reserve(Reserve(trf(1), ALICE, 60, "USD")) == settled


def test_releasing_gives_back(world: World) -> None:
    reserved(world)
    released = world.ledger.release(Release(trf(1)))
    assert released == HoldOutcome("released", "", world.now(), 60)
    assert world.balances(ALICE) == (100, 0, 100)
    world.clock.advance(seconds=1)
    assert world.ledger.settle(Settle(trf(1), BOB)) == released
    assert world.ledger.release(Release(trf(1))) == released
    assert world.ledger.reserve(Reserve(trf(1), ALICE, 60, "USD")) == released
    assert world.balances(ALICE) == (100, 0, 100)


def test_a_release_that_overtakes_its_reserve(world: World) -> None:
    assert world.ledger.settle(Settle(trf(1), BOB)) == HoldOutcome("not_found")
    released = world.ledger.release(Release(trf(1)))
    assert released.outcome == "released" and released.amount == 0
    assert reserved(world) == released
    assert world.balances(ALICE) == (100, 0, 100)


def test_a_release_at_the_same_time_as_its_reserve(world: World, table: MemoryTable) -> None:
    once(table, "put", "before", lambda: reserved(world))
    assert world.ledger.release(Release(trf(1))).outcome == "released"
    assert world.balances(ALICE) == (100, 0, 100)


def test_a_declined_hold_stays_declined(world: World) -> None:
    declined = reserved(world, 101)
    assert declined == HoldOutcome("declined", "insufficient_funds", world.now())
    world.fund(ALICE, 1000, 9001)
    world.clock.advance(seconds=1)
    assert world.ledger.reserve(Reserve(trf(1), ALICE, 101, "USD")) == declined
    assert world.ledger.release(Release(trf(1))) == declined
    assert world.ledger.settle(Settle(trf(1), BOB)) == declined


@pytest.mark.parametrize(
    ("destination", "code"),
    [(STRANGER, "payee_not_found"), (EVA, "currency_mismatch"), (EURO_RAIL, "currency_mismatch")],
)
def test_a_destination_that_cant_be_paid_leaves_the_hold_open(world: World, destination: str, code: str) -> None:
    reserved(world)
    assert world.ledger.settle(Settle(trf(1), destination)) == HoldOutcome("declined", code)
    assert world.balances(ALICE) == (100, 60, 40)
    assert world.ledger.settle(Settle(trf(1), BOB)).outcome == "settled"


def test_a_hold_of_an_account_that_was_frozen_later_is_paid(world: World) -> None:
    reserved(world)
    world.set_status(ALICE, "frozen")
    assert world.ledger.settle(Settle(trf(1), BOB)).outcome == "settled"


@pytest.mark.parametrize("settle", [Settle(trf(1), ALICE), Settle(trf(1), BOB, 61), Settle(trf(1), BOB, 0)])
def test_an_invalid_settlement_raises(world: World, settle: Settle) -> None:
    reserved(world)
    with pytest.raises(ValueError, match=r"\w"):
        world.ledger.settle(settle)
    assert world.balances(ALICE) == (100, 60, 40)


@pytest.mark.parametrize("reserve", [Reserve(trf(1), RAIL, 5, "USD"), Reserve(trf(1), ALICE, 0, "USD")])
def test_an_invalid_hold_raises(world: World, reserve: Reserve) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        world.ledger.reserve(reserve)


@pytest.mark.parametrize("first", [Release(trf(1)), Settle(trf(1), CAROL), Settle(trf(1), BOB, 10)])
@pytest.mark.parametrize("second", [Release(trf(1)), Settle(trf(1), BOB)])
@pytest.mark.parametrize(("call", "moment"), [("batch_get", "after"), ("transact", "before")])
def test_two_resolutions_at_once_are_one(
    world: World, table: MemoryTable, first: Release | Settle, second: Release | Settle, call: str, moment: str
) -> None:
    """Another call resolves the hold between its read and that of the balances, or after both."""
    world.fund(ALICE, 100, 9001)
    world.ledger.reserve(Reserve(trf(2), ALICE, 100, "USD"))
    reserved(world)
    others: list[object] = []
    once(table, call, moment, lambda: others.append(world.run(first)))
    assert [world.run(second)] == others


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    "operation", [Reserve(trf(1), ALICE, 60, "USD", "rent"), Settle(trf(1), BOB, 45), Release(trf(1))]
)
def test_a_step_of_a_hold_that_died_is_done_once(
    world: World, table: MemoryTable, operation: Reserve | Settle | Release, moment: str
) -> None:
    world.fund(ALICE, 100)
    if not isinstance(operation, Reserve):
        world.ledger.reserve(Reserve(trf(1), ALICE, 60, "USD", "rent"))
    once(table, "transact", moment, crash)
    with pytest.raises(Crash):
        world.run(operation)
    first = world.now()
    world.clock.advance(seconds=5)
    answer = world.run(operation)
    assert isinstance(answer, HoldOutcome)
    assert answer.at == (first if moment == "after" else world.now())
    expected = {Reserve: (100, 60, 40), Settle: (55, 0, 55), Release: (100, 0, 100)}
    assert world.balances(ALICE) == expected[type(operation)]
