"""What a hostile auditor tried: calls that find their own effect, and any two operations, one amid the other."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from common.errors import Problem
from common.events import Actor
from common.idempotency import Idempotency
from common.tasks import Post, Release, Reserve, Settle

from tests.support.memory_table import Call, MemoryTable
from tests.unit.accounts.ledger.bench import ALICE, BOB, CAROL, FEES, Bench, answer_of, published, trf
from tests.unit.accounts.ledger.books import Books
from tests.unit.accounts.ledger.model import Operation, SetAlert, SetCredit, SetHot, SetLimits, SetStatus
from tests.unit.accounts.world import World, once

ADA = "usr_01K0000000000000000000000A"
ACTOR = Actor(ADA, "ses_01K0000000000000000000000A", "203.0.113.7", "tests")
PIN, NEW = "135790", "908070"


class Again:
    """Has the next transaction written twice, as by a client that never heard that the first one was."""

    def __init__(self, table: MemoryTable) -> None:
        self._table = table
        self._transact = table.transact
        table.transact = self  # type: ignore[method-assign]

    def __call__(self, writes: Any) -> None:
        self._table.transact = self._transact  # type: ignore[method-assign]
        self._transact(writes)
        self._transact(writes)


@pytest.fixture
def world() -> World:
    return World()


def told(world: World) -> list[str]:
    return [event["type"] for event in world.events()]


def test_a_pin_that_was_set_by_a_try_whose_reply_was_lost_is_set_once(world: World) -> None:
    account = world.open(ADA)
    for pin, current in ((PIN, None), (NEW, PIN)):
        world.table.changes.clear()
        Again(world.table)
        world.pins.set(account, ADA, pin, current, ACTOR)
        assert told(world) == ["account.updated"]
        world.pins.check(account, pin, ACTOR)
    kept = world.item(f"A#{account}", "P")
    assert kept is not None
    assert (kept["tries"], kept["version"]) == (0, 2)


@pytest.mark.parametrize("key", [None, Idempotency("scope", "fingerprint")])
def test_a_reset_that_was_done_by_a_try_whose_reply_was_lost_is_done_once(
    world: World, key: Idempotency | None
) -> None:
    account = world.open(ADA)
    world.pins.set(account, ADA, PIN, None, ACTOR)
    world.pins.request_reset(account, ADA, None, ACTOR)
    world.table.changes.clear()
    Again(world.table)
    assert not world.pins.reset(account, ADA, "424242", NEW, key, ACTOR)
    assert told(world) == ["account.updated"]
    world.pins.check(account, NEW, ACTOR)
    with pytest.raises(Problem, match="invalid_pin"):
        world.pins.check(account, PIN, ACTOR)


def test_two_resets_at_once_with_one_key_are_both_answered(world: World) -> None:
    account, key = world.open(ADA), Idempotency("scope", "fingerprint")
    world.pins.set(account, ADA, PIN, None, ACTOR)
    world.pins.request_reset(account, ADA, None, ACTOR)
    world.table.changes.clear()
    once(world.table, "before", "batch_get", lambda: world.pins.reset(account, ADA, "424242", NEW, key, ACTOR))
    assert world.pins.reset(account, ADA, "424242", NEW, key, ACTOR)
    assert told(world) == ["account.updated"]


OPERATIONS: Mapping[str, Operation] = {
    "pay": Post(trf(1), ALICE, BOB, 60, "USD", "p"),
    "pay it all": Post(trf(2), ALICE, BOB, 70, "USD", "p"),
    "be paid": Post(trf(3), CAROL, ALICE, 150, "USD", "p"),
    "reserve": Reserve(trf(4), ALICE, 60, "USD", "r"),
    "settle": Settle(trf(50), BOB, 10),
    "release": Release(trf(50)),
    "close the payee": SetStatus(BOB, "closed"),
    "freeze": SetStatus(ALICE, "frozen"),
    "limits": SetLimits(ALICE, 80, None),
    "alert": SetAlert(ALICE, 20),
    "less credit": SetCredit(CAROL, 100),
    "hot": SetHot(ALICE, True),
}


def stage() -> Bench:
    """Alice has 100, of which 30 are held, Carol owes 100 of her credit of 300, and Bob has nothing."""
    bench = Bench(MemoryTable())
    bench.fund(ALICE, 100)
    bench.ledger.post(Post(trf(9002), CAROL, FEES, 100, "USD", "x"))
    bench.set_limits(ALICE, 300, 400)
    bench.set_alert(ALICE, 50)
    bench.ledger.reserve(Reserve(trf(50), ALICE, 30, "USD", "h"))
    return bench


def state(bench: Bench) -> str:
    """What has become of it, in books that balance, with every event told in its order."""
    assert isinstance(bench.table, MemoryTable)
    bench.table.hook = None
    books = Books.of(bench.table.items())
    books.check()
    events = list(published(bench.table.changes))
    for account_id in {event["subject"] for event in events}:
        sequence = [event["sequence"] for event in events if event["subject"] == account_id]
        assert sequence == sorted(set(sequence))
    heads = [bench.head(account_id) for account_id in (ALICE, BOB, CAROL)]
    names = ("status", "credit_limit", "daily_limit", "weekly_limit", "day_spent", "low_balance_alert", "hot")
    kept = [[head.get(name) for name in names] for head in heads]
    balances = {account_id: each for account_id, each in books.balances().items() if each != (0, 0)}
    holds = {transfer_id: hold["status"] for transfer_id, hold in books.holds.items()}
    tellings = sorted(json.dumps([event["type"], event["subject"], event["data"]], sort_keys=True) for event in events)
    return json.dumps([balances, kept, holds, tellings], sort_keys=True)


def one_after_the_other(*names: str) -> tuple[dict[str, Any], str]:
    bench = stage()
    answers = {name: answer_of(bench.run(OPERATIONS[name])) for name in names}
    return answers, state(bench)


def amid(outer: str, inner: str, number: int) -> tuple[dict[str, Any], str] | None:
    """`inner` just before that call of `outer`; None where it makes no such call."""
    bench = stage()
    answers: dict[str, Any] = {}
    calls = 0

    def hook(call: Call) -> None:
        nonlocal calls
        if call.moment != "before":
            return
        if calls == number:
            table.hook = None
            answers[inner] = answer_of(bench.run(OPERATIONS[inner]))
        calls += 1

    assert isinstance(bench.table, MemoryTable)
    table = bench.table
    table.hook = hook
    answers[outer] = answer_of(bench.run(OPERATIONS[outer]))
    return (answers, state(bench)) if inner in answers else None


@pytest.mark.parametrize("outer", OPERATIONS)
def test_an_operation_amid_another_is_as_before_or_after_it(outer: str) -> None:
    for inner in OPERATIONS:
        if inner == outer:
            continue
        either = (one_after_the_other(outer, inner), one_after_the_other(inner, outer))
        number = 0
        while (became := amid(outer, inner, number)) is not None:
            assert became in either, (inner, number)
            number += 1
        assert number
