"""AWS in memory: the auth table, a signing key and the key of digests, with the context wired to them."""

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
    config,
    bootstrap.registration,
    bootstrap.codes,
    bootstrap.login,
    bootstrap.sessions,
    bootstrap.users,
    bootstrap.second_factor,
    bootstrap.credentials,
    bootstrap.authenticators,
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
        secret = config().fingerprint_secret
        boto3.client("secretsmanager").create_secret(Name=secret, SecretString="a key for tests")
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
