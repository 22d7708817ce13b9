"""The same tests over the table in memory and over moto."""

from collections.abc import Iterator

import boto3
import pytest
from common.dynamo import Table
from moto import mock_aws

from tests.support.memory_table import MemoryTable
from tests.support.tables import create_table
from tests.unit.accounts.ledger.snapshot import Snapshot
from tests.unit.accounts.ledger.world import World


@pytest.fixture(params=["memory", "moto"])
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    if request.param == "memory":
        yield MemoryTable()
        return
    with mock_aws():
        client = boto3.client("dynamodb")
        yield Table(client, create_table(client, "accounts"))


@pytest.fixture
def world(table: Table) -> Iterator[World]:
    world = World(table)
    yield world
    Snapshot.of(table.scan()).check()
