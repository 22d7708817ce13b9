"""An AWS in this process whose state machines run."""

from collections.abc import Iterator
from typing import Any

import boto3
import moto
import pytest
from common import aws

from functions.transfers import bootstrap
from tests.support.tables import create_table


@pytest.fixture(autouse=True)
def cloud() -> Iterator[None]:
    """The transfers table, the rail's queue, and clients that belong to this test."""
    caches: list[Any] = [aws.client, *(each for each in vars(bootstrap).values() if hasattr(each, "cache_clear"))]
    for cached in caches:
        cached.cache_clear()
    with moto.mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        create_table(boto3.client("dynamodb"), "transfers")
        boto3.client("sqs").create_queue(QueueName="remit-rail")
        yield
    for cached in caches:
        cached.cache_clear()
