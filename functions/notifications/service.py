"""The inbox: events are told to the people they concern, who list and read what they were told."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from common import clock
from common.errors import Problem
from common.events import Event
from common.http.lists import Page, take
from common.idempotency import Idempotency

from functions.notifications.domain import REMEMBERED, Notification, notifications

_CHUNK = 99  # with the counter, what one transaction takes


class Inbox(NamedTuple):
    """One page of somebody's notifications, and how many of all are unread."""

    page: Page
    unread: int


class Store(Protocol):
    """Where notifications are kept. The unread counter changes in the same write as what it counts."""

    def add(self, notification: Notification) -> None:
        """Keeps a notification as unread, unless it was added before or its person is gone."""
        ...

    def list(
        self, user_id: str, *, newer_than: str | None, older_than: str | None, read: bool | None, at_least: int
    ) -> Iterable[Notification]:
        """Newest first, between two ids (exclusive); `read` None means both. About `at_least` will be looked at."""
        ...

    def unread_count(self, user_id: str) -> int:
        """How many are unread now."""
        ...

    def mark_read(self, user_id: str, notification_ids: Sequence[str]) -> dict[str, bool]:
        """Marks all of at most 99 as read; or, where any is not an unread one of this user, changes nothing and
        answers those: id -> whether it exists."""
        ...

    def bind(self, user_id: str, key: Idempotency, newest: str) -> str | None:
        """Binds an idempotency key to the newest notification that it marks; answers what it was bound to before.

        Raises Problem `idempotency_key_reused`.
        """
        ...

    def forget(self, user_id: str, expires_at: int) -> None:
        """Removes all that a person has here, and takes in nothing for them until `expires_at` (epoch seconds)."""
        ...


class Service:
    """The use cases of the inbox."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def hear(self, event: Event) -> None:
        """Tells an event to whom it concerns, once however often it is heard. Of whoever is deleted nothing stays."""
        if event.type == "user.deleted":
            forgotten_at = clock.parse(event.time) + REMEMBERED
            self._store.forget(event.data["user_id"], int(forgotten_at.timestamp()))
            return
        for notification in notifications(event):
            self._store.add(notification)

    def inbox(self, user_id: str, *, after: str | None, position: str | None, read: bool | None, limit: int) -> Inbox:
        """At most `limit` notifications, newest first: newer than the id `after`, older than `position`."""
        unread = self._store.unread_count(user_id)
        if read is False and unread == 0:
            return Inbox(Page([], None), unread)
        found = self._store.list(user_id, newer_than=after, older_than=position, read=read, at_least=limit + 1)
        return Inbox(take(((each.id, each) for each in found), limit), unread)

    def read(self, user_id: str, notification_id: str, key: Idempotency | None = None) -> bool:
        """Marks one as read; once it is, again changes nothing. Answers whether `key` was used before.

        Raises Problem `not_found` and `idempotency_key_reused`.
        """
        refused = self._store.mark_read(user_id, [notification_id])
        if refused.get(notification_id) is False:
            raise Problem("not_found")
        return key is not None and self._store.bind(user_id, key, notification_id) is not None

    def read_all(self, user_id: str, key: Idempotency | None = None) -> bool:
        """Marks as read what is unread now; what arrives meanwhile stays unread.

        A key used again marks only what was there at its first use. Answers whether that is so. Raises Problem
        `idempotency_key_reused`.
        """
        everything = self._store.list(user_id, newer_than=None, older_than=None, read=None, at_least=1)
        newest = next((each.id for each in everything), "")
        before = self._store.bind(user_id, key, newest) if key else None
        if before is not None:
            newest = before
        if newest:
            self._mark_up_to(user_id, newest)
        return before is not None

    def _mark_up_to(self, user_id: str, newest: str) -> None:
        # No id lies between an id and itself with a tilde: the bound takes the newest in.
        unread = self._store.list(user_id, newer_than=None, older_than=f"{newest}~", read=False, at_least=_CHUNK)
        chunk: list[str] = []
        for each in unread:
            chunk.append(each.id)
            if len(chunk) == _CHUNK:
                self._mark(user_id, chunk)
                chunk = []
        self._mark(user_id, chunk)

    def _mark(self, user_id: str, chunk: list[str]) -> None:
        # Whoever reads one of them at the same time has counted it; each turn leaves those out.
        while chunk:
            refused = self._store.mark_read(user_id, chunk)
            chunk = [each for each in chunk if each not in refused] if refused else []
