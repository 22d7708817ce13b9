"""AWS in memory: the auth table, a signing key and the keys of digests, with the context wired to them."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import moto
import pytest
from common import aws
from common.config import config
from common.dynamo import Table

from functions.auth import bootstrap
from functions.auth.store import AuthStore
from tests.support.tables import create_table

CACHED: tuple[Any, ...] = (
    aws.client,
    aws.secret,
    aws.keyring,
    config,
    bootstrap.registration,
    bootstrap.codes,
    bootstrap.login,
    bootstrap.sessions,
    bootstrap.users,
    bootstrap.second_factor,
    bootstrap.credentials,
    bootstrap.authenticators,
    bootstrap.reauthentication,
    bootstrap.passwords,
    bootstrap.addresses,
    bootstrap.profile,
    bootstrap.api_keys,
    bootstrap.administration,
    bootstrap.tokens,
    bootstrap._store,
)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """The auth table. Everything cached in a process is made again."""
    with moto.mock_aws():
        key = boto3.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
        for purpose in ("code", "email", "cursor"):
            name = f"{config().stack}-{purpose}-key"
            boto3.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps({"1": f"a {purpose} key"}))
        monkeypatch.setenv("TOKEN_KEYS", key)
        monkeypatch.setenv("DATA_KEY", boto3.client("kms").create_key()["KeyMetadata"]["KeyId"])
        for cached in CACHED:
            cached.cache_clear()
        client = boto3.client("dynamodb")
        yield Table(client, create_table(client, "auth"))
    for cached in CACHED:
        cached.cache_clear()


@pytest.fixture
def store(table: Table) -> AuthStore:
    return AuthStore(table)
