"""What a person is told of an event, and in which words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from common import clock, ids
from common.errors import PROBLEMS
from common.events import Event
from common.money import format_amount

Kind = Literal["transfer_sent", "transfer_received", "transfer_declined", "deposit_completed"]


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing one person is told; `resource` is the id of what it is about."""

    id: str
    user_id: str
    kind: Kind
    title: str
    body: str
    resource: str
    created_at: str
    event_id: str
    read: bool = False


def notifications(event: Event) -> Iterator[Notification]:
    """Whom an event is told to, and how: nobody, or each person once per kind.

    The id follows from event, person and kind, so that the same event always gives the same notifications. Somebody
    who moves money between two accounts of their own hears of both sides.
    """
    data = event.data
    match event.type, data.get("kind"):
        case "transfer.completed", "transfer":
            amount = format_amount(data["amount"], data["currency"])
            sent = f"You sent {data['destination_name']} {amount}."
            received = f"{data['source_name']} sent you {amount}."
            yield _told(event, data["payer_id"], "transfer_sent", "Money sent", sent)
            yield _told(event, data["payee_id"], "transfer_received", "Money received", received)
        case "transfer.completed", "deposit":
            amount = format_amount(data["amount"], data["currency"])
            arrived = f"Your deposit of {amount} from {data['source_name']} has arrived."
            yield _told(event, data["payee_id"], "deposit_completed", "Deposit completed", arrived)
        case "transfer.declined" | "transfer.failed", "transfer":
            yield _refused(event, data["payer_id"], "transfer", f"to {data['destination_name']}")
        case "transfer.declined" | "transfer.failed", "deposit":
            yield _refused(event, data["payee_id"], "deposit", f"from {data['source_name']}")


def _refused(event: Event, initiator: str, what: str, counterpart: str) -> Notification:
    subject = f"Your {what} of {format_amount(event.data['amount'], event.data['currency'])} {counterpart}"
    if event.type == "transfer.declined":
        title, body = f"{what.capitalize()} declined", f"{subject} was declined.{_reason(event.data)}"
    else:
        title, body = f"{what.capitalize()} failed", f"{subject} could not be completed. No money was moved."
    return _told(event, initiator, "transfer_declined", title, body)


def _reason(data: Mapping[str, Any]) -> str:
    problem = PROBLEMS.get(data["code"] or "")
    return f" {problem.title}." if problem else ""


def _told(event: Event, user_id: str, kind: Kind, title: str, body: str) -> Notification:
    return Notification(
        id=ids.derived_id("ntf", clock.parse(event.time), event.id, user_id, kind),
        user_id=user_id,
        kind=kind,
        title=title,
        body=body,
        resource=event.subject,
        created_at=event.time,
        event_id=event.id,
    )
