"""The conditions and queries of the inbox, on moto or DynamoDB."""

from collections.abc import Iterator
from typing import Any

import boto3
import moto
import pytest
from common.dynamo import Cancelled, Reason, Table
from common.errors import Refusal
from common.idempotency import IdempotencyKey

from functions.notifications.domain import Notification, notifications
from functions.notifications.store import NotificationStore
from tests.support.tables import create_table
from tests.unit.notifications.world import ADA, GRACE, transfer_event


@pytest.fixture
def table() -> Iterator[Table]:
    with moto.mock_aws():
        dynamodb = boto3.client("dynamodb")
        yield Table(dynamodb, create_table(dynamodb, "notifications"))


@pytest.fixture
def store(table: Table) -> NotificationStore:
    return NotificationStore(table)


def fill(store: NotificationStore, number: int) -> list[Notification]:
    """Add the notifications of `number` transfers, and return Ada's, newest first."""
    added = [each for one in range(number) for each in notifications(transfer_event(one))]
    for each in added:
        store.add(each)
    return [each for each in reversed(added) if each.user_id == ADA]


def listed(
    store: NotificationStore, newer_than: str | None = None, older_than: str | None = None, read: bool | None = None
) -> list[Notification]:
    return list(store.list(ADA, newer_than=newer_than, older_than=older_than, read=read, at_least=2))


def test_notifications_are_listed_newest_first_and_counted_once(store: NotificationStore) -> None:
    mine = fill(store, 4)
    fill(store, 4)
    assert listed(store) == mine
    assert (store.unread_count(ADA), store.unread_count(GRACE), store.unread_count("usr_x")) == (4, 4, 0)


def test_bounds_are_exclusive(store: NotificationStore) -> None:
    mine = fill(store, 5)
    assert listed(store, newer_than=mine[3].id) == mine[:3]
    assert listed(store, older_than=mine[1].id) == mine[2:]
    assert listed(store, newer_than=mine[4].id, older_than=mine[0].id) == mine[1:4]
    assert listed(store, newer_than=mine[1].id, older_than=mine[2].id) == []
    assert listed(store, newer_than=mine[1].id, older_than=mine[1].id) == []


def test_the_list_filters_read_and_unread(store: NotificationStore) -> None:
    mine = fill(store, 4)
    assert store.mark_read(ADA, [mine[1].id, mine[3].id]) == {}
    assert [each.id for each in listed(store, read=False)] == [mine[0].id, mine[2].id]
    assert [each.id for each in listed(store, read=True)] == [mine[1].id, mine[3].id]
    assert store.unread_count(ADA) == 2


def test_nothing_changes_if_one_is_refused(store: NotificationStore) -> None:
    mine = fill(store, 3)
    store.mark_read(ADA, [mine[0].id])
    (hers, *_) = store.list(GRACE, newer_than=None, older_than=None, read=None, at_least=1)
    refused = store.mark_read(ADA, [mine[0].id, mine[1].id, hers.id])
    assert refused == {mine[0].id: True, hers.id: False}
    assert [each.read for each in listed(store)] == [True, False, False]
    assert (store.unread_count(ADA), store.unread_count(GRACE)) == (2, 3)


def test_ninety_nine_are_marked_in_one_transaction(store: NotificationStore) -> None:
    mine = fill(store, 99)
    assert store.mark_read(ADA, [each.id for each in mine]) == {}
    assert store.unread_count(ADA) == 0


def test_adding_a_read_notification_again_keeps_it_read(store: NotificationStore) -> None:
    mine = fill(store, 1)
    store.mark_read(ADA, [mine[0].id])
    fill(store, 1)
    assert [each.read for each in listed(store)] == [True]
    assert store.unread_count(ADA) == 0


class _Refusing(Table):
    """A table that cancels every transaction although no condition failed."""

    def __init__(self) -> None:
        super().__init__(None, "notifications")

    def transact(self, writes: Any) -> None:
        raise Cancelled([Reason("ValidationError", None) for _ in writes])


def test_a_cancellation_without_a_failed_condition_is_raised() -> None:
    store = NotificationStore(_Refusing())
    (notification, _) = notifications(transfer_event())
    with pytest.raises(Cancelled):
        store.add(notification)
    with pytest.raises(Cancelled):
        store.mark_read(ADA, [notification.id])


def test_a_key_is_bound_once(store: NotificationStore) -> None:
    key = IdempotencyKey("scope", ("fingerprint",))
    assert [store.bind_key(ADA, key, newest) for newest in ("", "ntf_2")] == [None, ""]
    rotated = IdempotencyKey("scope", ("under a new key", "fingerprint"))
    assert store.bind_key(ADA, rotated, "ntf_2") == ""
    with pytest.raises(Refusal, match="idempotency_key_reused"):
        store.bind_key(ADA, IdempotencyKey("scope", ("other",)), "ntf_3")


@pytest.mark.parametrize("number", [0, 1, 501])
def test_only_the_deletion_marker_of_a_deleted_inbox_is_left(
    store: NotificationStore, table: Table, number: int
) -> None:
    if number:
        (mine,) = fill(store, 1)
        store.mark_read(ADA, [mine.id])
    for each in range(1, number):  # past the store: moto is slow at transactions
        for user_id in (ADA, GRACE):
            table.put({"pk": f"U#{user_id}", "sk": f"N#{each}"})
    store.bind_key(ADA, IdempotencyKey("scope", ("fingerprint",)), "ntf_1")
    store.bind_key(GRACE, IdempotencyKey("scope", ("fingerprint",)), "ntf_1")
    for expires_at in (1, 2):
        store.delete_inbox(ADA, expires_at)
    hers = [item for item in table.scan() if item["pk"] != f"U#{ADA}"]
    assert len(hers) == number + (number > 0) + 1
    assert [item for item in table.scan() if item["pk"] == f"U#{ADA}"] == [
        {"pk": f"U#{ADA}", "sk": "U", "gone": True, "expires_at": 2}
    ]


def test_nothing_is_added_to_a_deleted_inbox(store: NotificationStore) -> None:
    (mine,) = fill(store, 1)
    store.delete_inbox(ADA, 1)
    fill(store, 2)
    assert (listed(store), store.unread_count(ADA), store.unread_count(GRACE)) == ([], 0, 2)
    assert store.mark_read(ADA, [mine.id]) == {mine.id: False}
    assert store.unread_count(ADA) == 0


class _Dying(Table):
    """A table whose process dies when it deletes a batch."""

    def batch_delete(self, keys: Any) -> None:
        raise KeyboardInterrupt


def test_an_interrupted_deletion_is_finished_by_the_next(store: NotificationStore, table: Table) -> None:
    (mine,) = fill(store, 1)
    with pytest.raises(KeyboardInterrupt):
        NotificationStore(_Dying(table._client, table.name)).delete_inbox(ADA, 1)
    # Marking a notification meanwhile does not restore the counter.
    assert store.mark_read(ADA, [mine.id]) == {mine.id: False}
    store.delete_inbox(ADA, 1)
    assert [item["sk"] for item in table.scan() if item["pk"] == f"U#{ADA}"] == ["U"]
