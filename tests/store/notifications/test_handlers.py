"""The inbox over HTTP and from its queue, wired as it is deployed, on moto."""

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import boto3
import moto
import pytest
from common.config import config
from common.events import Event

from functions.notifications.api import notification_read, notifications
from functions.notifications.events import inbox
from tests.support.rest import CONTEXT, Answer, principal, send
from tests.support.rest import event as request
from tests.support.tables import create_table
from tests.unit.notifications.fakes import ADA, GRACE, deleted, event, of_account, of_user


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    with moto.mock_aws():
        create_table(boto3.client("dynamodb"), "notifications")
        boto3.client("secretsmanager").create_secret(Name=config().fingerprint_secret, SecretString="a key for tests")
        yield


def hear(*events: Event | str) -> list[str]:
    """Delivers events in one batch; answers the positions of those that have to come again."""
    records = [
        {
            "messageId": str(number),
            "body": each if isinstance(each, str) else json.dumps(each.item()),
            "eventSource": "aws:sqs",
            "attributes": {},
            "messageAttributes": {},
        }
        for number, each in enumerate(events)
    ]
    reply = inbox.handler({"Records": records}, CONTEXT)
    return [each["itemIdentifier"] for each in reply["batchItemFailures"]]


def listing(user: str = ADA, **query: Any) -> Answer:
    return send(notifications.handler, request("GET", "/notifications", caller=principal(user), query=query))


def read(notification_id: str, user: str = ADA) -> Answer:
    resource = "/notifications/{notification_id}/read"
    path = {"notification_id": notification_id}
    return send(notification_read.handler, request("POST", resource, caller=principal(user), path=path))


def test_an_inbox_that_is_empty() -> None:
    answer = listing()
    assert (answer.status, answer.json) == (200, {"data": [], "next_cursor": None, "unread_count": 0})


def test_what_came_is_listed_with_its_fields() -> None:
    assert hear(event(1), event(1), event(2, "transfer.declined", code="insufficient_funds")) == []
    answer = listing()
    assert answer.json["unread_count"] == 2
    declined, sent = answer.json["data"]
    assert sent == {
        "id": sent["id"],
        "kind": "transfer_sent",
        "title": "Money sent",
        "body": "You sent Grace Hopper 10.50 USD.",
        "resource": "trf_1",
        "read": False,
        "created_at": "2026-11-21T09:30:01.000Z",
    }
    assert declined["kind"] == "transfer_declined"
    assert [each["kind"] for each in listing(GRACE).json["data"]] == ["transfer_received"]


def test_security_and_money_are_told_with_their_resources() -> None:
    heard = [of_user("user.password_changed"), of_account("balance.low", available=1, threshold=2)]
    assert hear(*heard) == []
    assert {(each["kind"], each["resource"]) for each in listing().json["data"]} == {
        ("password_changed", ADA),
        ("low_balance", "acc_1"),
    }


def test_a_deleted_user_s_inbox_is_gone_for_good() -> None:
    assert hear(event(1), deleted(), event(2), deleted()) == []
    assert listing().json == {"data": [], "next_cursor": None, "unread_count": 0}
    assert listing(GRACE).json["unread_count"] == 2


def test_poison_costs_only_itself() -> None:
    broken = Event.of(event(3).item() | {"data": {"kind": "transfer"}})
    assert hear("no json", event(1), broken, "{}", event(2)) == ["0", "2", "3"]
    assert listing().json["unread_count"] == 2


def test_pages_and_filters() -> None:
    hear(*(event(number) for number in range(5)))
    everything = [each["id"] for each in listing().json["data"]]
    first = listing(limit="2", after=everything[3])
    assert [each["id"] for each in first.json["data"]] == everything[:2]
    second = listing(limit="2", after=everything[3], cursor=first.json["next_cursor"])
    assert ([each["id"] for each in second.json["data"]], second.json["next_cursor"]) == ([everything[2]], None)
    read(everything[1])
    unread = listing(unread="true")
    assert [each["id"] for each in unread.json["data"]] == [everything[0], *everything[2:]]
    assert unread.json["unread_count"] == 4
    assert [each["id"] for each in listing(unread="false").json["data"]] == [everything[1]]


@pytest.mark.parametrize(
    "query",
    [
        {"unread": "yes"},
        {"unread": ""},
        {"after": "ntf_1"},
        {"after": "trf_01K0000000000000000000000A"},
        {"limit": "0"},
        {"limit": "101"},
        {"kind": "transfer_sent"},
        {"unread": ["true", "true"]},
    ],
)
def test_a_query_that_makes_no_sense_is_refused(query: dict[str, Any]) -> None:
    answer = listing(**query)
    assert (answer.status, answer.code) == (400, "validation_failed")


def test_a_cursor_is_good_for_its_caller_and_filters_only() -> None:
    hear(*(event(number) for number in range(3)))
    cursor = listing(limit="1").json["next_cursor"]
    for refused in (
        listing(GRACE, limit="1", cursor=cursor),
        listing(limit="1", cursor=cursor, unread="true"),
        listing(cursor="x"),
    ):
        assert (refused.status, refused.code) == (400, "invalid_cursor")


def test_a_forged_cursor_lists_nothing_worse_than_nothing() -> None:
    hear(event(1))
    newest = listing().json["data"][0]["id"]
    scope = json.dumps([ADA, "/v1/notifications", {"after": newest, "unread": None}])
    for position in ("", "!", "A", "ntf_", "\x00", "~~"):
        digest = hashlib.sha256(f"{scope}\n{position}".encode()).digest()[:8]
        cursor = base64.urlsafe_b64encode(digest + position.encode()).decode().rstrip("=")
        answer = listing(after=newest, cursor=cursor)
        assert answer.status == 400 if position == "" else answer.json["data"] == []


def test_reading_one() -> None:
    hear(event(1), event(2))
    newest = listing().json["data"][0]["id"]
    assert [(answer.status, answer.text) for answer in (read(newest), read(newest))] == [(204, ""), (204, "")]
    assert [each["read"] for each in listing().json["data"]] == [True, False]
    assert listing().json["unread_count"] == 1


@pytest.mark.parametrize("wrong", ["ntf_1", "ntf_01K0000000000000000000000A", "trf_01K0000000000000000000000A"])
def test_what_is_not_there_is_not_found(wrong: str) -> None:
    answer = read(wrong)
    assert (answer.status, answer.code) == (404, "not_found")


def test_someone_else_s_is_not_found() -> None:
    hear(event(1))
    hers = listing(GRACE).json["data"][0]["id"]
    answer = read(hers)
    assert (answer.status, answer.code) == (404, "not_found")
    assert listing(GRACE).json["unread_count"] == 1


def test_reading_all() -> None:
    hear(event(1), event(2))
    for _ in range(2):
        answer = send(notification_read.handler, request("POST", "/notifications/read-all", caller=principal(ADA)))
        assert answer.status == 204
        assert listing().json["unread_count"] == 0
    assert (listing(GRACE).json["unread_count"], listing(unread="true").json["data"]) == (2, [])


def test_a_key_marks_what_was_there_when_it_was_first_used() -> None:
    def read_all(key: str) -> Answer:
        headers = {"Idempotency-Key": key}
        return send(
            notification_read.handler,
            request("POST", "/notifications/read-all", caller=principal(ADA), headers=headers),
        )

    hear(event(1))
    first = read_all("a key")
    hear(event(2))
    again = read_all("a key")
    assert [(answer.status, answer.text) for answer in (first, again)] == [(204, "")] * 2
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, ["true"])
    assert listing().json["unread_count"] == 1
    assert (read_all("x" * 256).status, read_all("another").status) == (400, 204)
    assert listing().json["unread_count"] == 0


def test_strangers_and_wrong_methods() -> None:
    assert send(notifications.handler, request("GET", "/notifications")).status == 401
    answer = send(notifications.handler, request("DELETE", "/notifications", caller=principal(ADA)))
    assert (answer.status, answer.headers["allow"]) == (405, ["GET"])
    answer = send(notification_read.handler, request("GET", "/notifications/read-all", caller=principal(ADA)))
    assert (answer.status, answer.headers["allow"]) == (405, ["POST"])
