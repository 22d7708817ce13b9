"""The AWS clients of this process, made on first use and kept."""

from functools import cache
from typing import Any

import boto3
from botocore.config import Config as ClientConfig

from common.config import config

# One slow call must not eat the caller's whole time: give up early and try again with jitter.
_CLIENT_CONFIG = ClientConfig(
    connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4}, tcp_keepalive=True
)


@cache
def client(service: str) -> Any:
    """The client of an AWS service, say `dynamodb`."""
    return boto3.client(service, config=_CLIENT_CONFIG)


@cache
def secret(name: str) -> bytes:
    """A secret's value, read once a process.

    Used as a key for digests; it is neither logged nor kept anywhere else.
    """
    value: str = client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    return value.encode()


def fingerprint_key() -> bytes:
    """The key of every keyed digest (`common.idempotency.digest`): fingerprints of bodies, cards, codes."""
    return secret(config().fingerprint_secret)
