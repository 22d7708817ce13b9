"""The items of folding, and when a batch is refused."""

import pytest
from common.contracts.accounts import Post
from common.dynamo import Table

from functions.accounts.domain.folding import FoldedBatch, FoldHead, PendingCredit, plan_batch
from functions.accounts.store.folding import FoldingStore
from tests.unit.accounts.ledger.snapshot import Snapshot
from tests.unit.accounts.ledger.world import ALICE, BOB, RAIL, SHARDS, World, trf

NOW = "2026-11-21T09:30:00.000Z"


@pytest.fixture
def store(table: Table) -> FoldingStore:
    return FoldingStore(table)


def test_batches_of_a_system_account(world: World, store: FoldingStore, table: Table) -> None:
    new = store.head(RAIL)
    assert new == FoldHead(RAIL, "USD")
    for number in range(1, 31):
        world.fund(ALICE, 10, number)
    world.folding.fold(RAIL, SHARDS)
    once_folded = FoldHead(RAIL, "USD", -300, version=30, line_at=NOW, fold=1, clean=1)
    assert store.head(RAIL) == once_folded
    first = store.last_batch(once_folded)
    world.clock.advance(seconds=1)
    world.fund(ALICE, 10, 31)
    world.folding.fold(RAIL, SHARDS)
    assert Snapshot.of(table.scan()).pending == []
    twice_folded = store.head(RAIL)
    batch = store.last_batch(twice_folded)
    assert (batch.number, batch.opening_version, batch.opening_posted, batch.version, batch.posted) == (
        2,
        30,
        -300,
        31,
        -310,
    )
    assert batch.at == "2026-11-21T09:30:01.000Z"
    assert store.add_batch(new, batch) == twice_folded
    assert store.add_batch(once_folded, batch) == twice_folded
    for cleared in (batch, first):
        store.clear(cleared)
    assert store.head(RAIL) == FoldHead(RAIL, "USD", -310, version=31, line_at=batch.at, fold=2, clean=2)


def test_a_batch_is_between_the_lines_of_a_hot_account(world: World, store: FoldingStore, table: Table) -> None:
    world.fund(ALICE, 500)
    world.set_credit(ALICE, 50)
    world.set_hot(ALICE, True)
    world.fund(ALICE, 70, 1)
    (entry,) = (item for item in Snapshot.of(table.scan()).pending if item["account_id"] == ALICE)
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
    world.clock.advance(seconds=1)
    world.folding.fold(ALICE, [entry["shard"]])
    assert world.ledger.post(Post(trf(2), ALICE, BOB, 600, "USD")).outcome == "posted"
    batch = store.last_batch(store.head(ALICE))
    assert batch == FoldedBatch(
        account_id=ALICE,
        currency="USD",
        number=1,
        at="2026-11-21T09:30:01.000Z",
        opening_version=2,
        opening_posted=500,
        version=3,
        posted=570,
        held=0,
        credit_limit=50,
        credits=(PendingCredit(trf(1), "post", 70, NOW, entry["shard"], "top-up"),),
    )
    last = f"{batch.at}#000000000003"
    item = table.get((f"E#{ALICE}", last))
    assert item is not None and "lines" in item
    head = world.head(ALICE)
    assert {name: head[name] for name in ("posted", "available", "version", "fold", "clean")} == {
        "posted": -30,
        "available": 20,
        "version": 4,
        "fold": 1,
        "clean": 1,
    }


def test_a_batch_is_refused_if_its_account_changed(world: World, store: FoldingStore, table: Table) -> None:
    world.fund(ALICE, 500)
    world.set_hot(ALICE, True)
    world.fund(ALICE, 70, 1)
    head = store.head(ALICE)
    batch = plan_batch(head, store.pending(ALICE, SHARDS, 10), NOW)
    world.ledger.post(Post(trf(2), ALICE, BOB, 100, "USD"))
    before = list(table.scan())
    moved_on = store.head(ALICE)
    assert store.add_batch(head, batch) == moved_on and moved_on.version == 2
    assert list(table.scan()) == before


def test_a_limited_number_of_each_shard_is_read(world: World, store: FoldingStore) -> None:
    for number in range(100):
        world.fund(ALICE, 1, number)
    taken = store.pending(RAIL, SHARDS, 2)
    by_shard = [sum(line.shard == shard for line in taken) for shard in SHARDS]
    assert max(by_shard) == 2 and len(store.pending(RAIL, SHARDS, 100)) == 100


@pytest.mark.parametrize("description", ["\N{PILE OF POO}" * 500, '"' * 500, "\x01" * 500])
def test_a_batch_fits_into_an_item_whatever_its_descriptions(
    world: World, store: FoldingStore, table: Table, description: str
) -> None:
    """Both tables refuse items of more than 400 KB."""
    world.fund(ALICE, 1, 5000)
    world.folding.fold(RAIL, SHARDS)
    head = store.head(RAIL)
    longest = [PendingCredit(trf(number), "x" * 60, -(10**15), NOW, 31, description) for number in range(1000)]
    batch = plan_batch(head, [line._replace(description=line.description + line.transfer_id) for line in longest], NOW)
    assert 50 < len(batch.credits) < 1000
    assert store.add_batch(head, batch) is None
    found = store.last_batch(store.head(RAIL))
    assert found == batch and found.lines()[-1].description == description + trf(len(batch.credits) - 1)
    table.batch_delete([(item["pk"], item["sk"]) for item in table.scan()])
