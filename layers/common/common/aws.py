"""The AWS clients of this process, made on first use and kept.

The session is botocore's: boto3 adds nothing to a client but its import time.
"""

import json
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config

from common.config import config
from common.keys import Keyring, Purpose

_CONNECT_TIMEOUT_SECONDS = 2


@cache
def client(service: str, *, attempts: int = 4, read_timeout: int = 10) -> Any:
    """Return the client of an AWS service, such as `dynamodb`. `read_timeout` is in seconds.

    Use one attempt for a call that must not be sent twice: after a lost reply the SDK would send it again.
    """
    return _session().create_client(
        service,
        config=Config(
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
            tcp_keepalive=True,
        ),
    )


@cache
def secret(name: str) -> bytes:
    """Return the value of a secret, read once a process. It is neither logged nor stored."""
    value: str = client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    return value.encode()


@cache
def keyring(purpose: Purpose) -> Keyring:
    """Return the keys of one purpose: the secret `<stack>-<purpose>-key`, a JSON object of keys by version."""
    keys: dict[str, str] = json.loads(secret(f"{config().stack}-{purpose}-key"))
    return Keyring({version: key.encode() for version, key in keys.items()})


@cache
def _session() -> Any:
    return botocore.session.get_session()
