"""The notifications context over a table in memory, and the events that it consumes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from common.contracts.events import SYSTEM, Actor, Event, EventType
from common.dynamo import Item

from functions.notifications.service import Inbox, InboxPage
from functions.notifications.store import NotificationStore
from tests.support.memory_table import Call, MemoryTable

ADA, GRACE = "usr_01K0000000000000000000000A", "usr_01K0000000000000000000000B"
START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


class World:
    """The inboxes over a table in memory. `meanwhile` runs once, before the next write."""

    def __init__(self) -> None:
        self.table = MemoryTable("notifications", hook=self._before_write)
        self.inbox = Inbox(NotificationStore(self.table))
        self.meanwhile: Callable[[], object] | None = None

    def page(self, user: str = ADA, **options: Any) -> InboxPage:
        return self.inbox.page(user, **{"after": None, "position": None, "read": None, "limit": 25, **options})

    def ids(self, user: str = ADA, **options: Any) -> list[str]:
        """Return the ids of one page of a user's notifications."""
        return [each.id for each in self.page(user, **options).page.items]

    def items(self, user: str) -> list[Item]:
        """Return everything that is stored for a user."""
        return [item for item in self.table.items() if item["pk"] == f"U#{user}"]

    def unread(self, user: str) -> int:
        """Return the unread counter of a user, which has to equal the number of unread notifications."""
        items = self.items(user)
        counter = next((item["unread"] for item in items if item["sk"] == "U"), 0)
        assert counter == sum(item.get("read") is False for item in items)
        return int(counter)

    def _before_write(self, call: Call) -> None:
        if self.meanwhile and call.moment == "before" and call.operation in ("transact", "put", "batch_delete"):
            others, self.meanwhile = self.meanwhile, None
            others()


def transfer_event(
    number: int = 1,
    type: EventType = "transfer.completed",
    *,
    kind: str = "transfer",
    payer: str | None = ADA,
    payee: str | None = GRACE,
    source_name: str = "Ada Lovelace",
    destination_name: str = "Grace Hopper",
    code: str | None = None,
) -> Event:
    """Return an event of transfer number `number`, one second after the one before."""
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
        "destination_name": destination_name,
        "code": code,
    }
    return Event.new(type, f"trf_{number}", 2, START + timedelta(seconds=number), data)


def user_event(type: EventType, *, actor: Actor = SYSTEM, **data: Any) -> Event:
    """Return an event of Ada, or of a session of hers."""
    subject = "ses_1" if type == "user.login" else ADA
    return Event.new(type, subject, 7, START, {"user_id": ADA, "changed": []} | data, actor)


def account_event(type: EventType, **data: Any) -> Event:
    """Return an event of an account of Ada's."""
    return Event.new(type, "acc_1", 7, START, {"account_id": "acc_1", "owner_id": ADA, "currency": "USD"} | data)


def deletion(user_id: str = ADA) -> Event:
    return Event.new("user.deleted", user_id, 9, START, {"user_id": user_id, "status": "deleted"})
