"""The journal: what a killed emulator has written, and what it replays onto the state that was saved last."""

import asyncio
import copy
import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ministack.app
import pytest
from ministack.core import persistence, responses
from ministack.services import cloudformation, dynamodb, lambda_svc, ses, sns, sqs

from emulator import patches
from emulator.journal import ACCOUNT, Journal
from emulator.settings import REGION

WRAPPED = [
    *((dynamodb, name) for name in ("_set_item", "_remove_item", "_emit_stream_event", "handle_request")),
    *((ses, name) for name in ("get_state", "_restore_state")),
    *((ministack.app, name) for name in ("_load_persisted_state", "save_all")),
    (sqs, "_act_send_message"),
    (lambda_svc, "_ensure_poller"),
]
STORES = [
    *(dynamodb._tables, dynamodb._stream_records, dynamodb._stream_trimmed),
    *(sqs._queues, ses._sent_emails, sns._sms_messages, lambda_svc._dynamodb_stream_positions),
]
QUEUE = (ACCOUNT, REGION, "http://127.0.0.1/q")
READER = (ACCOUNT, REGION, "reader")


@pytest.fixture(autouse=True)
def empty_emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for module, name in WRAPPED:
        monkeypatch.setattr(module, name, getattr(module, name))  # restored at the end
    monkeypatch.setitem(sqs._HANDLERS, "SendMessage", sqs._act_send_message)
    monkeypatch.setattr(persistence, "STATE_DIR", str(tmp_path))
    before = [dict(store._data) for store in STORES]
    forget()
    yield
    for store, data in zip(STORES, before, strict=True):
        store._data.clear()
        store._data.update(data)


def forget() -> None:
    for store in STORES:
        store._data.clear()


def state() -> list[Any]:
    """The data, as comparable values. The order of messages is not part of it."""
    found = [copy.deepcopy(dict(store._data)) for store in STORES]
    for table in found[0].values():
        table.pop("_index_members", None)
        table["items"] = dict(table["items"])
    for queue in found[3].values():
        queue["messages"].sort(key=lambda message: message["id"])
    return found


def restore(data: list[Any]) -> None:
    forget()
    for store, values in zip(STORES, copy.deepcopy(data), strict=True):
        store._data.update(values)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.replay()
    patches.keep_journal(journal)
    responses.set_request_region(REGION)
    call(
        "CreateTable",
        TableName="table",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    sqs._queues._data[QUEUE] = {"messages": []}
    return journal


def call(operation: str, **body: Any) -> Any:
    headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
    status, _, content = asyncio.run(dynamodb.handle_request("POST", "/", headers, json.dumps(body).encode(), {}))
    assert status == 200, content
    return json.loads(content)


def item(sort: str, value: str) -> dict[str, Any]:
    return {"pk": {"S": "a"}, "sk": {"S": sort}, "value": {"S": value}}


def key(sort: str) -> dict[str, Any]:
    return {"pk": {"S": "a"}, "sk": {"S": sort}}


def write() -> None:
    call("PutItem", TableName="table", Item=item("1", "old"))
    call("PutItem", TableName="table", Item=item("1", "new"))
    call("PutItem", TableName="table", Item=item("2", "deleted"))
    call("DeleteItem", TableName="table", Key=key("2"))
    call(
        "UpdateItem",
        TableName="table",
        Key=key("3"),
        UpdateExpression="SET #v = :v",
        ExpressionAttributeNames={"#v": "value"},
        ExpressionAttributeValues={":v": {"B": "AAE="}},
    )
    puts = [{"Put": {"TableName": "table", "Item": item(sort, "é")}} for sort in ("4", "5")]
    call("TransactWriteItems", TransactItems=[*puts, {"Delete": {"TableName": "table", "Key": key("3")}}])


def lines(journal: Journal) -> list[Any]:
    return [json.loads(line) for line in journal._path.read_bytes().splitlines()]


@pytest.mark.parametrize("times", [1, 2])
def test_what_was_written_is_replayed_onto_the_saved_state(journal: Journal, times: int) -> None:
    saved = state()
    write()
    expected = state()
    assert expected != saved
    restore(saved)
    for _ in range(times):
        Journal(journal._path).replay()
    assert state() == expected


def test_replaying_onto_a_newer_state_has_no_effect(journal: Journal) -> None:
    write()
    expected = state()
    Journal(journal._path).replay()
    assert state() == expected


def test_each_request_is_one_line_that_is_written_before_the_answer(journal: Journal) -> None:
    call("PutItem", TableName="table", Item=item("1", "x"))
    assert len(lines(journal)) == 1
    puts = [{"Put": {"TableName": "table", "Item": item(sort, "x")}} for sort in ("4", "5")]
    call("TransactWriteItems", TransactItems=puts)
    assert [[change[0] for change in line["items"]] for line in lines(journal)] == [
        ["item", "record"],
        ["item", "record", "item", "record"],
    ]
    call("GetItem", TableName="table", Key=key("1"))
    assert len(lines(journal)) == 2


def test_a_line_that_was_written_in_part_is_ignored(journal: Journal) -> None:
    saved = state()
    call("PutItem", TableName="table", Item=item("1", "x"))
    expected = state()
    call("PutItem", TableName="table", Item=item("2", "x"))
    os.truncate(journal._path, journal.size - 10)
    restore(saved)
    assert Journal(journal._path).replay() == 1
    assert state() == expected


def test_a_line_after_one_that_was_written_in_part_is_replayed(journal: Journal) -> None:
    saved = state()
    call("PutItem", TableName="table", Item=item("1", "x"))
    os.truncate(journal._path, journal.size - 10)
    again = Journal(journal._path)
    restore(saved)
    again.replay()
    again.add_item("table", "a", "2", item("2", "y"))
    again.write_items()
    restore(saved)
    assert Journal(journal._path).replay() == 1
    assert dynamodb._tables._data[(ACCOUNT, REGION, "table")]["items"]["a"] == {"2": item("2", "y")}


def test_messages_mails_and_positions_are_replayed(journal: Journal) -> None:
    saved = state()
    sqs._queues._data[QUEUE]["messages"] += [{"id": "1", "body": "consumed"}, {"id": "2", "body": "kept"}]
    sns._sms_messages._data[(ACCOUNT, REGION, "+1")] = [{"MessageId": "1", "Message": "code"}]
    ses._sent_emails._data[(ACCOUNT, REGION, "entries")] = [{"MessageId": "1", "Subject": "Hello"}]
    lambda_svc._dynamodb_stream_positions._data[READER] = 7
    journal.write_rest()
    sqs._queues._data[QUEUE]["messages"].pop(0)
    lambda_svc._dynamodb_stream_positions._data[READER] = 9
    journal.write_rest()
    written = journal.size
    journal.write_rest()
    assert journal.size == written  # nothing changed
    expected = state()
    restore(saved)
    Journal(journal._path).replay()
    assert state() == expected


def test_a_position_that_was_saved_later_is_not_lowered(journal: Journal) -> None:
    lambda_svc._dynamodb_stream_positions._data[READER] = 7
    journal.write_rest()
    lambda_svc._dynamodb_stream_positions._data[READER] = 9
    Journal(journal._path).replay()
    assert lambda_svc._dynamodb_stream_positions._data[READER] == 9


def test_on_a_full_disk_requests_are_answered_and_the_next_save_is_complete(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        call("PutItem", TableName="table", Item=item("1", "x"))
    assert (journal.size, journal.is_complete) == (0, False)
    journal.save({"dynamodb": lambda: {"saved": True}})
    assert journal.is_complete
    assert json.loads((journal._path.parent / "dynamodb.json").read_text())["payload"] == {"saved": True}


def test_lines_are_deleted_only_if_everything_was_saved(journal: Journal, tmp_path: Path) -> None:
    write()
    written = journal.size
    (tmp_path / "broken.json.tmp").mkdir()
    with pytest.raises(OSError, match=r"broken\.json\.tmp"):
        journal.save({"good": lambda: {}, "broken": lambda: {}})
    assert journal.size == written > 0
    (tmp_path / "broken.json.tmp").rmdir()
    journal.save({"good": lambda: {}, "broken": lambda: {}, "not loaded": lambda: None})
    assert journal.size == 0
    assert not (tmp_path / "not loaded.json").exists()


def test_a_sent_message_is_written_before_the_answer(journal: Journal) -> None:
    queue = asyncio.run(sqs.handle_request(*request("CreateQueue", QueueName="mine")))
    url = json.loads(queue[2])["QueueUrl"]
    asyncio.run(sqs.handle_request(*request("SendMessage", QueueUrl=url, MessageBody="hello")))
    entries = [{"Id": str(number), "MessageBody": f"batch {number}"} for number in (1, 2)]
    asyncio.run(sqs.handle_request(*request("SendMessageBatch", QueueUrl=url, Entries=entries)))
    bodies = [message["body"] for line in lines(journal) for _, message in line["messages"]]
    assert bodies == ["hello", "batch 1", "batch 2"]


def request(action: str, **body: Any) -> tuple[str, str, dict[str, str], bytes, dict[str, Any]]:
    headers = {"x-amz-target": f"AmazonSQS.{action}", "content-type": "application/x-amz-json-1.0"}
    return "POST", "/", headers, json.dumps(body).encode(), {}


def test_mails_are_part_of_the_state(journal: Journal) -> None:
    ses._sent_emails._data[(ACCOUNT, REGION, "entries")] = [{"MessageId": "1", "Subject": "Hello"}]
    saved = ses.get_state()
    ses._sent_emails._data.clear()
    ses._restore_state(saved)
    assert ses._sent_emails._data[(ACCOUNT, REGION, "entries")] == [{"MessageId": "1", "Subject": "Hello"}]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"),
        ("CREATE_IN_PROGRESS", "CREATE_FAILED"),
        ("CREATE_COMPLETE", "CREATE_COMPLETE"),
    ],
)
def test_a_deployment_that_a_stop_interrupted_can_be_repeated(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    stack = {"StackStatus": before}
    monkeypatch.setattr(cloudformation._stacks, "_data", {(ACCOUNT, REGION, "remit"): stack})
    ministack.app._load_persisted_state()
    assert stack["StackStatus"] == after


def test_a_state_that_was_not_loaded_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="not loaded"):
        Journal(tmp_path / "journal.jsonl").save({"dynamodb": dict})
    assert not (tmp_path / "dynamodb.json").exists()


def test_messages_whose_consumer_has_ended_are_delivered_again_at_once(journal: Journal) -> None:
    later = time.time() + 600
    received, delayed = ({"id": str(count), "receive_count": count, "visible_at": later} for count in (1, 0))
    sqs._queues._data[QUEUE]["messages"] += [received, delayed]
    journal.replay()
    assert received["visible_at"] <= time.time()
    assert delayed["visible_at"] == later
