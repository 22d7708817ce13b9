"""No password, code, card number, verification value or token is in any table, log, queue or saga's history."""

import json
import re
from collections.abc import Iterator

import pytest

from localstack import inbox
from tests.e2e.client import SECRETS
from tests.e2e.world import CODE, ROOMS, World


@pytest.fixture(scope="module")
def places(world: World) -> dict[str, str]:
    """Everything the platform wrote down, by where."""
    found = {f"table {room}": json.dumps(world.scan(room), default=repr) for room in ROOMS}
    for log in sorted(world.run.logs.rglob("*.log")):
        found[f"log {log.name}"] = log.read_text(errors="replace")
    found |= dict(queued(world))
    found |= dict(histories(world))
    return found


def queued(world: World) -> Iterator[tuple[str, str]]:
    sqs = world.run.client("sqs")
    for url in sqs.list_queues()["QueueUrls"]:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", [])
        yield f"queue {url.rsplit('/', 1)[1]}", json.dumps(messages)


def histories(world: World) -> Iterator[tuple[str, str]]:
    sfn = world.run.client("stepfunctions")
    executions = sfn.list_executions(stateMachineArn=world.run.outputs["DepositSaga"], maxResults=50)["executions"]
    assert executions
    for each in executions:
        described = sfn.describe_execution(executionArn=each["executionArn"])
        yield f"saga {each['name']}", described["input"] + described.get("output", "")


@pytest.mark.parametrize(
    "kind",
    [
        "password",
        "card number",
        "iban",
        "access token",
        "refresh token",
        "api key",
        "totp secret",
        "recovery code",
    ],
)
def test_no_secret_is_kept(places: dict[str, str], kind: str) -> None:
    secrets = SECRETS[kind]
    assert secrets
    for place, text in places.items():
        assert not [secret[:6] for secret in secrets if secret in text], place


def test_no_mailed_code_is_kept(world: World, places: dict[str, str]) -> None:
    codes = {found[0] for mail in inbox.messages(world.run) if (found := CODE.search(mail["text"]))}
    assert len(codes) > 20
    for place, text in places.items():
        # As a value of its own: six digits may stand by chance within a longer number, an id or a time.
        values = set(re.findall(r"(?<![0-9A-Za-z.:_-])[0-9]{6}(?![0-9A-Za-z.:_-])", text))
        assert values & codes == set(), place


def test_no_verification_value_is_kept(places: dict[str, str]) -> None:
    for place, text in places.items():
        assert re.search(r"\bcvv\b", text, re.IGNORECASE) is None, place  # ids may hold the letters by chance


def test_the_places_are_really_read(places: dict[str, str]) -> None:
    assert "@example.com" in places["table auth"]
    assert "POST" in places["log transfers.log"]
    assert len(places) > 20
