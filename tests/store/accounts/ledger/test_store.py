"""The ledger's items, conditions and queries."""

import pytest
from common.contracts.accounts import Expect, HoldOutcome, Post, Refuse, Release, Reserve, Settle
from common.dynamo import Table
from common.errors import Stale

from functions.accounts.domain.holds import plan_release, plan_reserve
from functions.accounts.domain.ledger import Head
from functions.accounts.domain.postings import plan_expect, plan_post, plan_refuse
from functions.accounts.store.ledger import LedgerStore
from tests.unit.accounts.ledger.snapshot import Snapshot
from tests.unit.accounts.ledger.world import ALICE, BOB, RAIL, STRANGER, World, trf

NOW = "2026-11-21T09:30:00.000Z"


@pytest.fixture
def store(table: Table) -> LedgerStore:
    return LedgerStore(table)


def pay(number: int, amount: int, source: str = ALICE, destination: str = BOB) -> Post:
    return Post(trf(number), source, destination, amount, "USD", "lunch")


def test_the_items_of_a_posting(world: World, table: Table) -> None:
    world.fund(ALICE, 500)
    assert world.ledger.post(pay(1, 120)).outcome == "posted"
    assert table.get((f"S#{trf(1)}", "post")) == {
        "pk": f"S#{trf(1)}",
        "sk": "post",
        "transfer_id": trf(1),
        "step": "post",
        "outcome": "posted",
        "code": "",
        "at": NOW,
        "currency": "USD",
        "legs": [{"account_id": ALICE, "change": -120}, {"account_id": BOB, "change": 120}],
    }
    (line,) = table.query(f"E#{BOB}")
    entry_id = line.pop("entry_id")
    assert entry_id.startswith("ent_")
    assert line == {
        "pk": f"E#{BOB}",
        "sk": f"{NOW}#000000000001",
        "account_id": BOB,
        "version": 1,
        "at": NOW,
        "currency": "USD",
        "posted_change": 120,
        "held_change": 0,
        "posted": 120,
        "held": 0,
        "transfer_id": trf(1),
        "step": "post",
        "description": "lunch",
    }
    head = world.head(BOB)
    assert (head["posted"], head["available"], head["version"], head["line_at"]) == (120, 120, 1, NOW)
    (entry,) = Snapshot.of(table.scan()).pending
    assert entry | {"shard": 0} == {
        "pk": f"I#{RAIL}#{entry['shard']:02}",
        "sk": f"{trf(9000)}#post",
        "account_id": RAIL,
        "transfer_id": trf(9000),
        "step": "post",
        "change": -500,
        "currency": "USD",
        "at": NOW,
        "description": "top-up",
        "shard": 0,
    }


def test_existing_items_are_read(world: World, store: LedgerStore) -> None:
    world.fund(ALICE, 500)
    result, heads = store.posting(trf(9000), "post", [ALICE, STRANGER])
    assert result is not None and result.legs == ((RAIL, -500), (ALICE, 500))
    assert heads == {ALICE: Head(ALICE, "USD", "active", 500, 0, 500, 1, NOW, f"usr_{ALICE[4:]}")}
    assert store.posting(trf(1), "post", [STRANGER]) == (None, {})
    assert store.holding(trf(1)) == (None, {})
    assert store.heads([]) == {}


def test_recording_an_existing_step_returns_its_outcome(world: World, store: LedgerStore) -> None:
    world.fund(ALICE, 500)
    _, heads = store.posting(trf(1), "post", [ALICE, BOB])
    refused = world.ledger.refuse(Refuse(trf(1), "declined", "card_declined"))
    result = store.record(plan_post(pay(1, 120), heads, NOW))
    assert result.reply == refused
    assert world.ledger.refuse(Refuse(trf(9000), "failed")).outcome == "posted"


@pytest.mark.parametrize("account_id", [ALICE, BOB])
def test_a_posting_is_stale_if_an_account_changed(
    world: World, store: LedgerStore, table: Table, account_id: str
) -> None:
    world.fund(ALICE, 500)
    _, heads = store.posting(trf(1), "post", [ALICE, BOB])
    world.clock.advance(seconds=1)
    world.fund(account_id, 1, 9001)
    before = list(table.scan())
    with pytest.raises(Stale):
        store.record(plan_post(pay(1, 120), heads, "2026-11-21T09:31:00.000Z"))
    assert list(table.scan()) == before


@pytest.mark.parametrize(("account_id", "status"), [(ALICE, "frozen"), (BOB, "closed")])
def test_a_posting_is_stale_if_the_status_of_an_account_changed(
    world: World, store: LedgerStore, account_id: str, status: str
) -> None:
    world.fund(ALICE, 500)
    _, heads = store.posting(trf(1), "post", [ALICE, BOB])
    world.set_status(account_id, status)
    with pytest.raises(Stale):
        store.record(plan_post(pay(1, 120), heads, NOW))


def test_the_items_of_an_expectation(world: World, table: Table) -> None:
    head = world.head(ALICE)
    assert world.ledger.expect(Expect(trf(1), ALICE, 120, "USD")).outcome == "expected"
    assert world.ledger.expect(Expect(trf(1), ALICE, 120, "USD")).outcome == "expected"
    item = {
        "pk": f"S#{trf(1)}",
        "sk": "expect",
        "transfer_id": trf(1),
        "step": "expect",
        "outcome": "expected",
        "code": "",
        "account_id": ALICE,
        "amount": 120,
        "currency": "USD",
        "at": NOW,
    }
    assert table.get((f"S#{trf(1)}", "expect")) == item
    assert world.head(ALICE) == {**head, "incoming": 1}
    posting = Post(trf(1), RAIL, ALICE, 120, "USD", is_expected=True)
    assert [world.ledger.post(posting).outcome for _ in range(2)] == ["posted"] * 2
    assert (world.head(ALICE)["incoming"], world.head(ALICE)["posted"]) == (0, 120)
    assert table.get((f"S#{trf(1)}", "expect")) == item
    assert world.ledger.expect(Expect(trf(2), STRANGER, 120, "USD")).code == "payee_not_found"
    refused = {"outcome": "refused", "code": "payee_not_found", "account_id": STRANGER}
    assert table.get((f"S#{trf(2)}", "expect")) == item | refused | {"pk": f"S#{trf(2)}", "transfer_id": trf(2)}


def test_an_expectation_is_written_once_and_only_for_an_open_account(
    world: World, store: LedgerStore, table: Table
) -> None:
    _, heads = store.expectation(trf(1), ALICE)
    first, second = (plan_expect(Expect(trf(number), ALICE, 120, "USD"), heads, NOW) for number in (1, 2))
    assert [store.expect(first), store.expect(first)] == [first, first]
    assert store.expectation(trf(1), ALICE)[0] == first
    world.ledger.refuse(Refuse(trf(1), "failed", expecting_account_id=ALICE))
    world.ledger.refuse(Refuse(trf(3), "failed"))
    ended = store.expect(plan_expect(Expect(trf(3), ALICE, 120, "USD"), heads, NOW))
    assert (ended.outcome, ended.code) == ("refused", "payee_not_found")
    assert store.expect(ended) == ended
    world.set_status(ALICE, "closed")
    before = list(table.scan())
    with pytest.raises(Stale):
        store.expect(second)
    assert list(table.scan()) == before


def test_an_end_of_what_is_not_expected_is_stale(world: World, store: LedgerStore, table: Table) -> None:
    _, heads = store.posting(trf(1), "post", [ALICE])
    before = list(table.scan())
    with pytest.raises(Stale):
        store.record(plan_post(Post(trf(1), RAIL, ALICE, 120, "USD", is_expected=True), heads, NOW))
    with pytest.raises(Stale):
        store.record(plan_refuse(Refuse(trf(1), "failed", expecting_account_id=ALICE), NOW))
    assert list(table.scan()) == before


def test_the_items_of_a_hold(world: World, table: Table) -> None:
    world.fund(ALICE, 500)
    assert world.ledger.reserve(Reserve(trf(1), ALICE, 200, "USD", "rent")) == HoldOutcome("held", "", NOW, 200)
    assert world.ledger.settle(Settle(trf(1), BOB, 150)) == HoldOutcome("settled", "", NOW, 150)
    assert world.ledger.release(Release(trf(1))) == HoldOutcome("settled", "", NOW, 150)
    assert table.get((f"S#{trf(1)}", "hold")) == {
        "pk": f"S#{trf(1)}",
        "sk": "hold",
        "transfer_id": trf(1),
        "account_id": ALICE,
        "amount": 200,
        "currency": "USD",
        "status": "settled",
        "at": NOW,
        "description": "rent",
        "settled_amount": 150,
        "destination_account_id": BOB,
        "resolved_at": NOW,
    }
    assert world.ledger.reserve(Reserve(trf(2), ALICE, 351, "USD")).outcome == "declined"
    assert world.ledger.reserve(Reserve(trf(2), ALICE, 1, "USD")).code == "insufficient_funds"
    assert world.ledger.reserve(Reserve(trf(3), ALICE, 350, "USD")).outcome == "held"
    assert world.ledger.release(Release(trf(3))) == HoldOutcome("released", "", NOW, 350)
    assert world.ledger.release(Release(trf(4))).outcome == "released"
    assert world.ledger.reserve(Reserve(trf(4), ALICE, 350, "USD")).outcome == "released"


def test_an_existing_hold_is_returned(world: World, store: LedgerStore) -> None:
    world.fund(ALICE, 500)
    request = Reserve(trf(1), ALICE, 200, "USD")
    _, heads = store.holding(trf(1), [ALICE])
    world.ledger.release(Release(trf(1)))
    opened = store.open_hold(plan_reserve(request, heads, NOW))
    assert opened.status == "released"
    world.ledger.reserve(Reserve(trf(2), ALICE, 200, "USD"))
    hold, heads = store.holding(trf(2), [ALICE])
    assert hold is not None
    world.ledger.settle(Settle(trf(2), BOB))
    resolved = store.resolve_hold(plan_release(hold, heads, NOW))
    assert resolved.status == "settled"


def test_a_hold_is_stale_if_its_account_changed(world: World, store: LedgerStore) -> None:
    world.fund(ALICE, 500)
    _, heads = store.holding(trf(1), [ALICE])
    world.fund(ALICE, 1, 9001)
    with pytest.raises(Stale):
        store.open_hold(plan_reserve(Reserve(trf(1), ALICE, 200, "USD"), heads, NOW))
