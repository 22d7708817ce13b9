"""Reading the journal."""

import pytest
from common.contracts.accounts import Post, Reserve
from common.dynamo import Table

from functions.accounts.domain.journal import JournalHead
from functions.accounts.service.journal import Journal
from functions.accounts.store.journal import JournalStore
from tests.unit.accounts.journal.world import ACCOUNT, OWNER
from tests.unit.accounts.journal.world import World as JournalWorld
from tests.unit.accounts.ledger.world import ALICE, BOB, RAIL, SHARDS, STRANGER, World, trf

NOW = "2026-11-21T09:30:00.000Z"


@pytest.fixture
def store(table: Table) -> JournalStore:
    return JournalStore(table)


def lines(store: JournalStore, account_id: str = ALICE, **how: str | None) -> list[int]:
    """Return the versions of the lines found, which are the same for any number of items per round trip."""
    asked = {"since": None, "until": None, "position": None, **how}
    found = [list(store.lines(account_id, items=items, **asked)) for items in (1, 3, None)]
    assert found[0] == found[1] == found[2]
    return [line.version for _, line in found[0]]


def test_what_the_ledger_wrote_is_read(world: World, store: JournalStore) -> None:
    world.fund(ALICE, 500)
    world.ledger.post(Post(trf(1), ALICE, BOB, 10, "USD", "lunch"))
    world.ledger.reserve(Reserve(trf(6), ALICE, 200, "USD"))
    (_, reserved), (place, paid), (_, funded) = store.lines(ALICE, since=None, until=None, items=None)
    assert place == f"{NOW}#000000000002"
    assert (paid.account_id, paid.version, paid.at, paid.currency) == (ALICE, 2, NOW, "USD")
    assert (paid.posted_change, paid.held_change, paid.posted, paid.held) == (-10, 0, 490, 0)
    assert (paid.transfer_id, paid.step, paid.description, paid.credit_limit) == (trf(1), "post", "lunch", 0)
    assert paid.entry_id.startswith("ent_")
    assert (reserved.posted_change, reserved.held_change, reserved.held) == (0, 200, 200)
    assert funded.posted == 500
    assert store.last(ALICE, "2026-11-21T09:30:00.001Z") == reserved
    assert store.last(ALICE, NOW) is None
    assert store.head(ALICE) == JournalHead(ALICE, f"usr_{ALICE[4:]}", "Main", "USD", 490, 200, 290)


def test_lines_newest_first_by_time_and_position(world: World, store: JournalStore) -> None:
    world.fund(ALICE, 500)
    world.ledger.post(Post(trf(1), ALICE, BOB, 10, "USD", "lunch"))
    for number in range(2, 6):
        world.clock.advance(seconds=1)
        world.ledger.post(Post(trf(number), ALICE, BOB, 10, "USD", "lunch"))
    assert lines(store) == [6, 5, 4, 3, 2, 1]
    assert lines(store, since="2026-11-21T09:30:01.000Z", until="2026-11-21T09:30:03.000Z") == [4, 3]
    assert lines(store, until=NOW) == []
    assert lines(store, since=NOW, until=NOW) == []
    assert lines(store, since="2026-11-21T09:30:03.000Z", until=NOW) == []
    position = "2026-11-21T09:30:02.000Z#000000000004"
    assert lines(store, position=position) == [3, 2, 1]
    assert lines(store, position=position, since="2026-11-21T09:30:01.000Z") == [3]
    assert lines(store, position=position, until=NOW) == []


def test_only_accounts_of_users_have_a_head(world: World, store: JournalStore) -> None:
    world.fund(ALICE, 500)
    world.folding.fold(RAIL, SHARDS)
    assert store.head(STRANGER) is None
    assert store.head(RAIL) is None
    assert store.holder(f"usr_{ALICE[4:]}") == ""


def test_a_credit_limit_counts_from_its_line_on(table: Table) -> None:
    journal_world = JournalWorld(table)
    journal_world.name("Ada", "Lovelace")
    journal_world.line(100)
    journal_world.clock.advance(seconds=1)
    journal_world.limit(50)
    journal_world.line(held=20, step="reserve")
    journal_world.head()
    journal = Journal(JournalStore(table), journal_world.clock)
    for at, available in ((NOW, 100), ("2026-11-21T09:30:00.999Z", 100), (journal_world.now, 130), (None, 130)):
        assert journal.balance(ACCOUNT, OWNER, is_admin=False, at=at).available == available
    assert JournalStore(table).holder(OWNER) == "Ada Lovelace"


def test_a_statement_over_more_than_one_round_trip(table: Table) -> None:
    journal_world = JournalWorld(table)
    for _ in range(600):
        # DynamoDB reads a megabyte at a time.
        journal_world.line(3, description="深" * 500)
        journal_world.clock.advance(seconds=1)
    journal_world.head()
    found = Journal(JournalStore(table), journal_world.clock).statement(
        ACCOUNT, OWNER, is_admin=False, since="2026-11-21T09:31:00.000Z", until="2026-11-22T00:00:00.000Z"
    )
    assert (found.opening, found.closing, len(found.lines)) == (180, 1800, 540)
    assert [line.version for line in found.lines] == list(range(61, 601))
