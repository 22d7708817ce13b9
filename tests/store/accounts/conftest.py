"""The accounts room over moto, with the wiring that it has in Lambda."""

from collections.abc import Iterator
from typing import Any

import boto3
import moto
import pytest
from common import aws

from functions.accounts.bootstrap import accounts, authorization, instruments, ledger, limits, payees, pins
from tests.support.tables import create_table

_ROOM = (accounts, authorization, instruments, ledger, limits, payees, pins)
_CACHES = (aws.client, aws.secret, *(each.service for each in _ROOM))


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    """A client, and a fresh accounts table behind it."""
    with moto.mock_aws():
        for cached in _CACHES:
            cached.cache_clear()
        boto3.client("secretsmanager").create_secret(Name="remit-fingerprint-key", SecretString="a key for tests")
        client = boto3.client("dynamodb")
        create_table(client, "accounts")
        yield client
    for cached in _CACHES:
        cached.cache_clear()
