"""One cent that is out of place, wherever it is, is found; what is right, or just on its way, is not."""

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
from common.dynamo import Item, Update
from common.idempotency import Answer
from common.tasks import Post, Refuse, Release, Reserve, Settle

from functions.accounts.domain.instruments import Card
from functions.accounts.domain.payees import Payee
from functions.accounts.domain.reconciliation import Finding, Look, bucket, entries_of
from functions.accounts.store.instruments import InstrumentTable
from functions.accounts.store.payees import PayeeTable
from tests.support.memory_table import MemoryTable
from tests.unit.accounts.ledger.bench import ALICE, BOB, CAROL, EVA, FEES, RAIL, SHARDS, Bench, lapse_at, trf
from tests.unit.accounts.ledger.drawing import draw

ADA, BEN = f"usr_{ALICE[4:]}", f"usr_{BOB[4:]}"
FUNDED, SENT, WAITING, DECLINED, REFUSED = map(trf, (9000, 1, 9001, 2, 3))
OPEN, SETTLED, RELEASED, LAPSED, TOO_MUCH, EARLY = map(trf, range(101, 107))
PHONE = "+4915112345678"

# What is not money, nor a count of it, nor says whose or when.
MEANS_NOTHING = {"description", "code", "name", "type", "created_at", "changes", "shard", "outbox", "entry_id"}
MEANS_NOTHING |= {
    "daily_limit",
    "weekly_limit",
    "day_told",
    "week_told",
    "low_balance_alert",
    "lapse_at",
    "lapse_shard",
}


def books() -> list[Item]:
    """A table in which every kind of item is, written by those who write them; the caller's own copy."""
    return deepcopy(written())


@cache
def written() -> list[Item]:
    table = MemoryTable()
    bench = Bench(table)
    bench.fund(ALICE, 1000)
    bench.folding.fold(RAIL, SHARDS)
    bench.ledger.post(Post(SENT, ALICE, BOB, 400, "USD", "lunch"))
    bench.fund(BOB, 70, 9001)
    bench.folding.fold(RAIL, SHARDS)
    bench.ledger.post(Post(DECLINED, BOB, ALICE, 9000, "USD"))
    bench.ledger.refuse(Refuse(REFUSED, "failed", "card_declined"))
    for transfer, amount, until in ((OPEN, 30, ""), (SETTLED, 50, ""), (RELEASED, 20, ""), (LAPSED, 10, lapse_at(1))):
        bench.ledger.reserve(Reserve(transfer, ALICE, amount, "USD", "rent", until))
    bench.ledger.reserve(Reserve(TOO_MUCH, ALICE, 5000, "USD"))
    bench.ledger.release(Release(EARLY))
    bench.ledger.settle(Settle(SETTLED, BOB, 35))
    bench.set_limits(ALICE, daily=460)
    bench.ledger.post(Post(trf(4), ALICE, BOB, 100, "USD"))
    bench.set_credit(BOB, 40)
    bench.clock.advance(days=2)
    bench.ledger.release(Release(RELEASED))
    bench.ledger.lapse(LAPSED)
    bench.ledger.post(Post(trf(5), BOB, FEES, 5, "USD"))
    table.update(Update((f"A#{CAROL}", "H"), set={"hot": True}))
    bench.fund(CAROL, 40, 9003)
    bench.folding.fold(CAROL, SHARDS)
    bench.ledger.post(Post(trf(6), CAROL, ALICE, 310, "USD"))
    bench.fund(CAROL, 20, 9004)
    bench.set_status(EVA, "closed")
    bench.fund(BOB, 30, 9002)
    for account_id in (ALICE, BOB, CAROL, EVA):
        table.put({"pk": f"U#usr_{account_id[4:]}", "sk": f"A#{account_id}"})
    for account_id in (ALICE, BOB, CAROL):
        table.put({"pk": f"U#usr_{account_id[4:]}", "sk": "D#USD", "account_id": account_id})
    table.put({"pk": f"U#usr_{EVA[4:]}", "sk": "X", "kept": True})
    table.put({"pk": f"A#{ALICE}", "sk": "P", "hash": "h", "tries": 0, "version": 1})
    card = Card("crd_1", "visa", "4242", 1, 2030, "Ada", timestamp(bench.clock()))
    InstrumentTable(table).add(ADA, card, "digest", None, Answer(201, "{}"))
    table.put({"pk": f"U#{ADA}", "sk": "B#bka_1"})
    for payee in (
        Payee(ADA, 2, "active", "Ada", "L", "ada@example.com", PHONE, "t"),
        Payee(BEN, 1, "suspended", "Ben", "B", "ben@example.com", None, "t"),
    ):
        assert PayeeTable(table).revise(payee.user_id, {}, dict.fromkeys((payee.user_id, *payee.aliases), payee))
    return table.items()


def wrong(items: list[Item], **how: Any) -> set[tuple[int, str]]:
    """What a look finds wrong: the number of the invariant, and the item."""
    items = sorted(items, key=lambda item: (item["pk"], item["sk"]))
    return named(Look(items, **how).findings())


def named(findings: list[Finding]) -> set[tuple[int, str]]:
    return {(finding.number, each.id) for finding in findings for each in finding.violations}


def test_what_the_ledger_writes_is_right() -> None:
    findings = Look(books()).findings()
    assert [finding.number for finding in findings] == [1, 2, 3, 4, 5, 8]
    assert [finding.violations for finding in findings] == [[]] * 6
    assert findings[0].counted == "2 currencies, 6 accounts, 5 in inboxes, 9 postings"
    assert Look(books(), watched=()).loose == set()
    assert wrong([]) == set()


@pytest.mark.parametrize("seed", range(25))
def test_whatever_is_asked_of_the_ledger_the_books_are_right(seed: int) -> None:
    random, bench = Random(seed), Bench(MemoryTable())
    held: list[str] = []
    for _ in range(120):
        operation = draw(random, held)
        with suppress(ValueError):
            bench.run(operation)
        if isinstance(operation, Reserve):
            held.append(operation.transfer_id)
    found = wrong(bench.table.items())  # type: ignore[attr-defined]
    # The bench keeps no list of who owns what.
    assert {each for each in found if each[0] != 8} == set()


def places(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Every number and text within an item that means something."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in MEANS_NOTHING:
                yield from places(inner, *path, name)
    elif isinstance(value, bytes):
        yield from places(json.loads(zlib.decompress(value)), *path)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, *path, number)
    elif type(value) is int:
        yield path


def drifts() -> Iterator[Any]:
    for number, item in enumerate(books()):
        if item["pk"][0] in "AEIS" and item["sk"] != "P":
            # An inbox may be clean before that is noted; what a hold that holds nothing was over is nobody's money.
            nothing = {"clean", "amount"} if item.get("status") == "declined" or item.get("amount") == 0 else {"clean"}
            for path in places(item):
                if path[-1] in nothing:
                    continue
                yield pytest.param(number, path, id=f"{item['pk']}-{item['sk']}-{'.'.join(map(str, path))}")


@pytest.mark.parametrize(("number", "path"), drifts())
@pytest.mark.parametrize("cent", [1, -1])
def test_one_cent_that_is_out_of_place_is_found(number: int, path: tuple[Any, ...], cent: int) -> None:
    items = books()
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
    watched = Look(items, watched=())
    assert watched.loose or named(watched.findings())


@pytest.mark.parametrize("number", [number for number, item in enumerate(books()) if item["pk"][0] in "AEISUFP"])
def test_an_item_that_is_lost_is_found(number: int) -> None:
    items = books()
    lost = items.pop(number)
    # What moved nothing, and what reconciliation is not about, is not said anywhere else.
    silent = (
        lost.get("outcome") in ("declined", "failed") or lost.get("status") == "declined" or lost.get("amount") == 0
    )
    assert bool(wrong(items)) != bool(silent or lost["pk"][:1] + lost["sk"] in ("AP", "UX", "UB#bka_1"))


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
        (f"U#{ADA}", "C#crd_1", {"fingerprint": "another"}, (8, "crd_1")),
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
    ],
)
def test_what_is_wrong_is_named(pk: str, sk: str, change: Item, found: tuple[int, str]) -> None:
    items = books()
    next(item for item in items if (item["pk"], item["sk"]) == (pk, sk)).update(change)
    assert found in wrong(items)


def lines(items: list[Item], account_id: str) -> list[Item]:
    return [item for item in items if item["pk"] == f"E#{account_id}"]


def test_a_line_or_page_that_is_not_where_it_belongs_is_found() -> None:
    for account_id, change in (
        (ALICE, {"at": "2026-11-20T00:00:00.000Z"}),
        (ALICE, {"sk": f"2026-11-20T00:00:00.000Z#{1:012}"}),
        (ALICE, {"sk": f"2026-11-21T09:30:00.000Z#{0:012}"}),
        (ALICE, {"sk": f"2026-11-23T09:30:00.000Z#{99:012}"}),
        (RAIL, {"sk": f"2026-11-21T09:30:00.000Z#{0:012}"}),
    ):
        items = books()
        lines(items, account_id)[0].update(change)
        assert (2, account_id) in wrong(items)


def test_a_credit_limit_changes_by_a_line_of_its_own() -> None:
    items = books()
    credit = next(item for item in lines(items, BOB) if item["step"] == "credit_limit")
    credit["step"] = "post"
    assert (2, BOB) in wrong(items)


def test_a_credit_limit_that_moves_money_is_found() -> None:
    items = books()
    next(item for item in lines(items, ALICE) if item["step"] == "post")["step"] = "credit_limit"
    assert (2, ALICE) in wrong(items)


def test_what_was_overdrawn_on_the_way_is_found() -> None:
    """Spent on credit that came later: in the end all adds up, in between the balance was negative."""
    items = books()
    for item in lines(items, CAROL):
        del item["credit_limit"]
    assert (3, CAROL) in wrong(items)


def test_a_page_of_an_account_changes_what_is_posted_and_no_more() -> None:
    for change in ({"held": 1}, {"credit_limit": 299}, {"page": 2}):
        items = books()
        page = next(item for item in lines(items, CAROL) if "page" in item)
        page.update(change)
        assert (2, CAROL) in wrong(items)


def test_a_transfer_that_is_posted_twice_is_found_though_all_else_is_right() -> None:
    table = MemoryTable()
    bench = Bench(table)
    bench.fund(ALICE, 1000)
    bench.ledger.post(Post(SENT, ALICE, BOB, 400, "USD"))
    assert {each for each in wrong(table.items()) if each[0] != 8} == set()
    bench.ledger.post(Post(SENT, ALICE, BOB, 400, "USD", step="again"))
    assert {each for each in wrong(table.items()) if each[0] != 8} == {(4, SENT)}


@pytest.mark.parametrize("settled", [0, 6])
def test_a_hold_that_is_settled_with_more_than_it_held_is_found(settled: int) -> None:
    hold = {"pk": f"S#{SETTLED}", "sk": "hold", "account_id": ALICE, "amount": 5, "status": "settled", "at": "2026"}
    hold |= {"settled_amount": settled, "destination_account_id": BOB, "resolved_at": "2026"}
    said = [drift.what for drift in Look([hold]).drifts()]
    assert f"its hold of 5 was settled with {settled}" in said


def test_a_marker_whose_legs_do_not_sum_to_zero_is_found() -> None:
    items = books()
    next(item for item in items if item["pk"] == f"S#{SENT}")["legs"].pop()
    assert (1, SENT) in wrong(items)


def test_a_refusal_with_legs_is_found() -> None:
    items = books()
    legs = [{"account_id": ALICE, "change": -1}, {"account_id": BOB, "change": 1}]
    next(item for item in items if item["pk"] == f"S#{REFUSED}")["legs"] = legs
    assert wrong(items) == {(5, REFUSED)}


def test_an_item_that_lacks_something_is_found_and_its_key_told_only_where_it_names_nobody() -> None:
    for pk, name in ((f"A#{ALICE}", ALICE), ("P#ada@example.com", "P")):
        items = books()
        broken = next(item for item in items if item["pk"] == pk)
        del broken["currency" if "currency" in broken else "user_id"]
        assert (2, name) in wrong(items)


def test_an_item_that_makes_no_sense_is_found() -> None:
    items = books()
    lines(items, RAIL)[0]["lines"] = b"no page"
    assert (2, RAIL) in wrong(items)
    items = books()
    lines(items, ALICE)[0]["posted"] = "1000"
    assert (2, ALICE) in wrong(items)


def test_a_journal_without_a_head_is_found() -> None:
    items = [item for item in books() if item["pk"] != f"A#{BOB}"]
    assert (2, BOB) in wrong(items)
    items = [item for item in books() if item["pk"] != f"A#{RAIL}"]
    assert (2, RAIL) in wrong(items)


def test_an_entry_that_is_folded_and_not_removed_yet_counts_once() -> None:
    items = books()
    page = [item for item in items if item["pk"] == f"E#{RAIL}"][-1]
    for line in entries_of(page):
        key = {"pk": f"I#{RAIL}#{line['shard']:02}", "sk": f"{line['transfer_id']}#{line['step']}"}
        items.append({**key, "account_id": RAIL, "currency": "USD", "description": "", **line})
    next(item for item in items if item["pk"] == f"A#{RAIL}")["clean"] -= 1
    assert wrong(items) == set()


# --- a table at work


FIRST_DAY, SECOND_DAY = "2026-11-22", "2026-11-24"


def test_what_is_younger_than_the_look_says_nothing_yet() -> None:
    """Of a transfer or a hold that is just written, each item may be there alone."""
    later = [item for item in books() if item["pk"][0] in "IS" and item["at"] > FIRST_DAY]
    assert len(later) == 10
    for item in later:
        others = [other for other in books() if other != item]
        assert wrong(others, until=SECOND_DAY) != set()
        assert wrong(others, until=FIRST_DAY) == set()


def test_a_hold_that_is_just_resolved_was_open() -> None:
    items = books()
    hold = next(item for item in items if item["pk"] == f"S#{RELEASED}")
    hold["status"] = "open"
    del hold["resolved_at"]
    assert wrong(items, until=SECOND_DAY) != set()
    assert wrong(items, until=FIRST_DAY) == set()


def test_an_account_that_goes_on_after_its_head_was_read_is_right() -> None:
    items = books()
    head = next(item for item in items if item["pk"] == f"A#{ALICE}")
    last = [item for item in lines(items, ALICE) if item["at"] < FIRST_DAY][-1]
    head.update({name: last[name] for name in ("version", "posted", "held")}, available=last["posted"] - last["held"])
    head.update(day="2026-11-21", day_spent=495, week="2026-W47", week_spent=495)
    assert wrong(items, until=SECOND_DAY) != set()
    assert wrong(items, until=FIRST_DAY) == set()


def test_an_account_that_goes_on_before_its_head_is_read_is_looked_at_again() -> None:
    items = books()
    head = next(item for item in items if item["pk"] == f"A#{ALICE}")
    journal = lines(items, ALICE)
    seen = [item for item in items if item != head and (item not in journal or item["at"] < FIRST_DAY)]
    look = Look([*seen, head], until=FIRST_DAY)
    assert look.moving == {ALICE}
    assert named(look.findings()) == set()
    look.recheck(ALICE, [head, *journal])
    assert (look.moving, look.faults) == (set(), {})
    look.recheck(ALICE, [head, *journal[:-1]])
    assert named(look.findings()) == {(2, ALICE)}
    journal[0]["posted"] += 1
    look.recheck(ALICE, [head, *journal])
    assert named(look.findings()) == {(2, ALICE)}


def test_only_what_is_watched_is_named() -> None:
    items = books()
    next(item for item in items if item["pk"] == f"S#{OPEN}")["amount"] += 1
    first = Look(items, watched=())
    assert first.loose == {bucket(OPEN)}
    assert (4, OPEN) not in named(first.findings())
    second = Look(items, watched=first.loose)
    assert second.loose == set()
    assert (4, OPEN) in named(second.findings())
