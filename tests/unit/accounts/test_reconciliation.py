"""The reconciliation finds every cent that is out of place, and nothing in a ledger that is correct or in motion."""

import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from functools import cache
from random import Random
from typing import Any

import pytest
from common.clock import timestamp
from common.contracts.accounts import Expect, ExpectOutcome, Post, Refuse, Release, Reserve, Settle
from common.dynamo import Item, Update
from common.idempotency import Answer

from functions.accounts.domain.hours import Hour
from functions.accounts.domain.instruments import Card
from functions.accounts.domain.payees import Payee
from functions.accounts.domain.reconciliation.accounts import entries_of
from functions.accounts.domain.reconciliation.findings import Finding
from functions.accounts.domain.reconciliation.inspection import Inspection
from functions.accounts.domain.reconciliation.pairs import bucket
from functions.accounts.store.instruments import InstrumentStore
from functions.accounts.store.payees import PayeeStore
from tests.support.clock import FakeClock
from tests.support.memory_table import MemoryTable
from tests.unit.accounts.ledger.drawing import draw
from tests.unit.accounts.ledger.world import ALICE, BOB, CAROL, EVA, FEES, RAIL, SHARDS, World, lapse_at, trf

ADA, BEN = f"usr_{ALICE[4:]}", f"usr_{BOB[4:]}"
FUNDED, SENT, WAITING, DECLINED, REFUSED = map(trf, (9000, 1, 9001, 2, 3))
OPEN, SETTLED, RELEASED, LAPSED, TOO_MUCH, EARLY = map(trf, range(101, 107))
EXPECTED, ARRIVED, UNEXPECTED = map(trf, range(301, 304))
PHONE = "+4915112345678"

# Attributes that are neither money nor counts, and name neither an owner nor a time.
UNCHECKED = {"description", "code", "name", "type", "created_at", "changes", "shard", "outbox", "entry_id"}
UNCHECKED |= {
    "daily_limit",
    "weekly_limit",
    "day_told",
    "week_told",
    "low_balance_alert",
    "lapse_at",
    "lapse_shard",
}


def correct_items() -> list[Item]:
    """Return a copy of the items of a table with every kind of item, written by the code that writes them."""
    return deepcopy(written())


@cache
def written() -> list[Item]:
    table = MemoryTable()
    world = World(table)
    world.fund(ALICE, 1000)
    world.folding.fold(RAIL, SHARDS)
    world.ledger.post(Post(SENT, ALICE, BOB, 400, "USD", "lunch"))
    world.fund(BOB, 70, 9001)
    world.folding.fold(RAIL, SHARDS)
    world.ledger.post(Post(DECLINED, BOB, ALICE, 9000, "USD"))
    world.ledger.refuse(Refuse(REFUSED, "failed", "card_declined"))
    for transfer, amount, until in ((OPEN, 30, ""), (SETTLED, 50, ""), (RELEASED, 20, ""), (LAPSED, 10, lapse_at(1))):
        world.ledger.reserve(Reserve(transfer, ALICE, amount, "USD", "rent", until))
    world.ledger.reserve(Reserve(TOO_MUCH, ALICE, 5000, "USD"))
    world.ledger.release(Release(EARLY))
    world.ledger.settle(Settle(SETTLED, BOB, 35))
    for transfer, account_id in ((EXPECTED, ALICE), (ARRIVED, BOB), (UNEXPECTED, EVA)):
        world.ledger.expect(Expect(transfer, account_id, 9, "USD"))
    world.ledger.refuse(Refuse(ARRIVED, "declined", "card_declined", expecting_account_id=BOB))
    world.set_limits(ALICE, daily=460)
    world.ledger.post(Post(trf(4), ALICE, BOB, 100, "USD"))
    world.set_credit(BOB, 40)
    world.clock.advance(days=2)
    world.ledger.release(Release(RELEASED))
    world.ledger.lapse(LAPSED)
    world.ledger.post(Post(trf(5), BOB, FEES, 5, "USD"))
    table.update(Update((f"A#{CAROL}", "H"), set={"hot": True}))
    world.fund(CAROL, 40, 9003)
    world.folding.fold(CAROL, SHARDS)
    world.ledger.post(Post(trf(6), CAROL, ALICE, 310, "USD"))
    world.fund(CAROL, 20, 9004)
    world.set_status(EVA, "closed")
    world.fund(BOB, 30, 9002)
    for account_id in (ALICE, BOB, CAROL, EVA):
        table.put({"pk": f"U#usr_{account_id[4:]}", "sk": f"A#{account_id}"})
    for account_id in (ALICE, BOB, CAROL):
        table.put({"pk": f"U#usr_{account_id[4:]}", "sk": "D#USD", "account_id": account_id})
    table.put({"pk": f"U#usr_{EVA[4:]}", "sk": "X", "kept": True})
    table.put({"pk": f"A#{ALICE}", "sk": "P", "hash": "h", "tries": 0, "version": 1})
    card = Card("crd_1", "visa", "4242", 1, 2030, "Ada", timestamp(world.clock()))
    InstrumentStore(table).add_card(ADA, card, ["digest", "older"], 10, Hour.of(FakeClock()()), None, Answer(201, "{}"))
    table.put({"pk": f"U#{ADA}", "sk": "B#bka_1"})
    for payee in (
        Payee(ADA, 2, "active", "Ada", "L", "ada@example.com", PHONE, "t"),
        Payee(BEN, 1, "suspended", "Ben", "B", "ben@example.com", None, "t"),
    ):
        PayeeStore(table).update(payee.user_id, {}, dict.fromkeys((payee.user_id, *payee.aliases), payee))
    return table.items()


def wrong(items: list[Item], **how: Any) -> set[tuple[int, str]]:
    """Return what an inspection finds: the number of the invariant, and the item."""
    items = sorted(items, key=lambda item: (item["pk"], item["sk"]))
    return named(Inspection(items, **how).findings())


def named(findings: list[Finding]) -> set[tuple[int, str]]:
    return {(finding.number, each.id) for finding in findings for each in finding.violations}


def test_a_correct_ledger_has_no_violations() -> None:
    findings = Inspection(correct_items()).findings()
    assert [finding.number for finding in findings] == [1, 2, 3, 4, 5, 8]
    assert [finding.violations for finding in findings] == [[]] * 6
    assert findings[0].counted == "2 currencies, 6 accounts, 5 pending credits, 9 postings"
    assert Inspection(correct_items(), watched=()).unbalanced == set()
    assert wrong([]) == set()


@pytest.mark.parametrize("seed", range(25))
def test_random_operations_leave_no_violations(seed: int) -> None:
    random, world = Random(seed), World(MemoryTable())
    held: list[str] = []
    expected: list[Expect] = []
    for _ in range(120):
        operation = draw(random, held, expected)
        with suppress(ValueError):
            if world.run(operation) == ExpectOutcome("expected") and isinstance(operation, Expect):
                expected.append(operation)
        if isinstance(operation, Reserve):
            held.append(operation.transfer_id)
    found = wrong(world.table.items())  # type: ignore[attr-defined]
    # The world of the ledger has no ownership items.
    assert {each for each in found if each[0] != 8} == set()


def places(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every number of an item that is checked."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in UNCHECKED:
                yield from places(inner, *path, name)
    elif isinstance(value, bytes):
        yield from places(json.loads(zlib.decompress(value)), *path)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, *path, number)
    elif type(value) is int:
        yield path


def drifts() -> Iterator[Any]:
    for number, item in enumerate(correct_items()):
        if item["pk"][0] in "AEIS" and item["sk"] != "P":
            # A batch may be clean before it counts as clean, and the amount of a hold that holds nothing is no money.
            no_money = item.get("status") == "declined" or item.get("amount") == 0 or item["sk"] == "expect"
            nothing = {"clean", "amount"} if no_money else {"clean"}
            for path in places(item):
                if path[-1] in nothing:
                    continue
                yield pytest.param(number, path, id=f"{item['pk']}-{item['sk']}-{'.'.join(map(str, path))}")


@pytest.mark.parametrize(("number", "path"), drifts())
@pytest.mark.parametrize("cent", [1, -1])
def test_one_cent_out_of_place_is_found(number: int, path: tuple[Any, ...], cent: int) -> None:
    items = correct_items()
    place: Any = items[number]
    page = path[0] == "lines"
    if page:
        place["lines"] = json.loads(zlib.decompress(place["lines"]))
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] += cent
    if page:
        items[number]["lines"] = zlib.compress(json.dumps(items[number]["lines"]).encode())
    assert wrong(items) != set()
    watched = Inspection(items, watched=())
    assert watched.unbalanced or named(watched.findings())


@pytest.mark.parametrize(
    "number", [number for number, item in enumerate(correct_items()) if item["pk"][0] in "AEISUFP"]
)
def test_a_lost_item_is_found(number: int) -> None:
    items = correct_items()
    lost = items.pop(number)
    # What moved nothing, and what the reconciliation does not check, has no counterpart.
    silent = (
        (lost.get("outcome") in ("declined", "failed", "refused") and lost["transfer_id"] != ARRIVED)
        or (lost["pk"], lost["sk"]) == (f"S#{ARRIVED}", "expect")
        or lost.get("status") == "declined"
        or lost.get("amount") == 0
    )
    assert bool(wrong(items)) != bool(silent or lost["pk"][:1] + lost["sk"] in ("AP", "UX", "UB#bka_1", "UN#C#"))


@pytest.mark.parametrize(
    ("pk", "sk", "change", "found"),
    [
        (f"U#{ADA}", "D#USD", {"account_id": BOB}, (8, BOB)),
        (f"U#{ADA}", "D#USD", {"account_id": EVA}, (8, EVA)),
        (f"U#{ADA}", "D#USD", {"account_id": "acc_GHOST"}, (8, "acc_GHOST")),
        (f"A#{ALICE}", "H", {"status": "closed"}, (8, ALICE)),
        (f"A#{ALICE}", "H", {"status": "closed"}, (3, ALICE)),
        (f"A#{EVA}", "H", {"status": "frozen"}, (8, EVA)),
        (f"A#{ALICE}", "H", {"owner_id": BEN}, (8, ALICE)),
        (f"A#{ALICE}", "H", {"currency": "EUR"}, (1, "EUR")),
        (f"A#{ALICE}", "H", {"day": "2026-11-22"}, (3, ALICE)),
        (f"A#{ALICE}", "H", {"week": "2026-W01"}, (3, ALICE)),
        (f"U#{ADA}", "C#crd_1", {"fingerprints": ["another"]}, (8, "crd_1")),
        ("F#digest", "F", {"user_id": BEN}, (8, "crd_1")),
        ("P#ada@example.com", "P", {"user_id": BEN}, (8, BEN)),
        (f"P#{PHONE}", "P", {"sequence": 1}, (8, ADA)),
        (f"P#{ADA}", "P", {"status": "deleted"}, (8, ADA)),
        (f"P#{BEN}", "P", {"email": None}, (8, BEN)),
        (f"S#{DECLINED}", "post", {"outcome": "posted"}, (4, DECLINED)),
        (f"S#{SENT}", "post", {"outcome": "declined"}, (5, SENT)),
        (f"S#{OPEN}", "hold", {"status": "released", "resolved_at": "2026"}, (3, ALICE)),
        (f"S#{SETTLED}", "hold", {"status": "open"}, (4, SETTLED)),
        (f"S#{SETTLED}", "hold", {"settled_amount": 51}, (4, SETTLED)),
        (f"S#{LAPSED}", "hold", {"account_id": BOB}, (4, LAPSED)),
        (f"A#{ALICE}", "H", {"incoming": 0}, (3, ALICE)),
        (f"A#{ALICE}", "H", {"incoming": 2}, (3, ALICE)),
        (f"A#{BOB}", "H", {"incoming": -1}, (3, BOB)),
        (f"A#{EVA}", "H", {"incoming": 1}, (3, EVA)),
        (f"S#{EXPECTED}", "expect", {"outcome": "refused"}, (3, ALICE)),
        (f"S#{EXPECTED}", "expect", {"account_id": BOB}, (3, BOB)),
        (f"S#{EXPECTED}", "expect", {"account_id": "acc_GHOST"}, (3, "acc_GHOST")),
        (f"S#{UNEXPECTED}", "expect", {"outcome": "expected"}, (3, EVA)),
    ],
)
def test_a_violation_is_named(pk: str, sk: str, change: Item, found: tuple[int, str]) -> None:
    items = correct_items()
    next(item for item in items if (item["pk"], item["sk"]) == (pk, sk)).update(change)
    assert found in wrong(items)


def test_a_closed_account_that_expects_money_is_found() -> None:
    items = correct_items()
    next(item for item in items if item["pk"] == f"A#{EVA}")["incoming"] = 1
    next(item for item in items if item["pk"] == f"S#{UNEXPECTED}")["outcome"] = "expected"
    assert wrong(items) == {(3, EVA)}


def test_an_open_account_of_a_deleted_user_is_found() -> None:
    deleted = {"pk": f"U#{ADA}", "sk": "X", "kept": True}
    assert wrong([*correct_items(), deleted]) == {(8, ALICE)}


def lines(items: list[Item], account_id: str) -> list[Item]:
    return [item for item in items if item["pk"] == f"E#{account_id}"]


def test_a_line_or_batch_out_of_order_is_found() -> None:
    for account_id, change in (
        (ALICE, {"at": "2026-11-20T00:00:00.000Z"}),
        (ALICE, {"sk": f"2026-11-20T00:00:00.000Z#{1:012}"}),
        (ALICE, {"sk": f"2026-11-21T09:30:00.000Z#{0:012}"}),
        (ALICE, {"sk": f"2026-11-23T09:30:00.000Z#{99:012}"}),
        (RAIL, {"sk": f"2026-11-21T09:30:00.000Z#{0:012}"}),
    ):
        items = correct_items()
        lines(items, account_id)[0].update(change)
        assert (2, account_id) in wrong(items)


def test_a_credit_limit_that_changed_without_its_own_line_is_found() -> None:
    items = correct_items()
    credit = next(item for item in lines(items, BOB) if item["step"] == "credit_limit")
    credit["step"] = "post"
    assert (2, BOB) in wrong(items)


def test_a_credit_limit_that_moves_money_is_found() -> None:
    items = correct_items()
    next(item for item in lines(items, ALICE) if item["step"] == "post")["step"] = "credit_limit"
    assert (2, ALICE) in wrong(items)


def test_an_account_that_was_overdrawn_for_a_while_is_found() -> None:
    """The account spent credit that it got later: the end is correct, but in between the balance was negative."""
    items = correct_items()
    for item in lines(items, CAROL):
        del item["credit_limit"]
    assert (3, CAROL) in wrong(items)


def test_a_batch_that_changes_more_than_the_posted_balance_is_found() -> None:
    for change in ({"held": 1}, {"credit_limit": 299}, {"page": 2}):
        items = correct_items()
        page = next(item for item in lines(items, CAROL) if "page" in item)
        page.update(change)
        assert (2, CAROL) in wrong(items)


def test_a_transfer_that_posted_twice_is_found() -> None:
    table = MemoryTable()
    world = World(table)
    world.fund(ALICE, 1000)
    world.ledger.post(Post(SENT, ALICE, BOB, 400, "USD"))
    assert {each for each in wrong(table.items()) if each[0] != 8} == set()
    world.ledger.post(Post(SENT, ALICE, BOB, 400, "USD", step="again"))
    assert {each for each in wrong(table.items()) if each[0] != 8} == {(4, SENT)}


@pytest.mark.parametrize("settled", [0, 6])
def test_a_hold_settled_with_a_wrong_amount_is_found(settled: int) -> None:
    hold = {"pk": f"S#{SETTLED}", "sk": "hold", "account_id": ALICE, "amount": 5, "status": "settled", "at": "2026"}
    hold |= {"settled_amount": settled, "destination_account_id": BOB, "resolved_at": "2026"}
    texts = [drift.what for drift in Inspection([hold]).drifts()]
    assert f"its hold of 5 was settled with {settled}" in texts


def test_a_step_whose_legs_do_not_sum_to_zero_is_found() -> None:
    items = correct_items()
    next(item for item in items if item["pk"] == f"S#{SENT}")["legs"].pop()
    assert (1, SENT) in wrong(items)


def test_a_refusal_with_legs_is_found() -> None:
    items = correct_items()
    legs = [{"account_id": ALICE, "change": -1}, {"account_id": BOB, "change": 1}]
    next(item for item in items if item["pk"] == f"S#{REFUSED}")["legs"] = legs
    assert wrong(items) == {(5, REFUSED)}


def test_an_incomplete_item_is_found_and_its_key_named_unless_it_holds_personal_data() -> None:
    for pk, name in ((f"A#{ALICE}", ALICE), ("P#ada@example.com", "P")):
        items = correct_items()
        broken = next(item for item in items if item["pk"] == pk)
        del broken["currency" if "currency" in broken else "user_id"]
        assert (2, name) in wrong(items)


def test_an_invalid_item_is_found() -> None:
    items = correct_items()
    lines(items, RAIL)[0]["lines"] = b"no page"
    assert (2, RAIL) in wrong(items)
    items = correct_items()
    lines(items, ALICE)[0]["posted"] = "1000"
    assert (2, ALICE) in wrong(items)


def test_a_journal_without_a_head_is_found() -> None:
    items = [item for item in correct_items() if item["pk"] != f"A#{BOB}"]
    assert (2, BOB) in wrong(items)
    items = [item for item in correct_items() if item["pk"] != f"A#{RAIL}"]
    assert (2, RAIL) in wrong(items)


def test_a_folded_credit_that_is_still_pending_counts_once() -> None:
    items = correct_items()
    page = [item for item in items if item["pk"] == f"E#{RAIL}"][-1]
    for line in entries_of(page):
        key = {"pk": f"I#{RAIL}#{line['shard']:02}", "sk": f"{line['transfer_id']}#{line['step']}"}
        items.append({**key, "account_id": RAIL, "currency": "USD", "description": "", **line})
    next(item for item in items if item["pk"] == f"A#{RAIL}")["clean"] -= 1
    assert wrong(items) == set()


# --- a table in motion


FIRST_DAY, SECOND_DAY = "2026-11-22", "2026-11-24"


def test_items_younger_than_the_inspection_are_ignored() -> None:
    """Of a transfer or hold that is being written, each item may exist without its counterparts."""
    later = [item for item in correct_items() if item["pk"][0] in "IS" and item["at"] > FIRST_DAY]
    assert len(later) == 10
    for item in later:
        others = [other for other in correct_items() if other != item]
        assert wrong(others, until=SECOND_DAY) != set()
        assert wrong(others, until=FIRST_DAY) == set()


def expectation(minute: int, **changes: Any) -> Item:
    """Return a younger expectation of Alice's."""
    key = {"pk": f"S#{trf(320)}", "sk": "expect", "transfer_id": trf(320), "step": "expect"}
    at = f"2026-11-22T00:{minute:02}:00.000Z"
    return {**key, "outcome": "expected", "account_id": ALICE, "at": at, **changes}


@pytest.mark.parametrize("counted", [False, True])
def test_an_expectation_that_is_being_made_may_be_counted(counted: bool) -> None:
    items = correct_items()
    next(item for item in items if item["pk"] == f"A#{ALICE}")["incoming"] += counted
    items.append(expectation(5))
    assert wrong(items, until=FIRST_DAY) == set()
    assert wrong(items, until="2026-11-22T00:06") == (set() if counted else {(3, ALICE)})
    items.append(expectation(7, sk="post", step="post", outcome="declined", legs=[]))
    assert wrong(items, until="2026-11-22T00:06") == set()
    assert wrong(items, until="2026-11-22T00:08") == ({(3, ALICE)} if counted else set())


def test_a_head_that_was_read_before_the_expectations_is_compared_with_them() -> None:
    items = correct_items()
    head = next(item for item in items if item["pk"] == f"A#{ALICE}")
    head["incoming"] += 1  # read after the partition of its expectation
    assert wrong(items, until=FIRST_DAY) == {(3, ALICE)}
    assert wrong(items, until=FIRST_DAY, incoming={ALICE: 1}) == set()
    assert wrong(items, until=FIRST_DAY, incoming={ALICE: 2}) == {(3, ALICE)}


def test_an_account_that_changed_meanwhile_is_not_judged_by_its_expectations() -> None:
    items = correct_items()
    head = next(item for item in items if item["pk"] == f"A#{ALICE}")
    head.update(incoming=5, version=head["version"] + 1)
    items.sort(key=lambda item: (item["pk"][0] == "A", item["pk"], item["sk"]))
    inspection = Inspection(items, until=FIRST_DAY)
    assert inspection.moving == {ALICE}
    assert named(inspection.findings()) == set()


def test_money_that_is_expected_for_two_days_is_named_and_is_no_violation() -> None:
    items = correct_items()
    assert Inspection(items, until="2026-11-23T09:00:00.000Z").overdue == []
    late = Inspection(items, until="2026-11-23T10:00:00.000Z")
    assert late.overdue == [(ALICE, f"expects money of {EXPECTED} since 2026-11-21T09:30:00.000Z")]
    assert {each for each in named(late.findings()) if each[0] == 3} == set()


def test_a_hold_resolved_after_the_time_of_the_inspection_counts_as_open() -> None:
    items = correct_items()
    hold = next(item for item in items if item["pk"] == f"S#{RELEASED}")
    hold["status"] = "open"
    del hold["resolved_at"]
    assert wrong(items, until=SECOND_DAY) != set()
    assert wrong(items, until=FIRST_DAY) == set()


def test_an_account_that_changes_after_its_head_was_read_is_correct() -> None:
    items = correct_items()
    head = next(item for item in items if item["pk"] == f"A#{ALICE}")
    last = [item for item in lines(items, ALICE) if item["at"] < FIRST_DAY][-1]
    head.update({name: last[name] for name in ("version", "posted", "held")}, available=last["posted"] - last["held"])
    head.update(day="2026-11-21", day_spent=495, week="2026-W47", week_spent=495)
    assert wrong(items, until=SECOND_DAY) != set()
    assert wrong(items, until=FIRST_DAY) == set()


def test_an_account_that_changes_before_its_head_is_read_is_checked_again() -> None:
    items = correct_items()
    head = next(item for item in items if item["pk"] == f"A#{ALICE}")
    journal = lines(items, ALICE)
    seen = [item for item in items if item != head and (item not in journal or item["at"] < FIRST_DAY)]
    inspection = Inspection([*seen, head], until=FIRST_DAY)
    assert inspection.moving == {ALICE}
    assert named(inspection.findings()) == set()
    inspection.recheck(ALICE, [head, *journal])
    assert (inspection.moving, inspection.faults) == (set(), {})
    inspection.recheck(ALICE, [head, *journal[:-1]])
    assert named(inspection.findings()) == {(2, ALICE)}
    journal[0]["posted"] += 1
    inspection.recheck(ALICE, [head, *journal])
    assert named(inspection.findings()) == {(2, ALICE)}


def test_only_violations_in_watched_buckets_are_named() -> None:
    items = correct_items()
    next(item for item in items if item["pk"] == f"S#{OPEN}")["amount"] += 1
    first = Inspection(items, watched=())
    assert first.unbalanced == {bucket(OPEN)}
    assert (4, OPEN) not in named(first.findings())
    second = Inspection(items, watched=first.unbalanced)
    assert second.unbalanced == set()
    assert (4, OPEN) in named(second.findings())
