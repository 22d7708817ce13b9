"""The endpoints and the queue of the inbox, wired as deployed, on moto."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import boto3
import moto
import pytest
from common.config import config
from common.contracts.events import Event

from functions.notifications.api import notification_read, notifications
from functions.notifications.events import inbox
from tests.support.rest import CONTEXT, Answer, event, principal, send
from tests.support.tables import create_table
from tests.unit.notifications.world import ADA, GRACE, account_event, deletion, transfer_event, user_event

EARLIEST = "ntf_00000000000000000000000000"


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    with moto.mock_aws():
        create_table(boto3.client("dynamodb"), "notifications")
        for purpose in ("cursor", "request"):
            name = f"{config().stack}-{purpose}-key"
            boto3.client("secretsmanager").create_secret(Name=name, SecretString='{"1": "a key for tests"}')
        yield


def deliver(*events: Event | str) -> list[str]:
    """Deliver events in one batch, and return the positions of those that failed."""
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


def listed(user: str = ADA, **query: Any) -> Answer:
    return send(notifications.handler, event("GET", "/notifications", caller=principal(user), query=query))


def read(notification_id: str, **headers: str) -> Answer:
    resource = "/notifications/{notification_id}/read"
    path = {"notification_id": notification_id}
    return send(notification_read.handler, event("POST", resource, caller=principal(ADA), path=path, headers=headers))


def test_an_empty_inbox() -> None:
    answer = listed()
    assert (answer.status, answer.json) == (200, {"data": [], "next_cursor": None, "unread_count": 0})


def test_notifications_are_listed_with_their_fields() -> None:
    assert (
        deliver(transfer_event(1), transfer_event(1), transfer_event(2, "transfer.declined", code="insufficient_funds"))
        == []
    )
    answer = listed()
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
    assert [each["kind"] for each in listed(GRACE).json["data"]] == ["transfer_received"]


def test_notifications_name_the_resource_that_they_are_about() -> None:
    events = [user_event("user.password_changed"), account_event("balance.low", available=1, threshold=2)]
    assert deliver(*events) == []
    assert {(each["kind"], each["resource"]) for each in listed().json["data"]} == {
        ("password_changed", ADA),
        ("low_balance", "acc_1"),
    }


def test_a_deleted_user_has_no_inbox() -> None:
    assert deliver(transfer_event(1), deletion(), transfer_event(2), deletion()) == []
    assert listed().json == {"data": [], "next_cursor": None, "unread_count": 0}
    assert listed(GRACE).json["unread_count"] == 2


def test_a_malformed_message_fails_alone() -> None:
    broken = Event.of(transfer_event(3).item() | {"data": {"kind": "transfer"}})
    assert deliver("no json", transfer_event(1), broken, "{}", transfer_event(2)) == ["0", "2", "3"]
    assert listed().json["unread_count"] == 2


def test_pages_and_filters() -> None:
    deliver(*(transfer_event(number) for number in range(5)))
    everything = [each["id"] for each in listed().json["data"]]
    first = listed(limit="2", after=everything[3])
    assert [each["id"] for each in first.json["data"]] == everything[:2]
    second = listed(limit="2", after=everything[3], cursor=first.json["next_cursor"])
    assert ([each["id"] for each in second.json["data"]], second.json["next_cursor"]) == ([everything[2]], None)
    read(everything[1])
    unread = listed(unread="true")
    assert [each["id"] for each in unread.json["data"]] == [everything[0], *everything[2:]]
    assert unread.json["unread_count"] == 4
    assert [each["id"] for each in listed(unread="false").json["data"]] == [everything[1]]


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
def test_an_invalid_query_is_refused(query: dict[str, Any]) -> None:
    answer = listed(**query)
    assert (answer.status, answer.code) == (400, "validation_failed")


def test_a_cursor_is_valid_only_for_its_caller_and_filters() -> None:
    deliver(*(transfer_event(number) for number in range(3)))
    cursor = listed(limit="1").json["next_cursor"]
    for refused in (
        listed(GRACE, limit="1", cursor=cursor),
        listed(limit="1", cursor=cursor, unread="true"),
        listed(cursor="x"),
    ):
        assert (refused.status, refused.code) == (400, "invalid_cursor")


def test_a_forged_cursor_is_refused() -> None:
    """What a client could make without the key: the unkeyed digest of earlier versions, and other keys' digests."""
    deliver(transfer_event(1), transfer_event(2))
    oldest = listed().json["data"][1]["id"]
    real = listed(limit="1", after=EARLIEST).json["next_cursor"]
    assert listed(limit="1", after=EARLIEST, cursor=real).status == 200
    scope = json.dumps([ADA, "/v1/notifications", {"after": EARLIEST, "unread": None}])
    for position in ("", "!", "A", "ntf_", oldest, "\x00", "~~"):
        plain = f"{scope}\n{position}".encode()
        forged = [
            hashlib.sha256(plain).digest()[:8] + position.encode(),
            f"1:{hashlib.sha256(plain).hexdigest()} {position}".encode(),
            f"1:{hmac.new(b'', plain, hashlib.sha256).hexdigest()} {position}".encode(),
            f"{_decoded(real).split()[0]} {position}".encode(),
        ]
        for cursor in (base64.urlsafe_b64encode(each).decode().rstrip("=") for each in forged):
            answer = listed(limit="1", after=EARLIEST, cursor=cursor)
            assert (answer.status, answer.code) == (400, "invalid_cursor")


def _decoded(cursor: str) -> str:
    return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()


def test_marking_one_as_read() -> None:
    deliver(transfer_event(1), transfer_event(2))
    newest = listed().json["data"][0]["id"]
    assert [(answer.status, answer.text) for answer in (read(newest), read(newest))] == [(204, ""), (204, "")]
    assert [each["read"] for each in listed().json["data"]] == [True, False]
    assert listed().json["unread_count"] == 1
    replayed = [read(newest, **{"Idempotency-Key": "a key"}).headers.get("idempotent-replayed") for _ in range(2)]
    assert replayed == [None, ["true"]]


@pytest.mark.parametrize("wrong", ["ntf_1", "ntf_01K0000000000000000000000A", "trf_01K0000000000000000000000A"])
def test_an_unknown_or_malformed_id_is_not_found(wrong: str) -> None:
    answer = read(wrong)
    assert (answer.status, answer.code) == (404, "not_found")


def test_another_user_s_notification_is_not_found() -> None:
    deliver(transfer_event(1))
    hers = listed(GRACE).json["data"][0]["id"]
    answer = read(hers)
    assert (answer.status, answer.code) == (404, "not_found")
    assert listed(GRACE).json["unread_count"] == 1


def test_marking_all_as_read() -> None:
    deliver(transfer_event(1), transfer_event(2))
    for _ in range(2):
        answer = send(notification_read.handler, event("POST", "/notifications/read-all", caller=principal(ADA)))
        assert answer.status == 204
        assert listed().json["unread_count"] == 0
    assert (listed(GRACE).json["unread_count"], listed(unread="true").json["data"]) == (2, [])


def test_a_repeated_key_marks_only_what_existed_at_its_first_use() -> None:
    def read_all(key: str) -> Answer:
        headers = {"Idempotency-Key": key}
        return send(
            notification_read.handler,
            event("POST", "/notifications/read-all", caller=principal(ADA), headers=headers),
        )

    deliver(transfer_event(1))
    first = read_all("a key")
    deliver(transfer_event(2))
    again = read_all("a key")
    assert [(answer.status, answer.text) for answer in (first, again)] == [(204, "")] * 2
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, ["true"])
    assert listed().json["unread_count"] == 1
    assert (read_all("x" * 256).status, read_all("another").status) == (400, 204)
    assert listed().json["unread_count"] == 0


def test_callers_without_a_token_and_wrong_methods_are_refused() -> None:
    assert send(notifications.handler, event("GET", "/notifications")).status == 401
    answer = send(notifications.handler, event("DELETE", "/notifications", caller=principal(ADA)))
    assert (answer.status, answer.headers["allow"]) == (405, ["GET"])
    answer = send(notification_read.handler, event("GET", "/notifications/read-all", caller=principal(ADA)))
    assert (answer.status, answer.headers["allow"]) == (405, ["POST"])
