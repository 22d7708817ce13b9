"""The users' inboxes: events become notifications, which their owners list and mark as read."""

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from common import clock
from common.contracts.events import Event
from common.errors import Refusal
from common.idempotency import IdempotencyKey
from common.paging import Page, take

from functions.notifications.domain import DELETION_KEPT, notifications

if TYPE_CHECKING:
    from functions.notifications.store import NotificationStore

_CHUNK = 99  # a transaction takes 100 items, and the counter is one of them


class InboxPage(NamedTuple):
    """One page of a user's notifications, and the number of all that are unread."""

    page: Page
    unread: int


class Inbox:
    """The inboxes of all users."""

    def __init__(self, store: "NotificationStore") -> None:
        self._store = store

    def handle(self, event: Event) -> None:
        """Notify the users whom an event concerns, once however often it is delivered.

        If the event deletes a user, delete their inbox.
        """
        if event.type == "user.deleted":
            expires_at = clock.parse(event.time) + DELETION_KEPT
            self._store.delete_inbox(event.data["user_id"], int(expires_at.timestamp()))
            return
        for notification in notifications(event):
            self._store.add(notification)

    def page(
        self, user_id: str, *, after: str | None, position: str | None, read: bool | None, limit: int
    ) -> InboxPage:
        """Return at most `limit` notifications, newest first: newer than the id `after`, older than `position`."""
        unread = self._store.unread_count(user_id)
        if read is False and unread == 0:
            return InboxPage(Page([], None), unread)
        found = self._store.list(user_id, newer_than=after, older_than=position, read=read, at_least=limit + 1)
        return InboxPage(take(((each.id, each) for each in found), limit), unread)

    def mark_read(self, user_id: str, notification_id: str, key: IdempotencyKey | None = None) -> bool:
        """Mark a notification as read, and return whether `key` was used before. Repeating it changes nothing.

        Raises Refusal `not_found` and `idempotency_key_reused`.
        """
        refused = self._store.mark_read(user_id, [notification_id])
        if refused.get(notification_id) is False:
            raise Refusal("not_found")
        return key is not None and self._store.bind_key(user_id, key, notification_id) is not None

    def mark_all_read(self, user_id: str, key: IdempotencyKey | None = None) -> bool:
        """Mark all current notifications as read, and return whether `key` was used before.

        What arrives meanwhile stays unread. A key that is used again marks only what existed at its first use. Raises
        Refusal `idempotency_key_reused`.
        """
        everything = self._store.list(user_id, newer_than=None, older_than=None, read=None, at_least=1)
        newest = next((each.id for each in everything), "")
        bound = self._store.bind_key(user_id, key, newest) if key else None
        self._mark_up_to(user_id, newest if bound is None else bound)
        return bound is not None

    def _mark_up_to(self, user_id: str, newest: str) -> None:
        if not newest:
            return
        # The bound is exclusive, and no id lies between `newest` and `newest~`.
        unread = self._store.list(user_id, newer_than=None, older_than=f"{newest}~", read=False, at_least=_CHUNK)
        while chunk := [each.id for each in islice(unread, _CHUNK)]:
            # Others may mark some of them at the same time. Each attempt leaves those out.
            while chunk and (refused := self._store.mark_read(user_id, chunk)):
                chunk = [each for each in chunk if each not in refused]
