"""Writes every change of data to a file at once, so that a killed emulator continues where it ended.

The emulator itself saves its state as a whole, which takes too long to do after each change. The journal has a line of
JSON for each request that changed a table, written before the request is answered, and at most every 0.25 s a line for
the rest: queues, mails, text messages, and the positions of stream readers. It is deleted when the state is saved.
Replaying a line twice, or onto a newer state, has no effect. A queue may deliver messages again, as on AWS.
"""

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ministack.core import persistence
from ministack.services import dynamodb, lambda_svc, ses, sns, sqs

from emulator.settings import REGION

ACCOUNT = "000000000000"
# A replay takes about a second for this many bytes; after that the whole state is saved.
MAX_BYTES = 256 * 1024 * 1024
_COPY_TRIES = 5
_encoder = json.JSONEncoder(default=persistence._json_default, separators=(",", ":"), check_circular=False)
_log = logging.getLogger(__name__)

Scoped = tuple[str, str, str]
Message = dict[str, Any]


class Journal:
    """The journal file, and what of the state it already contains."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._path = path
        self._lock = threading.RLock()
        self._items: list[Any] = []
        self._messages: dict[Scoped, set[str]] = {}
        self._mails = 0
        self._texts: dict[Scoped, int] = {}
        self._positions: dict[Scoped, int] = {}
        self._failed = False
        self._is_loaded = False
        self._seconds = 0.0

    @property
    def size(self) -> int:
        """The size of the file in bytes."""
        return os.fstat(self._file).st_size

    def status(self) -> dict[str, Any]:
        """Return what `GET /_remit/health` shows: the size, and the CPU time of the journal and of the process."""
        return {
            "bytes": self.size,
            "complete": self.is_complete,
            "cpu_seconds": round(self._seconds, 4),
            "process_cpu_seconds": round(time.process_time(), 4),
        }

    @property
    def is_complete(self) -> bool:
        """False after a write failed, for example on a full disk. Saving the state makes it complete again."""
        return not self._failed

    def add_item(self, table: str, partition: str, sort: str, item: dict[str, Any] | None) -> None:
        """Add the new value of an item, None if it was deleted, to the next line."""
        self._items.append(("item", table, partition, sort, item))

    def add_record(self, table: str, record: dict[str, Any]) -> None:
        """Add a stream record to the next line."""
        self._items.append(("record", table, record))

    def write_items(self) -> None:
        """Write the changes of a request, and the mails sent before it, which it may mark as sent."""
        if self._items:
            with self._lock:
                items, self._items = self._items, []
                self._write({"items": items, **self._sent()})

    def write_messages(self, queue: Scoped, messages: list[Message]) -> None:
        """Write messages that a function sent to a queue, before the function continues."""
        if messages:
            with self._lock:
                self._messages.setdefault(queue, set()).update(message["id"] for message in messages)
                self._write({"messages": [[queue, message] for message in messages]})

    def write_rest(self) -> None:
        """Write what else changed since the last time."""
        if not self._is_loaded:
            return
        started = time.thread_time()
        with self._lock:
            # Positions first: if a reader advances meanwhile, its messages are in the line and its position is not.
            positions = dict(lambda_svc._dynamodb_stream_positions._data)
            changed = [[key, value] for key, value in positions.items() if self._positions.get(key) != value]
            line: dict[str, Any] = {"items": self._items} if self._items else {}
            self._items = []
            added, deleted = self._queues()
            line |= {"messages": added} if added else {}
            line |= {"deleted": deleted} if deleted else {}
            line |= self._sent()
            line |= {"positions": changed} if changed else {}
            self._positions = positions
            self._seconds += time.thread_time() - started
            if line:
                self._write(line)

    def save(self, services: dict[str, Callable[[], Any]]) -> None:
        """Save the state of every service, then delete the lines. Raises OSError and keeps the lines if that fails."""
        if not self._is_loaded:
            raise OSError("the saved state was not loaded, so it is kept")
        with self._lock:
            self.write_rest()
            for name, get_state in services.items():
                save_service(name, get_state)
            os.ftruncate(self._file, 0)
            self._failed = False

    def replay(self) -> int:
        """Apply the lines to the state that was loaded, and return how many there were.

        A process that was killed while it wrote leaves the last line incomplete. That line is deleted.
        """
        count = end = 0
        known = {record["eventID"] for records in dynamodb._stream_records._data.values() for record in records}
        with self._path.open("rb") as lines:
            for line in lines:
                try:
                    change = json.loads(line, object_hook=persistence._json_object_hook)
                except ValueError:
                    break
                _replay(change, known)
                count += 1
                end += len(line)
        if end < self.size:
            _log.warning("journal truncated: line %d is not complete", count + 1)
            os.ftruncate(self._file, end)
        for queue in sqs._queues._data.values():
            for message in queue["messages"]:
                if message.get("receive_count"):  # its consumer ended with the emulator
                    message["visible_at"] = min(message["visible_at"], time.time())
        self._queues()
        self._sent()
        self._positions = dict(lambda_svc._dynamodb_stream_positions._data)
        self._is_loaded = True
        return count

    def _queues(self) -> tuple[list[Any], list[Any]]:
        added, deleted = [], []
        for key, queue in list(sqs._queues._data.items()):
            messages = {message["id"]: message for message in list(queue["messages"])}
            known = self._messages.get(key, set())
            added += [[key, dict(messages[each])] for each in messages.keys() - known]
            deleted += [[key, each] for each in known - messages.keys()]
            self._messages[key] = set(messages)
        return added, deleted

    def _sent(self) -> dict[str, Any]:
        mails = mails_sent()
        line: dict[str, Any] = {"mails": mails[self._mails :]} if len(mails) > self._mails else {}
        self._mails = len(mails)
        texts = []
        for key, sent in list(sns._sms_messages._data.items()):
            texts += [[key, each] for each in sent[self._texts.get(key, 0) :]]
            self._texts[key] = len(sent)
        return line | ({"texts": texts} if texts else {})

    def _write(self, change: dict[str, Any]) -> None:
        started = time.thread_time()
        line = _encoder.encode(change).encode() + b"\n"
        end = self.size
        try:
            if os.write(self._file, line) < len(line):
                raise OSError("the line was written in part")
        except OSError as error:
            os.ftruncate(self._file, end)
            if not self._failed:
                _log.error("journal not written: %s; a killed emulator would lose changes until it is saved", error)
            self._failed = True
        self._seconds += time.thread_time() - started


def mails_sent() -> list[dict[str, Any]]:
    """Return the mails that the emulator has sent, oldest first."""
    mails: list[dict[str, Any]] = ses._sent_emails._data.setdefault((ACCOUNT, REGION, "entries"), [])
    return mails


def save_service(name: str, get_state: Callable[[], Any]) -> None:
    """Write the state of one service to its file, in place of the emulator's writer, which takes six times as long."""
    for tries_left in reversed(range(_COPY_TRIES)):
        try:
            state = get_state()
            break
        except RuntimeError:  # another thread changed it while it was copied
            if not tries_left:
                raise
    if state is None:  # the service was not loaded, so its file is still right
        return
    payload = {"__ministack_format__": persistence._state_format_version(name), "payload": state}
    path = Path(persistence.STATE_DIR, f"{name}.json")
    draft = path.with_suffix(".json.tmp")
    try:
        draft.write_text(json.dumps(payload, default=persistence._json_default), encoding="utf-8")
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()  # a full disk needs the space
        raise


def _replay(change: dict[str, Any], known_records: set[str]) -> None:
    for kind, table, *rest in change.get("items", []):
        found = dynamodb._tables.get_scoped(ACCOUNT, REGION, table)
        if found is None:
            continue  # a table whose deployment was not saved
        if kind == "record":
            _replay_record(table, rest[0], known_records)
        elif rest[2] is None:
            dynamodb._remove_item(found, *rest[:2])
        else:
            dynamodb._set_item(found, *rest)
    for key, message in change.get("messages", []):
        _replay_messages(key, message["id"], message)
    for key, message_id in change.get("deleted", []):
        _replay_messages(key, message_id, None)
    sent = {mail["MessageId"] for mail in mails_sent()} if "mails" in change else set()
    mails_sent().extend(mail for mail in change.get("mails", []) if mail["MessageId"] not in sent)
    for key, text in change.get("texts", []):
        texts = sns._sms_messages._data.setdefault(tuple(key), [])
        if text not in texts:
            texts.append(text)
    positions = lambda_svc._dynamodb_stream_positions._data
    for key, position in change.get("positions", []):
        positions[tuple(key)] = max(position, positions.get(tuple(key), 0))


def _replay_record(table: str, record: dict[str, Any], known: set[str]) -> None:
    if record["eventID"] not in known:
        known.add(record["eventID"])
        dynamodb._stream_records._data.setdefault((ACCOUNT, REGION, table), []).append(record)


def _replay_messages(queue: list[str], message_id: str, message: Message | None) -> None:
    """Add a message to a queue, or delete it."""
    found = sqs._queues._data.get(tuple(queue))
    if found:
        others = [each for each in found["messages"] if each["id"] != message_id]
        found["messages"] = [*others, message] if message else others
