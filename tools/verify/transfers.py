"""Invariants 6 and 7: transfers end and their parties are notified once; a key has one record and one answer."""

import json
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from common.contracts.events import Event

from functions.accounts.reader import Finding
from tools.tables import Item, Tables, clock

# How late these may be before they are violations. Recovery runs every minute, and sagas have timeouts and retries.
RECOVERY_LATENESS = timedelta(minutes=3)
NOTIFICATION_LATENESS = timedelta(seconds=30)
MERGED_MAIL_LATENESS = timedelta(minutes=2)
TERMINAL = {"completed", "declined", "failed"}


class Sent:
    """The notifications and mails that were sent, by event."""

    def __init__(self, tables: Tables) -> None:
        self.notifications: dict[str, Counter[tuple[str, str]]] = {}
        self.deleted_users = {item["pk"].removeprefix("U#") for item in tables.notifications if item.get("gone")}
        for item in tables.notifications:
            if item["sk"].startswith("N#"):
                notification = item["pk"].removeprefix("U#"), item["kind"]
                self.notifications.setdefault(item["event_id"], Counter())[notification] += 1
        self.mails: dict[str, dict[tuple[str, str], str]] = {}
        self.merged_at: dict[str, str] = {}
        for item in tables.mail:
            if item["pk"].startswith("M#"):
                kind, _, user = item["sk"].partition("#")
                self.mails.setdefault(item["pk"].removeprefix("M#"), {})[user, kind] = item["status"]
            if item["sk"].startswith("P#"):
                _, ends_at, event = item["sk"].split("#")
                self.merged_at[event] = ends_at

    def errors(self, record: Item, event: str, now: datetime) -> Iterator[str]:
        """Yield what is wrong with the notifications and mails about a transfer that ended with `event`."""
        found = self.notifications.get(event, Counter())
        expected = Counter(each for each in notifications(record) if each[0] not in self.deleted_users)
        for user, kind in dict.fromkeys([*expected, *found]):
            if found[user, kind] != expected[user, kind]:
                yield f"{user} has {found[user, kind]} notifications {kind}, not {expected[user, kind]}"
        sent, to_send = self.mails.get(event, {}), mails(record)
        for user, kind in dict.fromkeys([*to_send, *sent]):
            status = sent.get((user, kind), "missing")
            if (user, kind) not in to_send:
                yield f"{user} got the mail {kind} about a transfer of others"
            elif status not in ("sent", "merged", "dropped"):
                yield f"the mail {kind} to {user} is {status}"
        if event in self.merged_at and now > clock.parse(self.merged_at[event]) + MERGED_MAIL_LATENESS:
            yield f"a mail that was to be merged at {self.merged_at[event]} was not sent"


def check_notifications(records: dict[str, Item], tables: Tables, now: datetime, *, drained: bool) -> Finding:
    """Check invariant 6: every transfer has ended or is not due yet, and its parties were notified exactly once."""
    finding = Finding(6, "Transfers end, and parties are notified once")
    sent, ended = Sent(tables), 0
    for record in records.values():
        if record["status"] not in TERMINAL or _is_to_be_returned(record):
            _check_pending(finding, record, now)
            continue
        ended += 1
        if "due_at" in record:
            finding.wrong(record["id"], f"is {record['status']}, but still in the index of due transfers")
        event, at = terminal_event(record)
        errors = list(sent.errors(record, event, now))
        if errors and now - clock.parse(at) < NOTIFICATION_LATENESS and not drained:
            finding.waiting += 1
            continue
        for error in errors:
            finding.wrong(record["id"], error)
    notified = sum(counts.total() for counts in sent.notifications.values())
    finding.counted = f"{ended} ended, {notified} notifications, {sum(map(len, sent.mails.values()))} mails"
    return finding


def _check_pending(finding: Finding, record: Item, now: datetime) -> None:
    if "due_at" not in record or "due_shard" not in record:
        finding.wrong(record["id"], f"is {record['status']}, but recovery cannot find it")
    elif now > clock.parse(record["due_at"]) + RECOVERY_LATENESS:
        finding.wrong(record["id"], f"is {record['status']}, but was due at {record['due_at']}")
    else:
        finding.waiting += 1


def _is_to_be_returned(record: Item) -> bool:
    """Return whether a transfer has ended without a posting although the rail confirmed it.

    It stays due until the money is back.
    """
    return record["status"] in ("declined", "failed") and record.get("rail_outcome") == "confirmed"


def terminal_event(record: Item) -> tuple[str, str]:
    """Return the id and the time of the event that a transfer ended with."""
    kind = f"transfer.{record['status']}"
    for event in json.loads(record.get("outbox", "[]")):
        if event["type"] == kind:
            return event["id"], event["time"]
    # The outbox is removed once a party is deleted, but the event's id follows from the record.
    at = record["created_at"]
    return Event.new(kind, record["id"], record["sequence"], clock.parse(at), {}).id, at  # type: ignore[arg-type]


def notifications(record: Item) -> list[tuple[str, str]]:
    """Return the notifications about a transfer that has ended, as user and kind."""
    payer, payee = record["source"]["owner_id"], record["destination"]["owner_id"]
    if record["kind"] == "deposit":
        return [(payee, "deposit_completed" if record["status"] == "completed" else "transfer_declined")]
    if record["status"] == "completed":
        return [(payer, "transfer_sent"), (payee, "transfer_received")]
    return [(payer, "transfer_declined")]


def mails(record: Item) -> list[tuple[str, str]]:
    """Return the mails about a transfer that has ended, as user and kind."""
    if record["kind"] == "transfer" and record["status"] == "completed":
        return notifications(record)
    return []


def check_keys(records: dict[str, Item], tables: Tables) -> Finding:
    """Check invariant 7: an idempotency key has one record with one answer, and a record has one key."""
    finding = Finding(7, "A key has one record and one answer")
    keys = [item for item in tables.transfers if item["sk"] == "K"]
    uses = Counter(key["transfer_id"] for key in keys)
    others = sum(item["sk"] == "K" for item in tables.accounts)
    finding.counted = f"{len(keys) + others} keys"
    for key in keys:
        transfer_id = key["transfer_id"]
        if transfer_id not in records:
            finding.wrong(transfer_id, f"has the key {key['pk'][:16]}…, but no record")
        elif uses[transfer_id] > 1:
            finding.wrong(transfer_id, f"has {uses[transfer_id]} keys")
        if not key.get("fingerprint"):
            finding.wrong(key["pk"], "has no fingerprint")
    for transfer_id in records.keys() - uses.keys():
        finding.wrong(transfer_id, "has no key")
    for record in records.values():
        if error := _answer_error(record):
            finding.wrong(record["id"], error)
    return finding


def _answer_error(record: Item) -> str | None:
    """Return what is wrong with the stored answer of a record, if anything."""
    answer = record.get("answer")
    if answer is None:
        return "ended without an answer" if record["status"] in TERMINAL else None
    raw = answer["body"]
    body = json.loads(zlib.decompress(raw) if isinstance(raw, bytes) else raw)
    mismatch = f"is {record['status']}, but was answered {answer['status']} {body.get('code') or body.get('status')}"
    if answer["status"] == 422:
        same = body.get("transfer_id") == record["id"] and body.get("code") == record.get("decline_code")
        return None if same and record["status"] == "declined" else mismatch
    if body.get("id") != record["id"] or body.get("amount") != record["amount"]:
        return f"has an answer about {body.get('id')} with the amount {body.get('amount')}"
    status = body.get("status")
    if status not in {201: ["completed"], 202: ["pending", "failed"]}.get(answer["status"], []):
        return mismatch
    return None if status in ("pending", record["status"]) else mismatch
