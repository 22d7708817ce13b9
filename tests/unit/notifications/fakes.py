"""The inbox in memory, and events as the transfers room publishes them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from common.events import Event, Type
from common.idempotency import Idempotency

from functions.notifications.domain import Notification

ADA, GRACE = "usr_01K0000000000000000000000A", "usr_01K0000000000000000000000B"
START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


class FakeStore:
    """Notifications and counters as DynamoDB would keep them; `meanwhile` runs once, before the next write."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Notification] = {}
        self.counters: dict[str, int] = {}
        self.keys: dict[str, tuple[str, str]] = {}
        self.meanwhile: Callable[[], None] = lambda: None

    def add(self, notification: Notification) -> None:
        self._others_first()
        key = notification.user_id, notification.id
        if key not in self.kept:
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

    def bind(self, key: Idempotency, newest: str) -> str | None:
        self._others_first()
        fingerprint, bound = self.keys.get(key.scope, (key.fingerprint, None))
        key.check(fingerprint)
        if bound is None:
            self.keys[key.scope] = key.fingerprint, newest
        return bound

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
