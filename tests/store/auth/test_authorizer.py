"""The authorizer as the gateway calls it. tests/unit/auth/test_tokens.py has every kind of invalid token."""

from collections.abc import Iterator

import boto3
import jwt
import pytest
from common import aws, clock
from common.config import config
from common.dynamo import Table
from common.observability import logger
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from jwt.utils import raw_to_der_signature

from functions.auth import bootstrap
from functions.auth.adapters.signer import KmsSigner
from functions.auth.adapters.tokens import AccessTokens
from functions.auth.api import well_known
from functions.auth.domain.users import User
from tests.store.auth.client import CREDENTIALS, Lines, auth_time_of, authorize, expiry_of, post, sign_in
from tests.store.auth.conftest import CACHED
from tests.support.rest import event, send
from tests.unit.auth.fakes import LocalSigner

pytestmark = pytest.mark.usefixtures("table")


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The log lines of level INFO and above."""
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
            "expires_at": expiry_of(granted["access_token"]),
            "auth_time": str(auth_time_of(granted["access_token"])),
            "has_second_factor": "false",
        },
    }


def test_anything_else_is_unauthorized_and_no_token_is_logged(lines: Lines) -> None:
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
        assert (vars(line)["ip"], vars(line)["user_agent"]) == ("203.0.113.7", "t" * 256)
        assert not any(part in lines.text for part in (token, other))


def test_a_valid_token_of_an_ended_or_unknown_session_is_unauthorized() -> None:
    granted = sign_in()
    post("/auth/logout", {"refresh_token": granted["refresh_token"]})
    deny(f"Bearer {granted['access_token']}")
    ada = User.new(
        granted["user"]["id"], clock.now(), email="", phone=None, first_name="", last_name="", password_hash=""
    )
    stray = bootstrap.tokens().issue(ada, "ses_01K0000000000000000000000A", 7, clock.now())
    deny(f"Bearer {stray}")


def test_a_token_of_another_key_is_unauthorized() -> None:
    granted = sign_in()
    ada = User.new(
        granted["user"]["id"], clock.now(), email="", phone=None, first_name="", last_name="", password_hash=""
    )
    session_id = granted["refresh_token"].split(".")[1]
    forged = AccessTokens(LocalSigner(), "https://api.remit.example").issue(ada, session_id, 7, clock.now())
    deny(f"Bearer {forged}")


def test_a_fault_is_not_reported_as_unauthorized(table: Table, lines: Lines) -> None:
    granted = sign_in()
    boto3.client("dynamodb").delete_table(TableName=table.name)
    lines.records.clear()
    with pytest.raises(RuntimeError, match=r"^authorizer failed$"):
        authorize(f"Bearer {granted['access_token']}")
    (line,) = lines.records
    assert line.levelname == "ERROR"


class TestRotation:
    """The deployments of docs/operations.md: TOKEN_KEYS is "old", "old new", "new old" and then "new"."""

    def deploy(self, monkeypatch: pytest.MonkeyPatch, *keys: str) -> list[str]:
        """Start new processes with these keys and return the published key ids."""
        monkeypatch.setenv("TOKEN_KEYS", " ".join(keys))
        for cached in CACHED:
            cached.cache_clear()
        answer = send(well_known.handler, event("GET", "/.well-known/jwks.json"))
        return [key["kid"] for key in answer.json["keys"]]

    def test_a_key_is_published_before_it_signs_and_trusted_until_its_tokens_expire(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = config().token_keys[0]
        new = boto3.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
        first = sign_in()["access_token"]
        (old_kid,) = self.deploy(monkeypatch, old)

        published = self.deploy(monkeypatch, old, new)
        second = again()
        assert published[0] == old_kid == kid_of(first) == kid_of(second)

        assert self.deploy(monkeypatch, new, old) == published[::-1]
        third = again()
        assert kid_of(third) == published[1] != old_kid
        for token in (first, second, third):
            assert authorize(f"Bearer {token}")["principalId"]

        assert self.deploy(monkeypatch, new) == [kid_of(third)]
        authorize(f"Bearer {third}")
        for token in (first, second):
            deny(f"Bearer {token}")

    def test_public_keys_are_read_once_a_process_whatever_the_kid(self, monkeypatch: pytest.MonkeyPatch) -> None:
        new = boto3.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
        token = sign_in()["access_token"]
        self.deploy(monkeypatch, config().token_keys[0], new)
        authorize(f"Bearer {token}")
        asked: list[str] = []
        aws.client("kms").meta.events.register("before-call.kms", lambda model, **_: asked.append(model.name))
        for unknown in ("another", "", "x" * 5000):
            claims = jwt.decode(token, options={"verify_signature": False})
            deny(f"Bearer {jwt.encode(claims, LocalSigner().private_key, 'ES256', {'typ': 'at+jwt', 'kid': unknown})}")
        authorize(f"Bearer {token}")
        assert asked == []
        again()
        assert asked == ["Sign"]


def again() -> str:
    return str(post("/auth/login", CREDENTIALS).json["access_token"])


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def test_kms_signs_what_its_public_key_verifies() -> None:
    signer = KmsSigner(aws.client("kms"), config().token_keys[0])
    for number in range(1, 21):
        message = b"x" * number
        raw = signer.sign(message)
        assert len(raw) == 64
        signer.public_key.verify(raw_to_der_signature(raw, signer.public_key.curve), message, ECDSA(SHA256()))
    assert signer.public_key is signer.public_key
