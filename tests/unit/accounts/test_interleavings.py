"""Calls that find their own effect, and pairs of interleaved operations."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from common.contracts.accounts import Post, Release, Reserve, Settle
from common.contracts.events import Actor
from common.idempotency import IdempotencyKey

from tests.support.memory_table import Call, MemoryTable
from tests.unit.accounts.ledger.model import Operation, SetAlert, SetCredit, SetHot, SetLimits, SetStatus
from tests.unit.accounts.ledger.snapshot import Snapshot
from tests.unit.accounts.ledger.world import ALICE, BOB, CAROL, FEES, answer_of, published, trf
from tests.unit.accounts.ledger.world import World as LedgerWorld
from tests.unit.accounts.world import ADA, World, once, refused

ACTOR = Actor(ADA, "ses_01K0000000000000000000000A", "203.0.113.7", "tests")
PIN, NEW = "135790", "908070"


class WriteTwice:
    """Writes the next transaction twice, like a client that lost the first reply."""

    def __init__(self, table: MemoryTable) -> None:
        self._table = table
        self._transact = table.transact
        table.transact = self  # type: ignore[method-assign]

    def __call__(self, writes: Any) -> None:
        self._table.transact = self._transact  # type: ignore[method-assign]
        self._transact(writes)
        self._transact(writes)


def event_types(world: World) -> list[str]:
    return [event["type"] for event in world.events()]


def test_a_pin_whose_reply_was_lost_is_set_once(world: World) -> None:
    account = world.open(ADA)
    for pin, current in ((PIN, None), (NEW, PIN)):
        world.table.changes.clear()
        WriteTwice(world.table)
        world.pins.set(account, ADA, pin, current, ACTOR)
        assert event_types(world) == ["account.updated"]
        world.pins.check(account, pin, ACTOR)
    kept = world.item(f"A#{account}", "P")
    assert kept is not None
    assert (kept["tries"], kept["version"]) == (0, 2)


@pytest.mark.parametrize("key", [None, IdempotencyKey("scope", ("fingerprint",))])
def test_a_reset_whose_reply_was_lost_is_done_once(world: World, key: IdempotencyKey | None) -> None:
    account = world.open(ADA)
    world.pins.set(account, ADA, PIN, None, ACTOR)
    world.pins.request_reset(account, ADA, None, ACTOR)
    world.table.changes.clear()
    WriteTwice(world.table)
    assert not world.pins.reset(account, ADA, "424242", NEW, key, ACTOR)
    assert event_types(world) == ["account.updated"]
    world.pins.check(account, NEW, ACTOR)
    refused("invalid_pin", lambda: world.pins.check(account, PIN, ACTOR))


def test_two_concurrent_resets_with_one_key_both_succeed(world: World) -> None:
    account, key = world.open(ADA), IdempotencyKey("scope", ("fingerprint",))
    world.pins.set(account, ADA, PIN, None, ACTOR)
    world.pins.request_reset(account, ADA, None, ACTOR)
    world.table.changes.clear()
    once(world.table, "batch_get", "before", lambda: world.pins.reset(account, ADA, "424242", NEW, key, ACTOR))
    assert world.pins.reset(account, ADA, "424242", NEW, key, ACTOR)
    assert event_types(world) == ["account.updated"]


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


def stage() -> LedgerWorld:
    """Alice has 100, of which 30 are held, Carol owes 100 of her credit of 300, and Bob has nothing."""
    world = LedgerWorld(MemoryTable())
    world.fund(ALICE, 100)
    world.ledger.post(Post(trf(9002), CAROL, FEES, 100, "USD", "x"))
    world.set_limits(ALICE, 300, 400)
    world.set_alert(ALICE, 50)
    world.ledger.reserve(Reserve(trf(50), ALICE, 30, "USD", "h"))
    return world


def state(world: LedgerWorld) -> str:
    """The state of the ledger and its events. The ledger has to be consistent, and the events in order."""
    assert isinstance(world.table, MemoryTable)
    world.table.hook = None
    snapshot = Snapshot.of(world.table.items())
    snapshot.check()
    events = list(published(world.table.changes))
    for account_id in {event["subject"] for event in events}:
        sequence = [event["sequence"] for event in events if event["subject"] == account_id]
        assert sequence == sorted(set(sequence))
    heads = [world.head(account_id) for account_id in (ALICE, BOB, CAROL)]
    names = ("status", "credit_limit", "daily_limit", "weekly_limit", "day_spent", "low_balance_alert", "hot")
    kept = [[head.get(name) for name in names] for head in heads]
    balances = {account_id: each for account_id, each in snapshot.balances().items() if each != (0, 0)}
    holds = {transfer_id: hold["status"] for transfer_id, hold in snapshot.holds.items()}
    described = sorted(json.dumps([event["type"], event["subject"], event["data"]], sort_keys=True) for event in events)
    return json.dumps([balances, kept, holds, described], sort_keys=True)


def in_sequence(*names: str) -> tuple[dict[str, Any], str]:
    world = stage()
    answers = {name: answer_of(world.run(OPERATIONS[name])) for name in names}
    return answers, state(world)


def interleaved(outer: str, inner: str, number: int) -> tuple[dict[str, Any], str] | None:
    """Run `inner` just before call `number` of `outer`. None if it makes fewer calls."""
    world = stage()
    answers: dict[str, Any] = {}
    calls = 0

    def hook(call: Call) -> None:
        nonlocal calls
        if call.moment != "before":
            return
        if calls == number:
            table.hook = None
            answers[inner] = answer_of(world.run(OPERATIONS[inner]))
        calls += 1

    assert isinstance(world.table, MemoryTable)
    table = world.table
    table.hook = hook
    answers[outer] = answer_of(world.run(OPERATIONS[outer]))
    return (answers, state(world)) if inner in answers else None


@pytest.mark.parametrize("outer", OPERATIONS)
def test_two_interleaved_operations_are_as_in_sequence(outer: str) -> None:
    for inner in OPERATIONS:
        if inner == outer:
            continue
        either = (in_sequence(outer, inner), in_sequence(inner, outer))
        number = 0
        while (outcome := interleaved(outer, inner, number)) is not None:
            assert outcome in either, (inner, number)
            number += 1
        assert number
