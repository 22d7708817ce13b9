"""The ledger's items, conditions and queries: the same over moto and over the table in memory."""

from collections.abc import Iterator

import boto3
import pytest
from common.dynamo import Table
from common.tasks import HoldOutcome, Post, Refuse, Release, Reserve, Settle
from moto import mock_aws

from functions.accounts.domain.holds import plan_release, plan_reserve
from functions.accounts.domain.ledger import Head, plan_post
from functions.accounts.store.ledger import LedgerStore
from tests.support.memory_table import MemoryTable
from tests.support.tables import create_table
from tests.unit.accounts.ledger.bench import ALICE, BOB, RAIL, STRANGER, Bench, trf
from tests.unit.accounts.ledger.books import Books

NOW = "2026-11-21T09:30:00.000Z"


@pytest.fixture(params=["memory", "moto"])
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    if request.param == "memory":
        yield MemoryTable()
        return
    with mock_aws():
        client = boto3.client("dynamodb")
        yield Table(client, create_table(client, "accounts"))


@pytest.fixture
def bench(table: Table) -> Iterator[Bench]:
    bench = Bench(table)
    yield bench
    Books.of(table.scan()).check()


@pytest.fixture
def store(table: Table) -> LedgerStore:
    return LedgerStore(table)


def pay(number: int, amount: int, source: str = ALICE, destination: str = BOB) -> Post:
    return Post(trf(number), source, destination, amount, "USD", "lunch")


def test_a_posting_is_these_items(bench: Bench, table: Table) -> None:
    bench.fund(ALICE, 500)
    assert bench.ledger.post(pay(1, 120)).outcome == "posted"
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
    head = bench.head(BOB)
    assert (head["posted"], head["available"], head["version"], head["line_at"]) == (120, 120, 1, NOW)
    (entry,) = Books.of(table.scan()).inbox
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


def test_what_stands_is_read_and_what_is_missing_is_not(bench: Bench, store: LedgerStore) -> None:
    bench.fund(ALICE, 500)
    marker, heads = store.posting(trf(9000), "post", [ALICE, STRANGER])
    assert marker is not None and marker.legs == ((RAIL, -500), (ALICE, 500))
    assert heads == {ALICE: Head(ALICE, "USD", "active", 500, 0, 500, 1, NOW, f"usr_{ALICE[4:]}")}
    assert store.posting(trf(1), "post", [STRANGER]) == (None, {})
    assert store.holding(trf(1)) == (None, {})
    assert store.heads([]) == {}


def test_a_marker_in_the_way_answers(bench: Bench, store: LedgerStore) -> None:
    bench.fund(ALICE, 500)
    _, heads = store.posting(trf(1), "post", [ALICE, BOB])
    refused = bench.ledger.refuse(Refuse(trf(1), "declined", "card_declined"))
    marker = store.record(plan_post(pay(1, 120), heads, NOW))
    assert marker is not None and marker.answer == refused
    assert bench.ledger.refuse(Refuse(trf(9000), "failed")).outcome == "posted"


@pytest.mark.parametrize("account_id", [ALICE, BOB])
def test_an_account_that_moved_on_refuses_the_posting(
    bench: Bench, store: LedgerStore, table: Table, account_id: str
) -> None:
    bench.fund(ALICE, 500)
    _, heads = store.posting(trf(1), "post", [ALICE, BOB])
    bench.clock.advance(seconds=1)
    bench.fund(account_id, 1, 9001)
    before = list(table.scan())
    assert store.record(plan_post(pay(1, 120), heads, "2026-11-21T09:31:00.000Z")) is None
    assert list(table.scan()) == before


@pytest.mark.parametrize(("account_id", "status"), [(ALICE, "frozen"), (BOB, "closed")])
def test_an_account_of_another_state_refuses_the_posting(
    bench: Bench, store: LedgerStore, account_id: str, status: str
) -> None:
    bench.fund(ALICE, 500)
    _, heads = store.posting(trf(1), "post", [ALICE, BOB])
    bench.set_status(account_id, status)
    assert store.record(plan_post(pay(1, 120), heads, NOW)) is None


def test_holds(bench: Bench, table: Table) -> None:
    bench.fund(ALICE, 500)
    assert bench.ledger.reserve(Reserve(trf(1), ALICE, 200, "USD", "rent")) == HoldOutcome("held", "", NOW, 200)
    assert bench.ledger.settle(Settle(trf(1), BOB, 150)) == HoldOutcome("settled", "", NOW, 150)
    assert bench.ledger.release(Release(trf(1))) == HoldOutcome("settled", "", NOW, 150)
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
    assert bench.ledger.reserve(Reserve(trf(2), ALICE, 351, "USD")).outcome == "declined"
    assert bench.ledger.reserve(Reserve(trf(2), ALICE, 1, "USD")).code == "insufficient_funds"
    assert bench.ledger.reserve(Reserve(trf(3), ALICE, 350, "USD")).outcome == "held"
    assert bench.ledger.release(Release(trf(3))) == HoldOutcome("released", "", NOW, 350)
    assert bench.ledger.release(Release(trf(4))).outcome == "released"
    assert bench.ledger.reserve(Reserve(trf(4), ALICE, 350, "USD")).outcome == "released"


def test_a_hold_in_the_way_answers(bench: Bench, store: LedgerStore) -> None:
    bench.fund(ALICE, 500)
    request = Reserve(trf(1), ALICE, 200, "USD")
    _, heads = store.holding(trf(1), [ALICE])
    bench.ledger.release(Release(trf(1)))
    hold = store.open_hold(plan_reserve(request, heads, NOW))
    assert hold is not None and hold.status == "released"
    bench.ledger.reserve(Reserve(trf(2), ALICE, 200, "USD"))
    hold, heads = store.holding(trf(2), [ALICE])
    assert hold is not None
    bench.ledger.settle(Settle(trf(2), BOB))
    resolved = store.resolve_hold(plan_release(hold, heads, NOW))
    assert resolved is not None and resolved.status == "settled"


def test_an_account_that_moved_on_refuses_the_hold(bench: Bench, store: LedgerStore) -> None:
    bench.fund(ALICE, 500)
    _, heads = store.holding(trf(1), [ALICE])
    bench.fund(ALICE, 1, 9001)
    assert store.open_hold(plan_reserve(Reserve(trf(1), ALICE, 200, "USD"), heads, NOW)) is None
