"""What a person is told of an event, and in which words."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import Any, Literal

from common import clock, ids
from common.errors import PROBLEMS
from common.events import Actor, Event
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
    "account_suspended",
]

REMEMBERED = timedelta(days=60)
"""How long it is known that a user is gone: more than an event may wait in a queue and then among its dead letters."""
# Whoever is named first here also calls themselves some of those that follow.
_BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "FxiOS": "Firefox", "CriOS": "Chrome"}
_BROWSERS |= {"Chrome": "Chrome", "Safari": "Safari"}
_SYSTEMS = {"Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows"}
_SYSTEMS |= {"CrOS": "ChromeOS", "Mac OS X": "macOS", "Linux": "Linux"}
_NOT_YOU = "If that was not you, reset your password at once."
_PROGRAM = re.compile(r"([A-Za-z][A-Za-z-]{0,29})(?:/|$)")


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
    kind = event.type.split(".")[0]
    if kind == "transfer":
        yield from _of_transfers(event)
    elif kind == "user":
        yield from _of_users(event)
    else:
        yield from _of_accounts(event)


def _of_transfers(event: Event) -> Iterator[Notification]:
    data = event.data
    match event.type, data["kind"]:
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


def _of_users(event: Event) -> Iterator[Notification]:
    data = event.data
    match event.type:
        case "user.login" if data["new_device"]:
            told = f"Your account was signed in to from a new device: {_device(event.actor)}. {_NOT_YOU}"
            yield _told(event, data["user_id"], "new_login", "New sign-in", told)
        case "user.password_changed":
            told = f"Your password was changed. {_NOT_YOU}"
            yield _told(event, data["user_id"], "password_changed", "Password changed", told)
        case "user.updated" if "email" in data["changed"]:
            told = f"The email address of your account was changed. {_NOT_YOU}"
            yield _told(event, data["user_id"], "email_changed", "Email address changed", told)
        case "user.suspended":
            told = "Your account was suspended. You can't sign in while it is; your money stays where it is."
            yield _told(event, data["user_id"], "account_suspended", "Account suspended", told)


def _of_accounts(event: Event) -> Iterator[Notification]:
    data = event.data
    match event.type:
        case "pin.failed":
            told = f"A wrong PIN was given for {data['name']}, {data['tries']} in a row now. {_NOT_YOU}"
            yield _told(event, data["owner_id"], "wrong_pin", "Wrong PIN", told)
        case "pin.locked":
            locked = f"The PIN of {data['name']} was locked after {data['tries']} wrong tries in a row."
            told = f"{locked} A code that we mail you lets you set a new one."
            yield _told(event, data["owner_id"], "pin_locked", "PIN locked", told)
        case "limit.exceeded":
            amount, limit, spent = (
                format_amount(data[each], data["currency"]) for each in ("amount", "limit", "spent")
            )
            told = f"{amount} would have exceeded your {data['period']} limit of {limit}, of which {spent} is spent."
            yield _told(event, data["owner_id"], "limit_exceeded", "Limit exceeded", told)
        case "balance.low":
            available, threshold = (format_amount(data[each], data["currency"]) for each in ("available", "threshold"))
            told = f"{available} is left in your account, which is less than {threshold}."
            yield _told(event, data["owner_id"], "low_balance", "Low balance", told)


def _device(actor: Actor) -> str:
    """Where a sign-in came from, in our words: a user agent may say anything, and people click on what they read."""
    agent = actor.user_agent or ""
    browser = next((name for token, name in _BROWSERS.items() if f"{token}/" in agent), None)
    system = next((name for token, name in _SYSTEMS.items() if token in agent), None)
    program = None if browser or agent.startswith("Mozilla/") else _PROGRAM.match(agent)
    names = [browser or (program[1] if program else None), system]
    return f"{' on '.join(filter(None, names)) or 'an unknown device'}, {_address(actor.ip or '')}"


def _address(ip: str) -> str:
    try:
        # A zone may be any text.
        return f"IP address {ip_address(ip.partition('%')[0])}"
    except ValueError:
        return "unknown IP address"


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
