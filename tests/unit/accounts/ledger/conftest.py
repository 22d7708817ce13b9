"""A ledger over a table in memory. After each test, its items have to be consistent."""

from collections.abc import Iterator

import pytest

from tests.support.memory_table import MemoryTable
from tests.unit.accounts.ledger.snapshot import Snapshot
from tests.unit.accounts.ledger.world import World


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


@pytest.fixture
def world(table: MemoryTable) -> Iterator[World]:
    world = World(table)
    yield world
    table.hook = None
    Snapshot.of(table.items()).check()
