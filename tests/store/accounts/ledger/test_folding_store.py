"""Folding over the in-memory table and over moto alike: what the items are, and when a page is refused."""

from collections.abc import Iterator

import boto3
import pytest
from common.dynamo import Table
from common.tasks import Post
from moto import mock_aws

from functions.accounts.domain.pages import FoldHead, Page, PageLine, expand, plan_page
from functions.accounts.store.folding import FoldingStore
from tests.support.memory_table import MemoryTable
from tests.support.tables import create_table
from tests.unit.accounts.ledger.bench import ALICE, BOB, RAIL, SHARDS, Bench, trf
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
def store(table: Table) -> FoldingStore:
    return FoldingStore(table)


def test_pages_of_a_system_account(bench: Bench, store: FoldingStore, table: Table) -> None:
    new = store.head(RAIL)
    assert new == FoldHead(RAIL, "USD")
    for number in range(1, 31):
        bench.fund(ALICE, 10, number)
    bench.folding.fold(RAIL, SHARDS)
    once_folded = FoldHead(RAIL, "USD", -300, version=30, line_at=NOW, fold=1, clean=1)
    assert store.head(RAIL) == once_folded
    first = store.page(once_folded)
    bench.clock.advance(seconds=1)
    bench.fund(ALICE, 10, 31)
    bench.folding.fold(RAIL, SHARDS)
    assert Books.of(table.scan()).inbox == []
    twice_folded = store.head(RAIL)
    page = store.page(twice_folded)
    assert (page.page, page.opening_version, page.opening_posted, page.version, page.posted) == (2, 30, -300, 31, -310)
    assert page.at == "2026-11-21T09:30:01.000Z"
    assert store.add_page(new, page) == twice_folded
    assert store.add_page(once_folded, page) == twice_folded
    for cleared in (page, first):
        store.clear(cleared)
    assert store.head(RAIL) == FoldHead(RAIL, "USD", -310, version=31, line_at=page.at, fold=2, clean=2)


def test_a_page_lies_between_the_lines_of_a_hot_account(bench: Bench, store: FoldingStore, table: Table) -> None:
    bench.fund(ALICE, 500)
    bench.set_credit(ALICE, 50)
    bench.set_hot(ALICE, True)
    bench.fund(ALICE, 70, 1)
    (entry,) = (item for item in Books.of(table.scan()).inbox if item["account_id"] == ALICE)
    assert entry == {
        "pk": f"I#{ALICE}#{entry['shard']:02}",
        "sk": f"{trf(1)}#post",
        "account_id": ALICE,
        "transfer_id": trf(1),
        "step": "post",
        "change": 70,
        "currency": "USD",
        "at": NOW,
        "description": "top-up",
        "shard": entry["shard"],
    }
    bench.clock.advance(seconds=1)
    bench.folding.fold(ALICE, [entry["shard"]])
    assert bench.ledger.post(Post(trf(2), ALICE, BOB, 600, "USD")).outcome == "posted"
    page = store.page(store.head(ALICE))
    assert page == Page(
        account_id=ALICE,
        currency="USD",
        page=1,
        at="2026-11-21T09:30:01.000Z",
        opening_version=2,
        opening_posted=500,
        version=3,
        posted=570,
        held=0,
        credit_limit=50,
        lines=(PageLine(trf(1), "post", 70, NOW, entry["shard"], "top-up"),),
    )
    last = f"{page.at}#000000000003"
    item = table.get((f"E#{ALICE}", last))
    assert item is not None and "lines" in item
    head = bench.head(ALICE)
    assert {name: head[name] for name in ("posted", "available", "version", "fold", "clean")} == {
        "posted": -30,
        "available": 20,
        "version": 4,
        "fold": 1,
        "clean": 1,
    }


def test_an_account_that_moved_on_refuses_the_page(bench: Bench, store: FoldingStore, table: Table) -> None:
    bench.fund(ALICE, 500)
    bench.set_hot(ALICE, True)
    bench.fund(ALICE, 70, 1)
    head = store.head(ALICE)
    page = plan_page(head, store.inbox(ALICE, SHARDS, 10), NOW)
    bench.ledger.post(Post(trf(2), ALICE, BOB, 100, "USD"))
    before = list(table.scan())
    moved_on = store.head(ALICE)
    assert store.add_page(head, page) == moved_on and moved_on.version == 2
    assert list(table.scan()) == before


def test_so_many_of_a_shard_are_taken(bench: Bench, store: FoldingStore) -> None:
    for number in range(100):
        bench.fund(ALICE, 1, number)
    taken = store.inbox(RAIL, SHARDS, 2)
    by_shard = [sum(line.shard == shard for line in taken) for shard in SHARDS]
    assert max(by_shard) == 2 and len(store.inbox(RAIL, SHARDS, 100)) == 100


@pytest.mark.parametrize("description", ["\N{PILE OF POO}" * 500, '"' * 500, "\x01" * 500])
def test_a_page_fits_into_an_item_whatever_is_written_in_it(
    bench: Bench, store: FoldingStore, table: Table, description: str
) -> None:
    """Both tables refuse an item of more than 400 KB."""
    bench.fund(ALICE, 1, 5000)
    bench.folding.fold(RAIL, SHARDS)
    head = store.head(RAIL)
    longest = [PageLine(trf(number), "x" * 60, -(10**15), NOW, 31, description) for number in range(1000)]
    page = plan_page(head, [line._replace(description=line.description + line.transfer_id) for line in longest], NOW)
    assert 50 < len(page.lines) < 1000
    assert store.add_page(head, page) is None
    found = store.page(store.head(RAIL))
    assert found == page and expand(found)[-1].description == description + trf(len(page.lines) - 1)
    table.batch_delete([(item["pk"], item["sk"]) for item in table.scan()])
