"""An account stays open for money that it was made to expect, until the posting step has an outcome."""

from collections.abc import Callable
from contextlib import suppress
from random import Random

import pytest
from common.contracts.accounts import Expect, ExpectOutcome, Post, Refuse
from common.errors import Contended

from tests.support.memory_table import Call, MemoryTable
from tests.unit.accounts.ledger.drawing import end_expectation, expectation
from tests.unit.accounts.ledger.model import Operation, SetStatus
from tests.unit.accounts.ledger.snapshot import Snapshot
from tests.unit.accounts.ledger.world import (
    ALICE,
    BOB,
    EURO_RAIL,
    RAIL,
    STRANGER,
    Crash,
    World,
    crash,
    once,
    published,
    trf,
)

EXPECTED = ExpectOutcome("expected")
NOT_FOUND = ExpectOutcome("refused", "payee_not_found")


def expect(number: int = 1, account_id: str = ALICE, amount: int = 700, currency: str = "USD") -> Expect:
    return Expect(trf(number), account_id, amount, currency)


def deposit(number: int = 1, source: str = RAIL, *, is_expected: bool = True) -> Post:
    return Post(trf(number), source, ALICE, 700, "USD", "top-up", is_expected=is_expected)


def refusal(number: int = 1, expecting: str = ALICE) -> Refuse:
    return Refuse(trf(number), "declined", "card_declined", expecting_account_id=expecting)


def incoming(world: World, account_id: str = ALICE) -> int:
    return int(world.head(account_id).get("incoming", 0))


# --- expecting ------------------------------------------------------------------------------------------------------


def test_expecting_twice_counts_once(world: World, table: MemoryTable) -> None:
    assert world.ledger.expect(expect()) == EXPECTED
    before = table.items()
    world.clock.advance(minutes=5)
    assert world.ledger.expect(expect()) == EXPECTED
    once(table, "transact", "before", lambda: world.ledger.expect(expect(2)))
    assert world.ledger.expect(expect(2)) == EXPECTED
    assert incoming(world) == 2
    assert [item for item in before if item not in table.items()] == [
        item for item in before if item["pk"] == f"A#{ALICE}"
    ]


@pytest.mark.parametrize(("moment", "counted"), [("before", 0), ("after", 1)])
def test_an_expectation_whose_reply_was_lost_counts_once(
    world: World, table: MemoryTable, moment: str, counted: int
) -> None:
    once(table, "transact", moment, crash)
    with pytest.raises(Crash):
        world.ledger.expect(expect())
    assert incoming(world) == counted
    assert world.ledger.expect(expect()) == EXPECTED
    assert incoming(world) == 1


def test_an_expectation_changes_nothing_else(world: World, table: MemoryTable) -> None:
    world.fund(ALICE, 100)
    head, events = world.head(ALICE), list(published(table.changes))
    world.ledger.expect(expect())
    assert world.head(ALICE) == {**head, "incoming": 1}
    world.ledger.refuse(refusal())
    assert world.head(ALICE) == {**head, "incoming": 0}
    assert list(published(table.changes)) == events


@pytest.mark.parametrize(
    ("account_id", "currency", "code"),
    [(BOB, "USD", "payee_not_found"), (STRANGER, "USD", "payee_not_found"), (ALICE, "EUR", "currency_mismatch")],
)
def test_a_closed_account_expects_nothing(
    world: World, table: MemoryTable, account_id: str, currency: str, code: str
) -> None:
    """Neither does one that does not exist or has another currency."""
    world.set_status(BOB, "closed")
    before = table.items()
    request = expect(1, account_id, currency=currency)
    assert [world.ledger.expect(request) for _ in range(2)] == [ExpectOutcome("refused", code)] * 2
    assert [item["pk"] for item in table.items() if item not in before] == [f"S#{trf(1)}"]


def test_an_account_that_closes_meanwhile_expects_nothing(world: World, table: MemoryTable) -> None:
    once(table, "transact", "before", lambda: world.set_status(ALICE, "closed"))
    assert world.ledger.expect(expect()) == NOT_FOUND
    assert world.ledger.expect(expect()) == NOT_FOUND
    assert world.head(ALICE)["status"] == "closed" and incoming(world) == 0
    other: list[object] = []
    once(table, "transact", "before", lambda: other.append(world.ledger.expect(expect(2, BOB))))
    with pytest.raises(Exception, match="account_not_empty"):
        world.set_status(BOB, "closed")
    assert other == [EXPECTED]
    assert world.head(BOB)["status"] == "active" and incoming(world, BOB) == 1


def test_an_outcome_is_returned_whatever_the_account_is_now(world: World) -> None:
    world.ledger.expect(expect())
    world.ledger.refuse(refusal())
    world.set_status(ALICE, "closed")
    assert world.ledger.expect(expect()) == EXPECTED
    assert incoming(world) == 0


def test_a_frozen_account_expects_money(world: World) -> None:
    world.set_status(ALICE, "frozen")
    assert world.ledger.expect(expect()) == EXPECTED
    assert world.ledger.post(deposit()).outcome == "posted"


@pytest.mark.parametrize("meanwhile", [False, True])
def test_nothing_is_expected_after_the_posting_step(world: World, table: MemoryTable, meanwhile: bool) -> None:
    """Nothing would end the expectation."""

    def end() -> object:
        return world.ledger.refuse(Refuse(trf(1), "failed"))

    if meanwhile:
        once(table, "transact", "before", end)
    else:
        end()
    assert [world.ledger.expect(expect()) for _ in range(2)] == [NOT_FOUND] * 2
    assert incoming(world) == 0


@pytest.mark.parametrize(
    "request_", [expect(account_id=RAIL), expect(amount=0), expect(amount=-5), expect(amount=True)]
)
def test_an_invalid_expectation_raises(world: World, table: MemoryTable, request_: Expect) -> None:
    before = table.items()
    with pytest.raises(ValueError, match=r"amount|system"):
        world.ledger.expect(request_)
    assert table.items() == before


# --- ending ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [False, True], ids=["called twice", "reply lost"])
@pytest.mark.parametrize("hot", [False, True], ids=["direct", "hot"])
@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (deposit(), "posted"),
        (deposit(source=BOB), "declined"),
        (deposit(source=EURO_RAIL), "failed"),
        (refusal(), "declined"),
    ],
)
def test_every_outcome_ends_the_expectation_once(
    world: World, table: MemoryTable, end: Post | Refuse, outcome: str, hot: bool, lost: bool
) -> None:
    if hot:
        world.set_hot(ALICE, True)
        world.fund(ALICE, 1)  # the ledger has just read that it is hot
    for number in (1, 2):
        world.ledger.expect(expect(number))
    if lost:
        once(table, "transact", "after", crash)
        with pytest.raises(Crash):
            world.run(end)
        assert incoming(world) == 1
    first = world.run(end)
    assert first.outcome == outcome  # type: ignore[union-attr]
    assert world.run(end) == first
    assert world.run(refusal()) == first
    assert world.run(deposit()) == first
    assert incoming(world) == 1


@pytest.mark.parametrize(("first", "second"), [(deposit(), refusal()), (refusal(), deposit())])
def test_two_endings_at_once_are_one(
    world: World, table: MemoryTable, first: Post | Refuse, second: Post | Refuse
) -> None:
    world.ledger.expect(expect())
    others: list[object] = []
    once(table, "transact", "before", lambda: others.append(world.run(first)))
    assert [world.run(second)] == others
    assert incoming(world) == 0


def test_an_expectation_and_a_posting_at_once_do_not_meet(world: World, table: MemoryTable) -> None:
    posted: list[object] = []
    once(table, "transact", "before", lambda: posted.append(world.ledger.post(deposit(2, is_expected=False)).outcome))
    assert world.ledger.expect(expect(1)) == EXPECTED
    once(table, "transact", "before", lambda: world.ledger.expect(expect(3)))
    posted.append(world.ledger.post(deposit(4, is_expected=False)).outcome)
    once(table, "transact", "before", lambda: world.ledger.expect(expect(5)))
    posted.append(world.ledger.post(deposit(1)).outcome)
    assert posted == ["posted"] * 3
    assert (world.balances(ALICE), incoming(world)) == ((2100, 0, 2100), 2)
    assert world.pauses == []


@pytest.mark.parametrize("end", [deposit(2), deposit(2, EURO_RAIL), refusal(2)])
def test_the_end_of_what_was_not_counted_is_a_fault(world: World, table: MemoryTable, end: Post | Refuse) -> None:
    """The books are wrong, and the saga tries again until they are not."""
    world.ledger.expect(expect())
    world.ledger.refuse(refusal())
    before = table.items()
    with pytest.raises(Contended):
        world.run(end)
    assert table.items() == before


def test_a_posting_that_was_not_expected_leaves_expectations_alone(world: World) -> None:
    world.ledger.expect(expect())
    assert world.ledger.post(deposit(2, is_expected=False)).outcome == "posted"
    world.ledger.refuse(Refuse(trf(3), "failed"))
    assert incoming(world) == 1


def test_a_fault_at_any_call_leaves_consistent_items(world: World, table: MemoryTable) -> None:
    steps: list[Callable[[], object]] = [
        lambda: world.ledger.expect(expect()),
        lambda: world.ledger.post(deposit()),
    ]
    for step in steps:
        for stop in range(1, 6):
            calls = 0

            def die(call: Call, stop: int = stop) -> None:
                nonlocal calls
                calls += 1
                if calls == stop:
                    raise Crash

            table.hook = die
            try:
                step()
            except Crash:
                continue
            finally:
                table.hook = None
            break
        step()
    assert (world.balances(ALICE)[0], incoming(world)) == (700, 0)


# --- any order ------------------------------------------------------------------------------------------------------


def draw_operation(random: Random, expected: list[Expect]) -> Operation:
    """Return an operation on accounts that are often empty."""
    expect = expectation(random)
    operations: list[Operation] = [expect, expect, SetStatus(expect.account_id, "closed")]
    if expected:
        end = end_expectation(random, random.choice(expected))
        operations += [end, end, SetStatus(random.choice(expected).account_id, "closed")]
    return random.choice(operations)


@pytest.mark.parametrize("hot", [False, True], ids=["direct", "hot"])
@pytest.mark.parametrize("seed", range(30))
def test_a_closed_account_expects_nothing_in_any_order_with_faults(seed: int, hot: bool) -> None:
    """The head counts the open expectations after each call, and a step keeps its outcome."""
    random, table = Random(f"{seed} {hot}"), MemoryTable()
    world = World(table)
    if hot:
        world.set_hot(BOB, True)
    outcomes: dict[tuple[str, str], object] = {}

    def run(operation: Operation) -> None:
        outcome = world.run(operation)
        if isinstance(operation, Expect | Post | Refuse):
            step = "expect" if isinstance(operation, Expect) else "post"
            assert outcomes.setdefault((operation.transfer_id, step), outcome) == outcome
        if isinstance(operation, Post) and outcome.outcome == "posted":  # type: ignore[union-attr]
            # The account is empty again, so that it can be closed.
            account_id, amount = operation.destination_account_id, operation.amount
            world.ledger.post(Post(operation.transfer_id, account_id, RAIL, amount, "USD", step="payout"))

    def expected() -> list[Expect]:
        """Return what the accounts were made to expect, whether or not it has ended."""
        items = Snapshot.of(table.items()).expectations.values()
        return [
            Expect(item["transfer_id"], item["account_id"], item["amount"], item["currency"])
            for item in items
            if item["outcome"] == "expected"
        ]

    for _ in range(40):
        other = draw_operation(random, expected())
        happening: Callable[[], object] = random.choice([crash, lambda other=other: run(other), lambda: None])  # type: ignore[misc]
        once(table, random.choice(["transact", "put"]), random.choice(["before", "after"]), happening)
        with suppress(Crash):
            run(draw_operation(random, expected()))
        table.hook = None
        Snapshot.of(table.items()).check()
    for expect in expected():
        run(refusal(int(expect.transfer_id[4:]), expect.account_id))
    assert not any(head.get("incoming") for head in Snapshot.of(table.items()).heads.values())
