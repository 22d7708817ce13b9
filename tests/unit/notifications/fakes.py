"""The inbox in memory, and events as the transfers room publishes them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from common.events import SYSTEM, Actor, Event, Type
from common.idempotency import Idempotency

from functions.notifications.domain import Notification

ADA, GRACE = "usr_01K0000000000000000000000A", "usr_01K0000000000000000000000B"
START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


class FakeStore:
    """Notifications and counters as DynamoDB would keep them; `meanwhile` runs once, before the next write."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Notification] = {}
        self.counters: dict[str, int] = {}
        self.keys: dict[tuple[str, str], tuple[str, str]] = {}
        self.gone: dict[str, int] = {}
        self.meanwhile: Callable[[], None] = lambda: None

    def add(self, notification: Notification) -> None:
        self._others_first()
        key = notification.user_id, notification.id
        if key not in self.kept and notification.user_id not in self.gone:
            self.kept[key] = notification
            self.counters[notification.user_id] = self.counters.get(notification.user_id, 0) + 1

    def list(
        self, user_id: str, *, newer_than: str | None, older_than: str | None, read: bool | None, at_least: int
    ) -> Iterator[Notification]:
        for (owner, key), notification in sorted(self.kept.items(), reverse=True):
            inside = (newer_than or "") < key < (older_than or "~")
            if owner == user_id and inside and read in (None, notification.read):
                yield notification

    def unread_count(self, user_id: str) -> int:
        return self.counters.get(user_id, 0)

    def mark_read(self, user_id: str, notification_ids: Sequence[str]) -> dict[str, bool]:
        self._others_first()
        assert 0 < len(notification_ids) <= 99
        found = {each: self.kept.get((user_id, each)) for each in notification_ids}
        refused = {each: old is not None for each, old in found.items() if old is None or old.read}
        if not refused:
            for each, old in found.items():
                assert old
                self.kept[user_id, each] = replace(old, read=True)
            self.counters[user_id] = self.counters.get(user_id, 0) - len(found)
        return refused

    def bind(self, user_id: str, key: Idempotency, newest: str) -> str | None:
        self._others_first()
        fingerprint, bound = self.keys.get((user_id, key.scope), (key.fingerprint, None))
        key.check(fingerprint)
        if bound is None:
            self.keys[user_id, key.scope] = key.fingerprint, newest
        return bound

    def forget(self, user_id: str, expires_at: int) -> None:
        self._others_first()
        self.gone[user_id] = expires_at
        self.counters.pop(user_id, None)
        self.kept = {key: each for key, each in self.kept.items() if key[0] != user_id}
        self.keys = {key: each for key, each in self.keys.items() if key[0] != user_id}

    def _others_first(self) -> None:
        others, self.meanwhile = self.meanwhile, lambda: None
        others()


def event(
    number: int = 1,
    type: Type = "transfer.completed",
    *,
    kind: str = "transfer",
    payer: str | None = ADA,
    payee: str | None = GRACE,
    source_name: str = "Ada Lovelace",
    code: str | None = None,
) -> Event:
    """What became of transfer number `number`, a second after the one before."""
    data: dict[str, Any] = {
        "transfer_id": f"trf_{number}",
        "kind": kind,
        "status": type.removeprefix("transfer."),
        "amount": 1050,
        "currency": "USD",
        "description": "",
        "payer_id": payer,
        "payee_id": payee,
        "source_name": source_name,
        "destination_name": "Grace Hopper",
        "code": code,
    }
    return Event.new(type, f"trf_{number}", 2, START + timedelta(seconds=number), data)


def of_user(type: Type, *, actor: Actor = SYSTEM, **data: Any) -> Event:
    """What became of Ada, or of a session of hers."""
    subject = "ses_1" if type == "user.login" else ADA
    return Event.new(type, subject, 7, START, {"user_id": ADA, "changed": []} | data, actor)


def of_account(type: Type, **data: Any) -> Event:
    """What became of an account of Ada's."""
    return Event.new(type, "acc_1", 7, START, {"account_id": "acc_1", "owner_id": ADA, "currency": "USD"} | data)


def deleted(user_id: str = ADA) -> Event:
    return Event.new("user.deleted", user_id, 9, START, {"user_id": user_id, "status": "deleted"})
