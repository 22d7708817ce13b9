"""Pending credits and their folding: of a system account, and of an account that an admin made hot."""

import pytest
from common.clock import timestamp
from common.contracts.accounts import Post, Release, Reserve, Settle
from common.errors import Contended
from common.ids import derived_id

from functions.accounts.domain import folding, ledger
from functions.accounts.service.folding import Folding
from functions.accounts.store.folding import FoldingStore, batch_of
from tests.support.memory_table import Call, Conflict, MemoryTable
from tests.unit.accounts.ledger.snapshot import Snapshot
from tests.unit.accounts.ledger.world import ALICE, BOB, CAROL, FEES, RAIL, SHARDS, Crash, World, crash, once, trf

SHOP = CAROL


@pytest.fixture
def shop(world: World) -> str:
    """Return an account that has lines and was then made hot."""
    world.set_credit(SHOP, 0)
    world.fund(SHOP, 100, 8001)
    world.fund(ALICE, 1000, 8002)
    world.fund(BOB, 1000, 8003)
    world.folding.fold(RAIL, SHARDS)
    world.set_hot(SHOP, True)
    world.clock.advance(seconds=1)
    return SHOP


def pay(number: int, source: str, destination: str, amount: int) -> Post:
    return Post(trf(number), source, destination, amount, "USD", f"order {number}")


def folded(world: World, account_id: str = RAIL, shards: tuple[int, ...] = SHARDS) -> Snapshot:
    world.folding.fold(account_id, shards)
    return Snapshot.of(world.table.scan())


def pending(world: World, account_id: str) -> list[int]:
    """Return the amounts of an account's pending credits."""
    unfolded = Snapshot.of(world.table.scan()).unfolded()
    return sorted(item["change"] for item in unfolded if item["account_id"] == account_id)


# --- folding --------------------------------------------------------------------------------------------------------


def test_credits_of_the_rail_are_folded_into_a_batch(world: World) -> None:
    world.fund(ALICE, 100, 1)
    world.clock.advance(seconds=1)
    world.fund(BOB, 50, 2)
    snapshot = folded(world)
    (batch,) = snapshot.journals[RAIL]
    assert snapshot.pending == []
    assert (batch["page"], batch["opening_version"], batch["opening_posted"]) == (1, 0, 0)
    assert (batch["version"], batch["posted"]) == (2, -150)
    assert [line["transfer_id"] for line in batch["lines"]] == [trf(1), trf(2)]
    assert snapshot.heads[RAIL] == {
        "pk": f"A#{RAIL}",
        "sk": "H",
        "account_id": RAIL,
        "currency": "USD",
        "posted": -150,
        "held": 0,
        "available": -150,
        "version": 2,
        "line_at": world.now(),
        "fold": 1,
        "clean": 1,
    }


def test_folding_nothing_writes_nothing(world: World, table: MemoryTable) -> None:
    before = table.items()
    folded(world)
    assert table.items() == before


def test_a_batch_has_a_maximum_size_and_the_next_takes_the_rest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "BATCH_CREDITS", 2)
    for number in range(1, 6):
        world.fund(ALICE, 10, number)
    assert [len(batch["lines"]) for batch in folded(world).journals[RAIL]] == [2, 2, 1]


def test_a_batch_is_not_older_than_the_last(world: World) -> None:
    world.fund(ALICE, 10, 1)
    late = world.now()
    folded(world)
    world.clock.advance(minutes=-5)
    world.fund(ALICE, 10, 2)
    first, second = folded(world).journals[RAIL]
    assert first["sk"] < second["sk"] == f"{late}#000000000002"


def test_only_the_given_shards_are_folded(world: World) -> None:
    world.fund(ALICE, 10, 1)
    (entry,) = Snapshot.of(world.table.scan()).pending
    assert len(folded(world, shards=tuple(shard for shard in SHARDS if shard != entry["shard"])).pending) == 1
    assert folded(world, shards=(entry["shard"],)).pending == []


def test_pending_credits_spread_over_all_shards(world: World) -> None:
    shards = {ledger.PendingLeg(RAIL, trf(number), "post", 1, "USD", "", "").shard for number in range(1000)}
    assert shards == set(range(ledger.PENDING_SHARDS))


def test_a_full_batch_fits_into_an_item(world: World, table: MemoryTable) -> None:
    """The table refuses items of more than 400 KB."""
    for number in range(folding.BATCH_CREDITS):
        entry = ledger.PendingLeg(RAIL, trf(number), "release", -(10**15), "USD", world.now(), "")
        table.put(
            {
                "pk": f"I#{RAIL}#00",
                "sk": f"{entry.transfer_id}#{entry.step}",
                "account_id": RAIL,
                "transfer_id": entry.transfer_id,
                "step": entry.step,
                "change": entry.change,
                "currency": "USD",
                "at": entry.at,
                "description": "",
            }
        )
    world.folding.fold(RAIL, [0])
    head = world.head(RAIL)
    assert (head["fold"], head["clean"], head["posted"]) == (1, 1, -folding.BATCH_CREDITS * 10**15)
    table.batch_delete([(item["pk"], item["sk"]) for item in table.items()])


@pytest.mark.parametrize(
    ("call", "moment"),
    [
        ("transact", "after"),
        ("batch_delete", "before"),
        ("batch_delete", "after"),
        ("update", "before"),
        ("update", "after"),
    ],
)
def test_a_fold_that_died_is_finished_by_the_next(world: World, table: MemoryTable, call: str, moment: str) -> None:
    for number in range(1, 5):
        world.fund(ALICE, 10, number)
    once(table, call, moment, crash)
    with pytest.raises(Crash):
        folded(world)
    Snapshot.of(table.items()).check()
    world.fund(ALICE, 10, 5)
    snapshot = folded(world)
    assert snapshot.pending == []
    assert [len(batch["lines"]) for batch in snapshot.journals[RAIL]] == [4, 1]
    assert snapshot.heads[RAIL]["posted"] == -50 and snapshot.heads[RAIL]["clean"] == 2


@pytest.mark.parametrize("calls", range(1, 12))
def test_two_folders_count_each_entry_once(world: World, table: MemoryTable, calls: int) -> None:
    """Another folder folds the same credits, and new ones, before one of the calls."""
    for number in range(1, 4):
        world.fund(ALICE, 10, number)
    shards = tuple({entry["shard"] for entry in Snapshot.of(table.items()).pending})
    left = calls

    def hook(call: Call) -> None:
        nonlocal left
        left -= call.moment == "before"
        if left == 0:
            table.hook = None
            world.folding.fold(RAIL, shards)
            world.clock.advance(seconds=1)
            world.fund(ALICE, 10, 4)
            world.folding.fold(RAIL, SHARDS)
            world.fund(ALICE, 10, 5)
            world.clock.advance(seconds=1)

    table.hook = hook
    folded(world, shards=shards)
    table.hook = None
    snapshot = folded(world)
    assert sum(len(batch["lines"]) for batch in snapshot.journals[RAIL]) == (5 if left <= 0 else 3)


def test_fees_are_folded_as_a_system_account(world: World) -> None:
    world.fund(ALICE, 100)
    assert world.ledger.post(pay(1, ALICE, FEES, 30)).outcome == "posted"
    world.folding.fold(FEES, SHARDS)
    assert world.head(FEES)["posted"] == 30


def test_a_posting_between_two_system_accounts(world: World) -> None:
    assert world.ledger.post(pay(1, RAIL, FEES, 30)).outcome == "posted"
    assert Snapshot.of(world.table.scan()).balances()[FEES] == (30, 0)


# --- a hot account --------------------------------------------------------------------------------------------------


def test_a_credit_of_a_hot_account_is_pending_and_leaves_the_head_unchanged(world: World, shop: str) -> None:
    before = world.head(shop)
    assert world.ledger.post(pay(1, ALICE, shop, 30)).outcome == "posted"
    assert world.head(shop) == before
    assert pending(world, shop) == [30]
    assert Snapshot.of(world.table.scan()).balances()[shop] == (130, 0)


def test_folded_credits_are_lines_with_versions_and_balances(world: World, shop: str) -> None:
    for number, amount in enumerate((30, 20), 1):
        world.ledger.post(pay(number, ALICE, shop, amount))
        world.clock.advance(seconds=1)
    snapshot = folded(world, shop)
    head = world.head(shop)
    assert (head["posted"], head["available"], head["version"], head["fold"], head["clean"]) == (150, 150, 4, 1, 1)
    assert head["line_at"] == world.now() and snapshot.pending == []
    lines = batch_of(world.table.get((f"E#{shop}", f"{world.now()}#{4:012}")) or {}).lines()
    assert [(line.version, line.posted_change, line.posted, line.description) for line in lines] == [
        (3, 30, 130, "order 1"),
        (4, 20, 150, "order 2"),
    ]
    assert {(line.at, line.held, line.held_change, line.step) for line in lines} == {(world.now(), 0, 0, "post")}
    assert lines[0].entry_id == derived_id("ent", world.clock.at.replace(second=1), trf(1), "post", shop)


def test_debits_of_a_hot_account_are_booked_at_once(world: World, shop: str) -> None:
    world.ledger.post(pay(1, ALICE, shop, 30))
    assert world.ledger.post(pay(2, shop, BOB, 100)).outcome == "posted"
    assert pending(world, shop) == [30], "the booked balance suffices"
    assert (world.head(shop)["posted"], world.head(shop)["version"]) == (0, 3)


@pytest.mark.parametrize("hot", [True, False], ids=["hot", "recently hot"])
def test_pending_credits_are_folded_before_a_debit_is_declined(world: World, shop: str, hot: bool) -> None:
    world.ledger.post(pay(1, ALICE, shop, 30))
    world.set_hot(shop, hot)
    assert world.ledger.post(pay(2, shop, BOB, 131)).code == "insufficient_funds"
    assert pending(world, shop) == [] and world.head(shop)["posted"] == 130
    world.set_hot(shop, True)
    world.ledger.post(pay(3, ALICE, shop, 20))
    assert world.ledger.post(pay(4, shop, BOB, 131)).outcome == "posted"
    assert world.head(shop)["posted"] == 19


def test_pending_credits_are_folded_before_a_hold_is_declined(world: World, shop: str) -> None:
    world.ledger.post(pay(1, ALICE, shop, 30))
    assert world.ledger.reserve(Reserve(trf(2), shop, 120, "USD")).outcome == "held"
    assert world.ledger.reserve(Reserve(trf(3), shop, 11, "USD")).code == "insufficient_funds"
    assert world.head(shop)["held"] == 120


def test_credits_that_arrive_during_folding_count_too(world: World, table: MemoryTable, shop: str) -> None:
    world.ledger.post(pay(1, ALICE, shop, 30))
    once(table, "transact", "before", lambda: world.ledger.post(pay(2, ALICE, shop, 20)))
    assert world.ledger.post(pay(3, shop, BOB, 130)).outcome == "posted"


def test_a_hot_account_can_have_holds(world: World, shop: str) -> None:
    world.ledger.reserve(Reserve(trf(1), shop, 60, "USD"))
    world.ledger.reserve(Reserve(trf(2), shop, 40, "USD"))
    world.ledger.reserve(Reserve(trf(3), ALICE, 50, "USD"))
    assert world.ledger.settle(Settle(trf(3), shop)).outcome == "settled"
    assert pending(world, shop) == [50]
    assert world.ledger.settle(Settle(trf(1), BOB, 10)).outcome == "settled"
    folded(world, shop)
    head = world.head(shop)
    assert (head["posted"], head["held"], head["available"]) == (140, 40, 100)
    assert world.ledger.release(Release(trf(2))).outcome == "released"


def test_a_frozen_hot_account_can_be_paid(world: World, shop: str) -> None:
    world.set_status(shop, "frozen")
    assert world.ledger.post(pay(1, ALICE, shop, 30)).outcome == "posted"
    folded(world, shop)
    assert world.head(shop)["posted"] == 130
    assert world.ledger.post(pay(2, shop, BOB, 1)).code == "account_frozen"


def test_an_account_that_is_no_longer_hot_is_credited_directly(world: World, shop: str) -> None:
    world.ledger.post(pay(1, ALICE, shop, 30))
    world.set_hot(shop, False)
    world.ledger.post(pay(2, ALICE, shop, 5))
    assert pending(world, shop) == [5, 30], "a payee that was read a moment ago counts as hot"
    world.clock.advance(seconds=5)
    world.ledger.post(pay(3, ALICE, shop, 20))
    assert world.head(shop)["posted"] == 120
    folded(world, shop)
    assert world.head(shop)["posted"] == 155 and pending(world, shop) == []


def test_the_head_of_a_hot_payee_is_not_read_for_each_credit(world: World, table: MemoryTable, shop: str) -> None:
    """A key has 3,000 read units a second, and each read takes one."""
    world.ledger.post(pay(1, ALICE, shop, 1))
    before = len(table.calls)
    for number in range(2, 20):
        world.ledger.post(pay(number, ALICE, shop, 1))
    assert not any((f"A#{shop}", "H") in call.keys for call in table.calls[before:])
    world.clock.advance(seconds=5)
    world.ledger.post(pay(20, ALICE, shop, 1))
    assert any((f"A#{shop}", "H") in call.keys for call in table.calls[-2:])


def test_a_debit_between_read_and_batch_does_not_stop_folding(world: World, table: MemoryTable, shop: str) -> None:
    world.ledger.post(pay(1, ALICE, shop, 30))
    world.clock.advance(minutes=1)
    once(table, "transact", "before", lambda: world.ledger.post(pay(2, shop, BOB, 100)))
    queries = len([call for call in table.calls if call.operation == "query"])
    folded(world, shop, (only_shard(world, shop),))
    assert (world.head(shop)["posted"], world.head(shop)["version"]) == (30, 4)
    assert len([call for call in table.calls if call.operation == "query"]) == queries + 1


def only_shard(world: World, account_id: str) -> int:
    (shard,) = {item["shard"] for item in Snapshot.of(world.table.scan()).pending if item["account_id"] == account_id}
    return int(shard)


@pytest.mark.parametrize("calls", range(1, 16))
def test_two_folders_of_a_hot_account_with_debits_between(
    world: World, table: MemoryTable, shop: str, calls: int
) -> None:
    for number in range(1, 4):
        world.ledger.post(pay(number, ALICE, shop, 10))
    left = calls

    def hook(call: Call) -> None:
        nonlocal left
        left -= call.moment == "before"
        if left == 0:
            table.hook = None
            world.ledger.post(pay(4, shop, BOB, 100))
            world.folding.fold_all(shop)
            world.ledger.post(pay(5, ALICE, shop, 10))

    table.hook = hook
    world.folding.fold_all(shop)
    table.hook = None
    folded(world, shop)
    assert world.head(shop)["posted"] == (40 if left <= 0 else 130)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("operation", "skip"), [("put", 0), ("transact", 0), ("batch_delete", 0), ("update", 0), ("put", 1)]
)
def test_a_folder_that_died_in_its_turn_is_finished_by_the_next(
    world: World, table: MemoryTable, shop: str, operation: str, skip: int, moment: str
) -> None:
    world.fund(shop, 1, 1)
    world.folding.fold_all(shop)
    world.fund(shop, 10, 2)
    once(table, operation, moment, crash, skip)
    with pytest.raises(Crash):
        world.folding.fold_all(shop)
    table.hook = None
    Snapshot.of(table.items()).check()
    world.fund(shop, 10, 3)
    snapshot = folded(world, shop)
    assert snapshot.heads[shop]["posted"] == 121
    assert [item for item in snapshot.pending if item["account_id"] == shop] == []


def test_a_folder_waits_for_another_one_and_returns_when_its_credits_are_booked(
    world: World, table: MemoryTable, shop: str
) -> None:
    world.fund(shop, 1, 1)
    world.folding.fold_all(shop)
    world.fund(shop, 10, 2)
    world.clock.advance(milliseconds=10)
    table.put({"pk": f"T#{shop}", "sk": "T", "until": timestamp(world.clock.at.replace(second=9))})

    def other_folder_books(call: Call) -> None:
        if call.moment == "after" and call.operation == "put":
            raise AssertionError("it is not this folder's turn")
        if call.moment == "before" and call.operation == "put":
            table.hook = None
            table.delete((f"T#{shop}", "T"))
            world.folding.fold_all(shop)
            table.put({"pk": f"T#{shop}", "sk": "T", "until": timestamp(world.clock.at.replace(second=9))})
            table.hook = other_folder_books

    table.hook = other_folder_books
    world.folding.fold_all(shop)
    assert world.head(shop)["posted"] == 111 and world.head(shop)["fold"] == 2


def test_a_folder_gives_up_if_it_never_gets_a_turn(world: World, table: MemoryTable, shop: str) -> None:
    world.fund(shop, 1, 1)
    world.folding.fold_all(shop)
    world.fund(shop, 10, 2)
    turn = {"pk": f"T#{shop}", "sk": "T", "until": "2027-01-01T00:00:00.000Z"}
    table.put(turn)
    pauses: list[int] = []
    with pytest.raises(Contended):
        Folding(FoldingStore(table), world.clock, pauses.append).fold_all(shop)
    assert pauses == list(range(12))
    assert table.get((f"T#{shop}", "T")) == turn and pending(world, shop) == [10]


def test_a_folder_ends_its_turn(world: World, table: MemoryTable, shop: str) -> None:
    world.fund(shop, 1, 1)
    world.folding.fold_all(shop)
    world.fund(shop, 10, 2)
    world.folding.fold_all(shop)
    assert (table.get((f"T#{shop}", "T")) or {})["until"] < world.now()


def test_a_half_done_batch_is_finished_in_turn(world: World, table: MemoryTable, shop: str) -> None:
    """If many folders helped at once, they would use up the write units of the keys and never finish."""
    world.fund(shop, 1, 1)
    once(table, "batch_delete", "before", crash)
    with pytest.raises(Crash):
        world.folding.fold_all(shop)
    world.clock.advance(hours=1)
    table.put({"pk": f"T#{shop}", "sk": "T", "until": "2027-01-01T00:00:00.000Z"})
    with pytest.raises(Contended):
        world.folding.fold_all(shop)
    assert [item["change"] for item in Snapshot.of(table.items()).pending if item["account_id"] == shop] == [1]


def test_a_turn_that_took_too_long_is_not_ended_for_another_folder(world: World, table: MemoryTable, shop: str) -> None:
    world.fund(shop, 1, 1)
    world.folding.fold_all(shop)
    world.fund(shop, 10, 2)
    another = {"pk": f"T#{shop}", "sk": "T", "until": "2027-01-01T00:00:00.000Z"}
    once(table, "update", "before", lambda: table.put(another))
    world.folding.fold_all(shop)
    assert table.get((f"T#{shop}", "T")) == another and pending(world, shop) == []


def test_folding_gives_up_on_an_account_that_keeps_changing(world: World, table: MemoryTable, shop: str) -> None:
    world.ledger.post(pay(1, ALICE, shop, 30))
    numbers = iter(range(100, 1000))

    def debit(call: Call) -> None:
        if call.moment == "before" and call.operation == "transact":
            table.hook = None
            world.ledger.post(pay(next(numbers), shop, BOB, 1))
            world.fund(shop, 1, next(numbers) + 1000)
            world.set_hot(shop, False)
            world.clock.advance(seconds=10)
            world.fund(shop, 1, next(numbers) + 1000)
            world.set_hot(shop, True)
            table.hook = debit

    table.hook = debit
    with pytest.raises(Contended):
        world.folding.fold_all(shop)
    table.hook = None
    folded(world, shop)


def test_a_transaction_conflict_is_retried(world: World, table: MemoryTable, shop: str) -> None:
    world.ledger.post(pay(1, ALICE, shop, 30))

    def conflict() -> None:
        raise Conflict

    once(table, "transact", "before", conflict)
    folded(world, shop)
    assert world.head(shop)["posted"] == 130


def test_a_batch_does_not_invoke_the_publisher(world: World, table: MemoryTable, shop: str) -> None:
    """The head's outbox was published before. A change that keeps it would invoke the publisher again."""
    assert "outbox" in world.head(shop)
    world.ledger.post(pay(1, ALICE, shop, 30))
    folded(world, shop)
    assert "outbox" not in world.head(shop)


def test_credits_beyond_the_first_read_are_folded_too(
    world: World, table: MemoryTable, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One shard has more credits than one read returns. The rest is read with the last batch of those returned."""
    monkeypatch.setattr(folding, "BATCH_CREDITS", 3)
    monkeypatch.setattr(ledger, "PENDING_SHARDS", 2)
    numbers = {0: [], 1: []}  # type: dict[int, list[int]]
    for number in range(100):
        numbers[ledger.PendingLeg(shop, trf(number), "post", 1, "USD", "", "").shard].append(number)
    for number in (*numbers[1][:3], *numbers[0][:2], *numbers[1][3:5]):
        world.ledger.post(pay(number, ALICE, shop, 1))
        world.clock.advance(milliseconds=1)
    folded(world, shop, (0, 1))
    assert pending(world, shop) == []


def test_many_pending_credits_are_all_folded(
    world: World, table: MemoryTable, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "BATCH_CREDITS", 3)
    monkeypatch.setattr(ledger, "PENDING_SHARDS", 1)
    for number in range(20):
        world.ledger.post(pay(number, ALICE, shop, 1))
    folded(world, shop, (0,))
    assert pending(world, shop) == [] and world.head(shop)["fold"] == 7
