"""A small set of consistent tables, for tests to break."""

import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

from tools.tables import Tables, clock

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
ADA, BOB = "usr_ADA", "usr_BOB"
ADAS, BOBS, RAIL = "acc_ADAS", "acc_BOBS", "rail:sandbox:USD"
DEPOSIT, TRANSFER, DECLINED, PENDING = "trf_1DEPOSIT", "trf_2TRANSFER", "trf_3DECLINED", "trf_4PENDING"


def terminal_id(transfer: str, status: str) -> str:
    return f"evt_{transfer}_{status}"


def at(minutes: float) -> str:
    """Return a time so many minutes before NOW."""
    return clock.timestamp(NOW - timedelta(minutes=minutes))


def head(account: str, owner: str, posted: int, version: int) -> dict[str, Any]:
    return {
        "pk": f"A#{account}",
        "sk": "H",
        "account_id": account,
        "owner_id": owner,
        "type": "debit",
        "currency": "USD",
        "posted": posted,
        "held": 0,
        "available": posted,
        "credit_limit": 0,
        "version": version,
    }


def line(account: str, version: int, change: int, posted: int, transfer: str, minutes: float) -> dict[str, Any]:
    return {
        "pk": f"E#{account}",
        "sk": f"{at(minutes)}#{version:012}",
        "account_id": account,
        "version": version,
        "at": at(minutes),
        "currency": "USD",
        "posted_change": change,
        "held_change": 0,
        "posted": posted,
        "held": 0,
        "transfer_id": transfer,
        "step": "post",
    }


def step_outcome(transfer: str, result: str, *legs: tuple[str, int]) -> dict[str, Any]:
    return {
        "pk": f"S#{transfer}",
        "sk": "post",
        "transfer_id": transfer,
        "step": "post",
        "outcome": result,
        "code": "" if result == "posted" else "insufficient_funds",
        "at": at({DEPOSIT: 30, TRANSFER: 20}.get(transfer, 10)),
        "currency": "USD",
        "legs": [{"account_id": account, "change": change} for account, change in legs],
    }


def expectation(transfer: str) -> dict[str, Any]:
    return {
        "pk": f"S#{transfer}",
        "sk": "expect",
        "transfer_id": transfer,
        "step": "expect",
        "outcome": "expected",
        "code": "",
        "account_id": ADAS,
        "amount": 1000,
        "currency": "USD",
        "at": at(30),
    }


def record(transfer: str, kind: str, status: str, amount: int, minutes: float) -> dict[str, Any]:
    source = {"type": "card", "id": "crd_ADAS", "owner_id": ADA} if kind == "deposit" else _party(ADAS, ADA)
    destination = _party(ADAS, ADA) if kind == "deposit" else _party(BOBS, BOB)
    body = {"id": transfer, "amount": amount, "status": status}
    answer: dict[str, Any] | None = {"status": 201, "body": zlib.compress(json.dumps(body).encode())}
    if kind == "deposit":
        answer = {"status": 202, "body": json.dumps(body | {"status": "pending"})}
    elif status == "declined":
        answer = {"status": 422, "body": json.dumps({"code": "insufficient_funds", "transfer_id": transfer})}
    ended = {
        "answer": answer,
        "decline_code": "insufficient_funds" if status == "declined" else None,
        "outbox": json.dumps(
            [{"id": terminal_id(transfer, status), "type": f"transfer.{status}", "time": at(minutes)}]
        ),
    }
    running = {"due_at": at(minutes - 0.5), "due_shard": "07"}
    return {
        "pk": f"T#{transfer}",
        "sk": "R",
        "id": transfer,
        "kind": kind,
        "status": status,
        "amount": amount,
        "currency": "USD",
        "source": source,
        "destination": destination,
        "created_at": at(minutes),
        **(running if status == "pending" else ended),
    }


def _party(account: str, owner: str) -> dict[str, Any]:
    return {"type": "account", "id": account, "owner_id": owner}


def key(transfer: str) -> dict[str, Any]:
    return {"pk": f"K#scope-{transfer}", "sk": "K", "fingerprint": "f", "transfer_id": transfer}


def notification(user: str, kind: str, transfer: str, status: str) -> dict[str, Any]:
    event = terminal_id(transfer, status)
    return {"pk": f"U#{user}", "sk": f"N#ntf_{event}{kind}", "kind": kind, "event_id": event}


def mail(user: str, kind: str, transfer: str) -> dict[str, Any]:
    return {"pk": f"M#{terminal_id(transfer, 'completed')}", "sk": f"{kind}#{user}", "status": "sent"}


def books() -> Tables:
    """Ada deposited 10.00, sent 4.00 to Bob, was declined sending 90.00, and is sending 1.00 now."""
    folded = {"transfer_id": DEPOSIT, "step": "post", "change": -1000, "at": at(30), "shard": 3, "description": ""}
    return Tables(
        accounts=[
            head(ADAS, ADA, 600, 2) | {"day": "2026-11-21", "day_spent": 400, "week": "2026-W47", "week_spent": 400},
            head(BOBS, BOB, 400, 1),
            {"pk": f"U#{ADA}", "sk": f"A#{ADAS}"},
            {"pk": f"U#{BOB}", "sk": f"A#{BOBS}"},
            {"pk": f"U#{ADA}", "sk": "D#USD", "account_id": ADAS},
            {"pk": f"U#{BOB}", "sk": "D#USD", "account_id": BOBS},
            line(ADAS, 1, 1000, 1000, DEPOSIT, 30),
            line(ADAS, 2, -400, 600, TRANSFER, 20),
            line(BOBS, 1, 400, 400, TRANSFER, 20),
            {
                "pk": f"A#{RAIL}",
                "sk": "H",
                "account_id": RAIL,
                "currency": "USD",
                "posted": -1000,
                "held": 0,
                "available": -1000,
                "version": 1,
                "fold": 1,
                "clean": 1,
            },
            {
                "pk": f"E#{RAIL}",
                "sk": f"{at(30)}#{1:012}",
                "account_id": RAIL,
                "currency": "USD",
                "page": 1,
                "opening_version": 0,
                "opening_posted": 0,
                "version": 1,
                "posted": -1000,
                "at": at(30),
                "held": 0,
                "lines": zlib.compress(json.dumps([folded]).encode()),
            },
            step_outcome(DEPOSIT, "posted", (RAIL, -1000), (ADAS, 1000)),
            expectation(DEPOSIT),
            step_outcome(TRANSFER, "posted", (ADAS, -400), (BOBS, 400)),
            step_outcome(DECLINED, "declined"),
            {"pk": "K#account", "sk": "K", "fingerprint": "f", "answer": {}},
        ],
        transfers=[
            record(DEPOSIT, "deposit", "completed", 1000, 30),
            record(TRANSFER, "transfer", "completed", 400, 20),
            record(DECLINED, "transfer", "declined", 9000, 10),
            record(PENDING, "transfer", "pending", 100, 0.1),
            *map(key, (DEPOSIT, TRANSFER, DECLINED, PENDING)),
        ],
        notifications=[
            notification(ADA, "deposit_completed", DEPOSIT, "completed"),
            notification(ADA, "transfer_sent", TRANSFER, "completed"),
            notification(BOB, "transfer_received", TRANSFER, "completed"),
            notification(ADA, "transfer_declined", DECLINED, "declined"),
            {"pk": f"U#{ADA}", "sk": "U", "unread": 3},
        ],
        mail=[mail(ADA, "transfer_sent", TRANSFER), mail(BOB, "transfer_received", TRANSFER)],
    )
