"""The room's table: notifications and, beside them, how many are unread, and keys."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

from common.dynamo import ABSENT, Cancelled, ConditionFailed, Put, Table, Update
from common.idempotency import Idempotency

from functions.notifications.domain import Notification

_CHUNK = 500


class DynamoStore:
    """Notifications by user, newest last. The counter moves in the transaction that moves what it counts; once a user
    is gone, a tombstone stands in its place and refuses."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, notification: Notification) -> None:
        """Keeps a notification as unread, unless it was added before or its person is gone."""
        item = {**asdict(notification), "pk": _pk(notification.user_id), "sk": _sk(notification.id)}
        try:
            self._table.transact([Put(item, ABSENT), _counter(notification.user_id, 1)])
        except Cancelled as cancelled:
            if not any(reason.failed for reason in cancelled.reasons):
                raise

    def list(
        self, user_id: str, *, newer_than: str | None, older_than: str | None, read: bool | None, at_least: int
    ) -> Iterator[Notification]:
        """Newest first, between two ids (exclusive); `read` None means both."""
        low, high = newer_than or "!", older_than or "~"
        if low > high:
            return
        bounds = [("id", ">", low), ("id", "<", high)]
        rows = self._table.query(
            _pk(user_id),
            between=(_sk(low), _sk(high)),
            descending=True,
            where=bounds if read is None else [*bounds, ("read", "=", read)],
            # Both bounds may be examined and dropped; a filter may drop any number, so pages are larger then.
            limit=at_least + 2 if read is None else 500,
        )
        yield from map(_notification, rows)

    def unread_count(self, user_id: str) -> int:
        """How many are unread now."""
        counter = self._table.get((_pk(user_id), "U"))
        return int(counter.get("unread", 0)) if counter else 0

    def mark_read(self, user_id: str, notification_ids: Sequence[str]) -> dict[str, bool]:
        """Marks all of at most 99 as read; or, where any is not an unread one of this user, changes nothing and
        answers those: id -> whether it exists."""
        marks = [
            Update((_pk(user_id), _sk(each)), set={"read": True}, where=[("read", "=", False)])
            for each in notification_ids
        ]
        try:
            self._table.transact([*marks, _counter(user_id, -len(marks))])
        except Cancelled as cancelled:
            if cancelled.reasons[-1].failed:
                return dict.fromkeys(notification_ids, False)
            reasons = zip(notification_ids, cancelled.reasons[:-1], strict=True)
            refused = {each: reason.old is not None for each, reason in reasons if reason.failed}
            if not refused:
                raise
            return refused
        return {}

    def bind(self, user_id: str, key: Idempotency, newest: str) -> str | None:
        """Binds an idempotency key to the newest notification that it marks; answers what it was bound to before.

        Raises Problem `idempotency_key_reused`.
        """
        item = {"pk": _pk(user_id), "sk": f"K#{key.scope}", "fingerprint": key.fingerprint, "newest": newest}
        try:
            self._table.put(item, ABSENT)
        except ConditionFailed as bound:
            if bound.old is None:
                raise
            key.check(bound.old["fingerprint"])
            return str(bound.old["newest"])
        return None

    def forget(self, user_id: str, expires_at: int) -> None:
        """Removes all that a person has here, and takes in nothing for them until `expires_at` (epoch seconds)."""
        self._table.put({"pk": _pk(user_id), "sk": "U", "gone": True, "expires_at": expires_at})
        rows = self._table.query(_pk(user_id), before="U")
        while chunk := [(row["pk"], row["sk"]) for row in islice(rows, _CHUNK)]:
            self._table.batch_delete(chunk)


def _pk(user_id: str) -> str:
    return f"U#{user_id}"


def _sk(notification_id: str) -> str:
    return f"N#{notification_id}"


def _counter(user_id: str, change: int) -> Update:
    return Update((_pk(user_id), "U"), add={"unread": change}, where=[("gone", "absent", None)])


def _notification(item: dict[str, Any]) -> Notification:
    return Notification(**{name: value for name, value in item.items() if name not in ("pk", "sk")})
