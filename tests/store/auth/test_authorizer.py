"""The gateway's side of the authorizer; every way a token can be wrong is in tests/unit/auth/test_tokens.py."""

from collections.abc import Iterator

import boto3
import pytest
from common import aws, clock
from common.config import config
from common.dynamo import Table
from common.observability import logger
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from jwt.utils import raw_to_der_signature

from functions.auth import bootstrap
from functions.auth.domain.users import User
from functions.auth.signer import KmsSigner
from functions.auth.tokens import AccessTokens
from tests.store.auth.client import Lines, authorize, post, sign_in
from tests.unit.auth.fakes import LocalSigner

pytestmark = pytest.mark.usefixtures("table")


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What the authorizer logs, from INFO up."""
    lines, level = Lines(), logger().log_level
    logger().setLevel("INFO")
    logger().addHandler(lines)
    yield lines
    logger()._logger.removeHandler(lines)
    logger().setLevel(level)


def deny(authorization: str | None) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$") as raised:
        authorize(authorization)
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
def test_allows_the_whole_stage_and_names_the_principal(name: str) -> None:
    granted = sign_in()
    answer = authorize(f"Bearer {granted['access_token']}", name)
    user_id = granted["user"]["id"]
    assert answer == {
        "principalId": user_id,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "execute-api:Invoke",
                    "Resource": "arn:aws:execute-api:eu-central-1:123456789012:abcdef/v1/*/*",
                }
            ],
        },
        "context": {
            "user_id": user_id,
            "role": "customer",
            "session_id": granted["refresh_token"].split(".")[1],
            "scopes": "read write payments",
            "email_verified": "false",
        },
    }


def test_anything_else_is_unauthorized_with_one_line_that_tells_no_token(lines: Lines) -> None:
    granted = sign_in()
    token, other = granted["access_token"], granted["refresh_token"]
    for authorization in (
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {token}",
        token,
        f"Bearer {token}x",
        f"Bearer {other}",
    ):
        lines.records.clear()
        deny(authorization)
        (line,) = lines.records
        assert line.exc_info is None
        assert not any(part in lines.text for part in (token, other))


def test_a_good_token_of_an_ended_or_unknown_session_is_unauthorized() -> None:
    granted = sign_in()
    post("/auth/logout", {"refresh_token": granted["refresh_token"]})
    deny(f"Bearer {granted['access_token']}")
    ada = User.new(
        granted["user"]["id"], clock.now(), email="", phone=None, first_name="", last_name="", password_hash=""
    )
    stray = bootstrap.tokens().issue(ada, "ses_01K0000000000000000000000A", clock.now())
    deny(f"Bearer {stray}")


def test_a_token_of_another_key_is_unauthorized() -> None:
    granted = sign_in()
    ada = User.new(
        granted["user"]["id"], clock.now(), email="", phone=None, first_name="", last_name="", password_hash=""
    )
    session_id = granted["refresh_token"].split(".")[1]
    forged = AccessTokens(LocalSigner(), "https://api.remit.example").issue(ada, session_id, clock.now())
    deny(f"Bearer {forged}")


def test_a_fault_is_not_taken_for_a_bad_token(table: Table, lines: Lines) -> None:
    granted = sign_in()
    boto3.client("dynamodb").delete_table(TableName=table.name)
    lines.records.clear()
    with pytest.raises(RuntimeError, match=r"^authorizer failed$"):
        authorize(f"Bearer {granted['access_token']}")
    (line,) = lines.records
    assert line.levelname == "ERROR"


def test_kms_signs_what_its_public_key_verifies() -> None:
    signer = KmsSigner(aws.client("kms"), config().token_key)
    for number in range(1, 21):
        message = b"x" * number
        raw = signer.sign(message)
        assert len(raw) == 64
        signer.public_key.verify(raw_to_der_signature(raw, signer.public_key.curve), message, ECDSA(SHA256()))
    assert signer.public_key is signer.public_key
