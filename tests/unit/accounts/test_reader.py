"""The published reader, which tools use."""

from common.contracts.accounts import Post
from common.dynamo import Update

from functions.accounts.reader import check_items, entries_of, lines_of
from tests.support.memory_table import MemoryTable
from tests.unit.accounts.ledger.world import ALICE, BOB, RAIL, World, trf


def test_check_items_returns_the_violations_of_each_invariant() -> None:
    table = MemoryTable()
    world = World(table)
    world.fund(ALICE, 100)
    table.update(Update((f"A#{ALICE}", "H"), add={"posted": 1}))
    found = {finding.number: {each.id for each in finding.violations} for finding in check_items(table.items())}
    assert list(found) == [1, 2, 3, 4, 5, 8]
    assert (found[1], found[2], found[3]) == ({"USD"}, {ALICE}, {ALICE})


def test_lines_and_entries_of_a_line_and_of_a_batch() -> None:
    table = MemoryTable()
    world = World(table)
    world.fund(ALICE, 100, 1)
    world.fund(BOB, 50, 2)
    world.folding.fold_all(RAIL)
    (line,), (batch,) = ([item for item in table.items() if item["pk"] == f"E#{name}"] for name in (ALICE, RAIL))
    assert [(each.transfer_id, each.posted) for each in lines_of(line)] == [(trf(1), 100)]
    assert [(each.transfer_id, each.posted) for each in lines_of(batch)] == [(trf(1), -100), (trf(2), -150)]
    assert entries_of(line) == [line]
    assert [each["change"] for each in entries_of(batch)] == [-100, -50]
    world.ledger.post(Post(trf(3), ALICE, BOB, 10, "USD"))
    assert all(not finding.violations for finding in check_items(table.items()) if finding.number != 8)
