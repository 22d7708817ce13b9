"""The AWS clients of this process, made on first use and kept."""

from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from common.config import config


@cache
def client(service: str, *, attempts: int = 4, read_timeout: int = 10) -> Any:
    """The client of an AWS service, say `dynamodb`. Times are seconds.

    One attempt is for what must not be sent twice: a lost reply would be answered by sending it again.
    """
    return boto3.client(
        service,
        config=Config(
            connect_timeout=2,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
            tcp_keepalive=True,
        ),
    )


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
