"""The inbox's conditions and queries, on DynamoDB as moto has it."""

from collections.abc import Iterator
from typing import Any

import boto3
import moto
import pytest
from common.dynamo import Cancelled, Reason, Table
from common.errors import Problem
from common.idempotency import Idempotency

from functions.notifications.domain import Notification, notifications
from functions.notifications.store import DynamoStore
from tests.support.tables import create_table
from tests.unit.notifications.fakes import ADA, GRACE, event


@pytest.fixture
def table() -> Iterator[Table]:
    with moto.mock_aws():
        dynamodb = boto3.client("dynamodb")
        yield Table(dynamodb, create_table(dynamodb, "notifications"))


@pytest.fixture
def store(table: Table) -> DynamoStore:
    return DynamoStore(table)


def fill(store: DynamoStore, number: int) -> list[Notification]:
    """Ada's notifications of `number` transfers, newest first."""
    told = [each for one in range(number) for each in notifications(event(one))]
    for each in told:
        store.add(each)
    return [each for each in reversed(told) if each.user_id == ADA]


def listed(
    store: DynamoStore, newer_than: str | None = None, older_than: str | None = None, read: bool | None = None
) -> list[Notification]:
    return list(store.list(ADA, newer_than=newer_than, older_than=older_than, read=read, at_least=2))


def test_what_is_added_is_listed_newest_first_and_counted_once(store: DynamoStore) -> None:
    mine = fill(store, 4)
    fill(store, 4)
    assert listed(store) == mine
    assert (store.unread_count(ADA), store.unread_count(GRACE), store.unread_count("usr_x")) == (4, 4, 0)


def test_bounds_are_exclusive(store: DynamoStore) -> None:
    mine = fill(store, 5)
    assert listed(store, newer_than=mine[3].id) == mine[:3]
    assert listed(store, older_than=mine[1].id) == mine[2:]
    assert listed(store, newer_than=mine[4].id, older_than=mine[0].id) == mine[1:4]
    assert listed(store, newer_than=mine[1].id, older_than=mine[2].id) == []
    assert listed(store, newer_than=mine[1].id, older_than=mine[1].id) == []


def test_read_and_unread_are_told_apart(store: DynamoStore) -> None:
    mine = fill(store, 4)
    assert store.mark_read(ADA, [mine[1].id, mine[3].id]) == {}
    assert [each.id for each in listed(store, read=False)] == [mine[0].id, mine[2].id]
    assert [each.id for each in listed(store, read=True)] == [mine[1].id, mine[3].id]
    assert store.unread_count(ADA) == 2


def test_where_one_is_refused_nothing_changes(store: DynamoStore) -> None:
    mine = fill(store, 3)
    store.mark_read(ADA, [mine[0].id])
    (hers, *_) = store.list(GRACE, newer_than=None, older_than=None, read=None, at_least=1)
    refused = store.mark_read(ADA, [mine[0].id, mine[1].id, hers.id])
    assert refused == {mine[0].id: True, hers.id: False}
    assert [each.read for each in listed(store)] == [True, False, False]
    assert (store.unread_count(ADA), store.unread_count(GRACE)) == (2, 3)


def test_ninety_nine_go_at_once(store: DynamoStore) -> None:
    mine = fill(store, 99)
    assert store.mark_read(ADA, [each.id for each in mine]) == {}
    assert store.unread_count(ADA) == 0


def test_what_was_read_stays_read_when_the_event_comes_again(store: DynamoStore) -> None:
    mine = fill(store, 1)
    store.mark_read(ADA, [mine[0].id])
    fill(store, 1)
    assert [each.read for each in listed(store)] == [True]
    assert store.unread_count(ADA) == 0


class _Refusing(Table):
    """Cancels every transaction, though no condition failed."""

    def __init__(self) -> None:
        super().__init__(None, "notifications")

    def transact(self, writes: Any) -> None:
        raise Cancelled([Reason("ValidationError", None) for _ in writes])


def test_a_cancellation_of_another_kind_is_not_taken_for_a_condition() -> None:
    store = DynamoStore(_Refusing())
    (told, _) = notifications(event())
    with pytest.raises(Cancelled):
        store.add(told)
    with pytest.raises(Cancelled):
        store.mark_read(ADA, [told.id])


def test_a_key_is_bound_once(store: DynamoStore) -> None:
    key = Idempotency("scope", "fingerprint")
    assert [store.bind(ADA, key, newest) for newest in ("", "ntf_2")] == [None, ""]
    with pytest.raises(Problem, match="idempotency_key_reused"):
        store.bind(ADA, Idempotency("scope", "other"), "ntf_3")


@pytest.mark.parametrize("number", [0, 1, 501])
def test_of_whoever_is_gone_a_tombstone_stays(store: DynamoStore, table: Table, number: int) -> None:
    mine = fill(store, number)
    if mine:
        store.mark_read(ADA, [mine[0].id])
    store.bind(ADA, Idempotency("scope", "fingerprint"), "ntf_1")
    store.bind(GRACE, Idempotency("scope", "fingerprint"), "ntf_1")
    for expires_at in (1, 2):
        store.forget(ADA, expires_at)
    hers = [item for item in table.scan() if item["pk"] != f"U#{ADA}"]
    assert len(hers) == number + (number > 0) + 1
    assert [item for item in table.scan() if item["pk"] == f"U#{ADA}"] == [
        {"pk": f"U#{ADA}", "sk": "U", "gone": True, "expires_at": 2}
    ]


def test_an_inbox_that_is_gone_stays_gone(store: DynamoStore) -> None:
    (mine,) = fill(store, 1)
    store.forget(ADA, 1)
    fill(store, 2)
    assert (listed(store), store.unread_count(ADA), store.unread_count(GRACE)) == ([], 0, 2)
    assert store.mark_read(ADA, [mine.id]) == {mine.id: False}
    assert store.unread_count(ADA) == 0


class _Dying(Table):
    """Dies at a call to remove something."""

    def batch_delete(self, keys: Any) -> None:
        raise KeyboardInterrupt


def test_what_died_while_it_forgot_is_finished_by_the_next(store: DynamoStore, table: Table) -> None:
    (mine,) = fill(store, 1)
    with pytest.raises(KeyboardInterrupt):
        DynamoStore(_Dying(table._client, table.name)).forget(ADA, 1)
    # Whatever is read meanwhile does not bring the counter back.
    assert store.mark_read(ADA, [mine.id]) == {mine.id: False}
    store.forget(ADA, 1)
    assert [item["sk"] for item in table.scan() if item["pk"] == f"U#{ADA}"] == ["U"]
