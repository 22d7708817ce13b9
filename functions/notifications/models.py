"""The wire format of the inbox."""

from typing import Annotated, Literal

from common import ids
from common.http.fields import ListQuery, Resource
from pydantic import AfterValidator

from functions.notifications.domain import Kind, Notification


def _notification_id(text: str) -> str:
    if not ids.is_id(text, "ntf"):
        raise ValueError("must be an id that starts with ntf_")
    return text


class InboxQuery(ListQuery):
    """The filters of the inbox."""

    unread: Literal["true", "false"] | None = None
    after: Annotated[str, AfterValidator(_notification_id)] | None = None


class NotificationResource(Resource):
    """A notification as its owner sees it. `resource` is the id of what it is about."""

    id: str
    kind: Kind
    title: str
    body: str
    resource: str
    read: bool
    created_at: str

    @classmethod
    def of(cls, notification: Notification) -> "NotificationResource":
        """Return the resource of a notification."""
        return cls(**{name: getattr(notification, name) for name in cls.model_fields})
