"""What every saga test stands on: an AWS in this process, with state machines that run."""

from collections.abc import Iterator
from typing import Any

import boto3
import moto
import pytest
from common import aws

from functions.transfers import bootstrap
from tests.sagas.rooms import Ledger, Rooms
from tests.support.tables import create_table


@pytest.fixture(autouse=True)
def cloud() -> Iterator[None]:
    """The transfers table, the rail's queue, and clients that belong to this test."""
    caches: list[Any] = [aws.client, bootstrap.service, bootstrap.sagas, bootstrap.rail]
    for cached in caches:
        cached.cache_clear()
    with moto.mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        create_table(boto3.client("dynamodb"), "transfers")
        boto3.client("sqs").create_queue(QueueName="remit-rail")
        yield
    for cached in caches:
        cached.cache_clear()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def rooms(ledger: Ledger) -> Rooms:
    return Rooms(ledger)
