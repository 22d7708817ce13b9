"""The context's table: notifications, the number of unread ones, and idempotency keys, by user."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

from common.dynamo import ABSENT, Cancelled, ConditionFailed, Put, Table, Term, Update
from common.idempotency import IdempotencyKey

from functions.notifications.domain import Notification

_DELETED_AT_ONCE = 500
_FILTERED_PAGE = 500


class NotificationStore:
    """The inboxes in DynamoDB.

    The counter of unread notifications changes in the transaction that changes a notification. In a deleted user's
    inbox the counter is replaced by an item that makes every such transaction fail.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, notification: Notification) -> None:
        """Add an unread notification, unless it was added before or its user is deleted."""
        item = {**asdict(notification), "pk": _pk(notification.user_id), "sk": _sk(notification.id)}
        try:
            self._table.transact([Put(item, ABSENT), _counter(notification.user_id, 1)])
        except Cancelled as cancelled:
            if not any(reason.failed for reason in cancelled.reasons):
                raise

    def list(
        self, user_id: str, *, newer_than: str | None, older_than: str | None, read: bool | None, at_least: int
    ) -> Iterator[Notification]:
        """Yield notifications, newest first, between two ids (both exclusive). If `read` is None, yield all.

        The caller expects to take about `at_least` of them.
        """
        low, high = newer_than or "!", older_than or "~"
        if low > high:
            return
        bounds: list[Term] = [("id", ">", low), ("id", "<", high)]
        rows = self._table.query(
            _pk(user_id),
            between=(_sk(low), _sk(high)),
            descending=True,
            where=bounds if read is None else [*bounds, ("read", "=", read)],
            # The two bounds may be read and filtered out; the filter on `read` may drop any number.
            limit=at_least + 2 if read is None else _FILTERED_PAGE,
        )
        yield from map(_notification, rows)

    def unread_count(self, user_id: str) -> int:
        """Return the number of unread notifications."""
        counter = self._table.get((_pk(user_id), "U"))
        return int(counter.get("unread", 0)) if counter else 0

    def mark_read(self, user_id: str, notification_ids: Sequence[str]) -> dict[str, bool]:
        """Mark at most 99 notifications as read, and return an empty dict.

        If any of them is not an unread notification of this user, change nothing, and return those ids, each with
        whether it exists.
        """
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

    def bind_key(self, user_id: str, key: IdempotencyKey, newest: str) -> str | None:
        """Bind an idempotency key to the newest notification that its request marks.

        Returns what it was bound to before, or None. The key is stored in the inbox, so that it is deleted with it.
        Raises Refusal `idempotency_key_reused`.
        """
        item = {"pk": _pk(user_id), "sk": f"K#{key.scope}", "fingerprint": key.fingerprint, "newest": newest}
        try:
            self._table.put(item, ABSENT)
        except ConditionFailed as failed:
            if failed.old is None:
                raise
            key.check(failed.old["fingerprint"])
            return str(failed.old["newest"])
        return None

    def delete_inbox(self, user_id: str, expires_at: int) -> None:
        """Delete an inbox, and add nothing to it until `expires_at` (epoch seconds)."""
        self._table.put({"pk": _pk(user_id), "sk": "U", "gone": True, "expires_at": expires_at})
        rows = self._table.query(_pk(user_id), before="U")
        while keys := [(row["pk"], row["sk"]) for row in islice(rows, _DELETED_AT_ONCE)]:
            self._table.batch_delete(keys)


def _pk(user_id: str) -> str:
    return f"U#{user_id}"


def _sk(notification_id: str) -> str:
    return f"N#{notification_id}"


def _counter(user_id: str, change: int) -> Update:
    return Update((_pk(user_id), "U"), add={"unread": change}, where=[("gone", "absent", None)])


def _notification(item: dict[str, Any]) -> Notification:
    return Notification(**{name: value for name, value in item.items() if name not in ("pk", "sk")})
