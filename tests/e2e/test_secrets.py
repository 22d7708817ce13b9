"""No password, code, card number, IBAN, CVV, token or key is in any table, log, queue or history of a saga."""

import json
import re
from collections.abc import Iterator

import pytest

from emulator.settings import STACK
from tests.e2e.client import SECRETS, iban
from tests.e2e.platform import CODE, CONTEXTS, Platform
from tools import mails

pytestmark = pytest.mark.stage("last")

KINDS = (
    *("password", "card number", "iban", "access token", "refresh token"),
    *("api key", "totp secret", "recovery code"),
)
FEWEST_CODES = 21
PURPOSES = ("request", "code", "pin", "instrument", "cursor", "email")


@pytest.fixture(scope="module")
def codes(platform: Platform) -> set[str]:
    """Every code that was mailed. Uses each kind of secret first, so that this file can run alone."""
    person = platform.person(funds=1000)
    bank_account = {"bank_id": "hanse-bank", "iban": iban("4242"), "holder_name": "Ada Lovelace"}
    person.post("/bank-accounts", bank_account, status=201)
    key = person.post("/auth/api-keys", {"name": "server", "scopes": ["read"]}, status=201)["key"]
    SECRETS.setdefault("api key", set()).add(key.split(".")[1])
    person.add_app()
    platform.crowd(max(0, 25 - len(platform.people)))
    return {found[0] for mail in mails.messages(platform.run) if (found := CODE.search(mail["text"]))}


@pytest.fixture(scope="module")
def places(platform: Platform, codes: set[str]) -> dict[str, str]:
    """Everything that the platform has stored or logged, by place."""
    found = {f"table {context}": json.dumps(platform.scan(context), default=repr) for context in CONTEXTS}
    for log in sorted(platform.run.logs.rglob("*.log")):
        found[f"log {log.name}"] = log.read_text(errors="replace")
    return found | dict(queued(platform)) | dict(histories(platform))


def queued(platform: Platform) -> Iterator[tuple[str, str]]:
    sqs = platform.run.client("sqs")
    for url in sqs.list_queues()["QueueUrls"]:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", [])
        yield f"queue {url.rsplit('/', 1)[1]}", json.dumps(messages)


def histories(platform: Platform) -> Iterator[tuple[str, str]]:
    sfn = platform.run.client("stepfunctions")
    executions = sfn.list_executions(stateMachineArn=platform.run.outputs["DepositSaga"], maxResults=50)["executions"]
    assert executions
    for each in executions:
        described = sfn.describe_execution(executionArn=each["executionArn"])
        yield f"saga {each['name']}", described["input"] + described.get("output", "")


@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_is_stored(places: dict[str, str], kind: str) -> None:
    secrets = SECRETS[kind]
    assert secrets
    for place, text in places.items():
        assert not [secret[:6] for secret in secrets if secret in text], place


def test_no_mailed_code_is_stored(codes: set[str], places: dict[str, str]) -> None:
    assert len(codes) >= FEWEST_CODES
    for place, text in places.items():
        # Only as a value of its own: six digits can also be part of a longer number, an id or a time.
        values = set(re.findall(r"(?<![0-9A-Za-z.:_-])[0-9]{6}(?![0-9A-Za-z.:_-])", text))
        assert values & codes == set(), place


def test_no_cvv_is_stored(places: dict[str, str]) -> None:
    for place, text in places.items():
        assert re.search(r"\bcvv\b", text, re.IGNORECASE) is None, place  # as a word: ids can contain the letters


def test_no_key_of_a_digest_is_stored(platform: Platform, places: dict[str, str]) -> None:
    secrets = platform.run.client("secretsmanager")
    names = {each["Name"] for each in secrets.list_secrets()["SecretList"]}
    assert {f"{STACK}-{purpose}-key" for purpose in PURPOSES} <= names
    for purpose in PURPOSES:
        keys = json.loads(secrets.get_secret_value(SecretId=f"{STACK}-{purpose}-key")["SecretString"])
        assert keys and all(version.isdigit() and len(key) >= 32 for version, key in keys.items())
        for place, text in places.items():
            assert not [version for version, key in keys.items() if key in text], (purpose, place)


def test_a_stored_digest_names_the_version_of_its_key(platform: Platform) -> None:
    digests = [item["digest"] for item in platform.scan("auth") if item["pk"].startswith("C#") and "digest" in item]
    assert digests
    assert all(re.fullmatch("[0-9]+:[0-9a-f]{64}", each) for each in digests)


def test_log_lines_of_auth_say_who_asked_but_not_whose_email(platform: Platform, places: dict[str, str]) -> None:
    lines = [json.loads(line) for line in places["log auth.log"].splitlines() if line.startswith('{"level"')]
    asked = [line for line in lines if line["message"] == "request"]
    assert asked
    assert all(line["ip"] == "127.0.0.1" and "user_agent" in line for line in asked)
    named = [line for line in lines if line["message"] == "email address given"]
    assert named
    assert all(re.fullmatch("[0-9]+:[0-9a-f]{64}", line["email_digest"]) for line in named)
    assert all(line["ip"] == "127.0.0.1" for line in named)
    emails = {person.email for person in platform.people}
    assert not [email for email in emails if email in places["log auth.log"]]


def test_the_places_are_read(places: dict[str, str]) -> None:
    assert "@example.com" in places["table auth"]
    assert "POST" in places["log transfers.log"]
    assert len(places) > 20
