"""The notifications of an event: who gets them, and their texts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from common import clock, ids
from common.contracts.events import Event
from common.display import device, safe_text
from common.money import format_amount

Kind = Literal[
    "transfer_sent",
    "transfer_received",
    "transfer_declined",
    "deposit_completed",
    "limit_exceeded",
    "low_balance",
    "wrong_pin",
    "pin_locked",
    "new_login",
    "password_changed",
    "email_changed",
    "phone_changed",
    "second_factor_changed",
    "api_key_created",
    "api_key_revoked",
    "account_suspended",
]

DELETION_KEPT = timedelta(days=60)
"""How long the deletion of a user is kept: longer than an event can wait in a queue and in its dead-letter queue."""
_NOT_YOU = "If this wasn't you, reset your password immediately."
_REASONS = {
    "insufficient_funds": "Not enough money available.",
    "limit_exceeded": "The spending limit is exceeded.",
    "account_frozen": "The account is frozen.",
    "card_declined": "The card was declined.",
    "bank_declined": "The bank declined.",
    "declined_by_screening": "Declined by screening.",
}
# By what changed: the kind, the title and the first sentence.
_CHANGES: Mapping[str, tuple[Kind, str, str]] = {
    "email": ("email_changed", "Email address changed", "The email address of your account was changed."),
    "phone": ("phone_changed", "Phone number changed", "The phone number of your account was changed."),
    "second_factor": (
        "second_factor_changed",
        "Second factor changed",
        "The second factor of your account was changed.",
    ),
    "api_key_created": ("api_key_created", "API key created", "An API key was created for your account."),
    "api_key_revoked": ("api_key_revoked", "API key revoked", "An API key of your account was revoked."),
}


@dataclass(frozen=True, slots=True)
class Notification:
    """A message to one user. `resource` is the id of what it is about."""

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
    """Yield the notifications of an event: at most one a user and kind.

    Their ids are derived from event, user and kind, so that the same event always gives the same notifications. A user
    who moves money between two accounts of their own is notified of both sides.
    """
    kind = event.type.split(".")[0]
    if kind == "transfer":
        yield from _of_transfers(event)
    elif kind == "user":
        yield from _of_users(event)
    else:
        yield from _of_accounts(event)


def _of_transfers(event: Event) -> Iterator[Notification]:
    data = event.data
    nameless = "Another customer" if data["kind"] == "transfer" else "your card or bank account"
    source = safe_text(data["source_name"], nameless)
    destination = safe_text(data["destination_name"], "another customer")
    match event.type, data["kind"]:
        case "transfer.completed", "transfer":
            amount = format_amount(data["amount"], data["currency"])
            sent = f"You sent {destination} {amount}."
            received = f"{source} sent you {amount}."
            yield _notification(event, data["payer_id"], "transfer_sent", "Money sent", sent)
            yield _notification(event, data["payee_id"], "transfer_received", "Money received", received)
        case "transfer.completed", "deposit":
            amount = format_amount(data["amount"], data["currency"])
            arrived = f"Your deposit of {amount} from {source} has arrived."
            yield _notification(event, data["payee_id"], "deposit_completed", "Deposit completed", arrived)
        case "transfer.declined" | "transfer.failed", "transfer":
            yield _not_completed(event, data["payer_id"], "transfer", f"to {destination}")
        case "transfer.declined" | "transfer.failed", "deposit":
            yield _not_completed(event, data["payee_id"], "deposit", f"from {source}")


def _of_users(event: Event) -> Iterator[Notification]:
    data = event.data
    match event.type:
        case "user.login" if data["new_device"]:
            where = device(event.actor.user_agent, event.actor.ip)
            body = f"There was a sign-in to your account from a new device: {where}. {_NOT_YOU}"
            yield _notification(event, data["user_id"], "new_login", "New sign-in", body)
        case "user.password_changed":
            number = data.get("api_keys_revoked", 0)
            revoked = f" {number} API key{'s were' if number > 1 else ' was'} revoked." if number else ""
            body = f"Your password was changed.{revoked} {_NOT_YOU}"
            yield _notification(event, data["user_id"], "password_changed", "Password changed", body)
        case "user.updated":
            for changed in data["changed"]:
                if changed in _CHANGES:
                    kind, title, sentence = _CHANGES[changed]
                    yield _notification(event, data["user_id"], kind, title, f"{sentence} {_NOT_YOU}")
        case "user.suspended":
            suspended = "Your account was suspended. You can't sign in until it is restored."
            body = f"{suspended} Your money stays in your accounts. To find out why, contact support."
            yield _notification(event, data["user_id"], "account_suspended", "Account suspended", body)


def _of_accounts(event: Event) -> Iterator[Notification]:
    data = event.data
    match event.type:
        case "pin.failed":
            entered = f"A wrong PIN was entered for {_account(data)}. Wrong attempts in a row: {data['tries']}."
            body = f"{entered} {_NOT_YOU}"
            yield _notification(event, data["owner_id"], "wrong_pin", "Wrong PIN", body)
        case "pin.locked":
            locked = f"The PIN of {_account(data)} was locked after {data['tries']} wrong attempts in a row."
            body = f"{locked} To set a new PIN, request a code by email. {_NOT_YOU}"
            yield _notification(event, data["owner_id"], "pin_locked", "PIN locked", body)
        case "limit.exceeded":
            amount, limit, spent = (
                format_amount(data[each], data["currency"]) for each in ("amount", "limit", "spent")
            )
            exceeded = f"Spending {amount} would have exceeded your {data['period']} limit of {limit}."
            body = f"{exceeded} You have spent {spent}."
            yield _notification(event, data["owner_id"], "limit_exceeded", "Limit exceeded", body)
        case "balance.low":
            available, threshold = (format_amount(data[each], data["currency"]) for each in ("available", "threshold"))
            body = f"Your account has {available} available, which is below your alert threshold of {threshold}."
            yield _notification(event, data["owner_id"], "low_balance", "Low balance", body)


def _account(data: Mapping[str, Any]) -> str:
    return safe_text(data["name"], "your account")


def _not_completed(event: Event, initiator: str, what: str, counterpart: str) -> Notification:
    subject = f"Your {what} of {format_amount(event.data['amount'], event.data['currency'])} {counterpart}"
    if event.type == "transfer.declined":
        title, body = f"{what.capitalize()} declined", f"{subject} was declined.{_reason(event.data)}"
    else:
        title, body = f"{what.capitalize()} failed", f"{subject} could not be completed. No money was moved."
    return _notification(event, initiator, "transfer_declined", title, body)


def _reason(data: Mapping[str, Any]) -> str:
    reason = _REASONS.get(data["code"] or "")
    return f" {reason}" if reason else ""


def _notification(event: Event, user_id: str, kind: Kind, title: str, body: str) -> Notification:
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
