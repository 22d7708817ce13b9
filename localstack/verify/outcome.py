"""Invariants 6 and 7: every transfer ended and its parties were told once; a key has one record and one answer."""

import json
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from common.events import Event

from functions.accounts.domain.reconciliation import Finding
from localstack.tables import Item, Tables, clock

# Recovery looks every minute, and a saga may take its time-outs and retries before it gives up.
OVERDUE = timedelta(minutes=3)
# Within this the queues have to be drained, and a minute's merged mail has to be sent after its end.
TOLD_WITHIN = timedelta(seconds=30)
FLUSHED_WITHIN = timedelta(minutes=2)
TERMINAL = {"completed", "declined", "failed"}


class Told:
    """Who was told what by which event: notifications and mails."""

    def __init__(self, tables: Tables) -> None:
        self.notices: dict[str, Counter[tuple[str, str]]] = {}
        # Of whoever is deleted no inbox is left.
        self.gone = {item["pk"].removeprefix("U#") for item in tables.notifications if item.get("gone")}
        for item in tables.notifications:
            if item["sk"].startswith("N#"):
                notice = item["pk"].removeprefix("U#"), item["kind"]
                self.notices.setdefault(item["event_id"], Counter())[notice] += 1
        self.mails: dict[str, dict[tuple[str, str], str]] = {}
        for item in tables.mail:
            if item["pk"].startswith("M#"):
                kind, _, user = item["sk"].partition("#")
                self.mails.setdefault(item["pk"].removeprefix("M#"), {})[user, kind] = item["status"]
        # When the minute ended whose mails wait to be sent as one.
        self.held = {}
        for item in tables.mail:
            if item["sk"].startswith("P#"):
                _, ends_at, event = item["sk"].split("#")
                self.held[event] = ends_at

    def faults(self, record: Item, event: str, now: datetime) -> Iterator[str]:
        """What is wrong with what the parties of a transfer that ended by `event` were told."""
        told = self.notices.get(event, Counter())
        expected = [notice for notice in notices(record) if notice[0] not in self.gone]
        for user, kind in dict.fromkeys([*expected, *told]):
            if told[user, kind] != expected.count((user, kind)):
                yield f"{user} has {told[user, kind]} notifications {kind}, not {expected.count((user, kind))}"
        sent, to_send = self.mails.get(event, {}), mails(record)
        for user, kind in dict.fromkeys([*to_send, *sent]):
            status = sent.get((user, kind), "missing")
            if (user, kind) not in to_send:
                yield f"{user} was mailed {kind}, which is not theirs"
            elif status not in ("sent", "merged", "dropped"):
                yield f"the mail {kind} to {user} is {status}"
        if event in self.held and now > clock.parse(self.held[event]) + FLUSHED_WITHIN:
            yield f"a mail was to be merged at {self.held[event]} and never sent"


def ended_and_told(records: dict[str, Item], tables: Tables, now: datetime, *, drained: bool) -> Finding:
    """6: every transfer is terminal or waits for its time; its parties were told exactly once."""
    finding = Finding(6, "Every transfer ended, its parties were told once")
    told, ended = Told(tables), 0
    for record in records.values():
        if record["status"] not in TERMINAL:
            _check_running(finding, record, now)
            continue
        ended += 1
        if "due_at" in record:
            finding.wrong(record["id"], f"is {record['status']} and still in the index of what is due")
        event, at = terminal_event(record)
        faults = list(told.faults(record, event, now))
        if faults and now - clock.parse(at) < TOLD_WITHIN and not drained:
            finding.waiting += 1
            continue
        for fault in faults:
            finding.wrong(record["id"], fault)
    notified = sum(counts.total() for counts in told.notices.values())
    finding.counted = f"{ended} ended, {notified} notifications, {sum(map(len, told.mails.values()))} mails"
    return finding


def _check_running(finding: Finding, record: Item, now: datetime) -> None:
    if "due_at" not in record or "due_shard" not in record:
        finding.wrong(record["id"], f"is {record['status']} and recovery can't find it")
    elif now > clock.parse(record["due_at"]) + OVERDUE:
        finding.wrong(record["id"], f"is {record['status']} and was due at {record['due_at']}")
    else:
        finding.waiting += 1


def terminal_event(record: Item) -> tuple[str, str]:
    """The id and the time of the event that told how a transfer ended."""
    told = f"transfer.{record['status']}"
    for event in json.loads(record.get("outbox", "[]")):
        if event["type"] == told:
            return event["id"], event["time"]
    # It is gone once a party is deleted; its id follows from the record.
    at = record["created_at"]
    return Event.new(told, record["id"], record["sequence"], clock.parse(at), {}).id, at  # type: ignore[arg-type]


def notices(record: Item) -> list[tuple[str, str]]:
    """Who has to find what in their inbox once a transfer has ended: user and kind."""
    payer, payee = record["source"]["owner_id"], record["destination"]["owner_id"]
    if record["kind"] == "deposit":
        return [(payee, "deposit_completed" if record["status"] == "completed" else "transfer_declined")]
    if record["status"] == "completed":
        return [(payer, "transfer_sent"), (payee, "transfer_received")]
    return [(payer, "transfer_declined")]


def mails(record: Item) -> list[tuple[str, str]]:
    """Who has to be mailed what once a transfer has ended: user and kind."""
    if record["kind"] == "transfer" and record["status"] == "completed":
        return notices(record)
    return []


def same_answer(records: dict[str, Item], tables: Tables) -> Finding:
    """7: each key stands for one record with one answer, and no two keys share a record."""
    finding = Finding(7, "A key has one record and one answer")
    keys = [item for item in tables.transfers if item["sk"] == "K"]
    uses = Counter(key["transfer_id"] for key in keys)
    others = sum(item["sk"] == "K" for item in tables.accounts)
    finding.counted = f"{len(keys) + others} keys"
    for key in keys:
        record = records.get(key["transfer_id"])
        if record is None:
            finding.wrong(key["transfer_id"], f"the key {key['pk'][:16]}… names it, and it has no record")
        elif uses[key["transfer_id"]] > 1:
            finding.wrong(key["transfer_id"], f"{uses[key['transfer_id']]} keys share it")
        if not key.get("fingerprint"):
            finding.wrong(key["pk"], "has no fingerprint")
    for identity in records.keys() - uses.keys():
        finding.wrong(identity, "has no key")
    for record in records.values():
        if fault := _answer_fault(record):
            finding.wrong(record["id"], fault)
    return finding


def _answer_fault(record: Item) -> str | None:
    """What is wrong with the stored answer of a record: it says how the record ended, or `pending`."""
    answer = record.get("answer")
    if answer is None:
        return "ended without an answer" if record["status"] in TERMINAL else None
    raw = answer["body"]
    body = json.loads(zlib.decompress(raw) if isinstance(raw, bytes) else raw)
    if answer["status"] == 422:
        right = body.get("transfer_id") == record["id"] and body.get("code") == record.get("decline_code")
        return (
            None
            if right and record["status"] == "declined"
            else f"answered {body.get('code')} and is {record['status']}"
        )
    if body.get("id") != record["id"] or body.get("amount") != record["amount"]:
        return f"its answer tells of {body.get('id')} over {body.get('amount')}"
    told = body.get("status")
    if told not in {201: ["completed"], 202: ["pending", "failed"]}.get(answer["status"], []):
        return f"answered {answer['status']} with a transfer that is {told}"
    return None if told in ("pending", record["status"]) else f"answered {told} and is {record['status']}"
