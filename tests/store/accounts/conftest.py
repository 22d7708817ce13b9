"""The accounts context over moto, wired as in Lambda."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import moto
import pytest
from common import aws

from functions.accounts import bootstrap
from tests.support.tables import create_table

_CACHES = (
    aws.client,
    aws.keyring,
    aws.secret,
    bootstrap.accounts,
    bootstrap.approvals,
    bootstrap.instruments,
    bootstrap.ledger,
    bootstrap.folding,
    bootstrap.journal,
    bootstrap.limits,
    bootstrap.payees,
    bootstrap.pins,
    bootstrap.reconciliation,
)


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    """Return a client of a new accounts table."""
    with moto.mock_aws():
        for cached in _CACHES:
            cached.cache_clear()
        for purpose in ("request", "cursor", "pin", "instrument"):
            key = json.dumps({"1": f"a {purpose} key for tests"})
            boto3.client("secretsmanager").create_secret(Name=f"remit-{purpose}-key", SecretString=key)
        client = boto3.client("dynamodb")
        create_table(client, "accounts")
        yield client
    for cached in _CACHES:
        cached.cache_clear()
