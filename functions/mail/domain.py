"""Which mails an event asks for, and what may be done with a mail at a moment: send it, hold it, wait, or nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from common import clock
from common.events import Event

CodeKind = Literal["verify_email", "login_code", "reset_password", "email_change", "pin_reset", "verify_phone"]
"""What carries a code: mails, and `verify_phone`, a text message."""
NoticeKind = Literal[
    "welcome",
    "password_changed",
    "email_change_requested",
    "role_changed",
    "account_suspended",
    "account_restored",
    "pin_locked",
    "transfer_sent",
    "transfer_received",
]
"""What is merged with others of its kind."""
Kind = Literal[CodeKind, NoticeKind]
Status = Literal["sending", "sent", "merged", "dropped"]

NOTICE_KINDS: tuple[NoticeKind, ...] = get_args(NoticeKind)
_CODES: Mapping[str, CodeKind] = {
    "verify_email": "verify_email",
    "login": "login_code",
    "reset_password": "reset_password",
    "change_email": "email_change",
    "pin_reset": "pin_reset",
    "verify_phone": "verify_phone",
}

MINUTE = timedelta(minutes=1)
LEASE = timedelta(minutes=1)
"""How long a claimed mail is left to whoever claimed it: more than a function may run."""


@dataclass(frozen=True, slots=True)
class MailId:
    """A mail: of a kind, to a person, because of an event; a merged one has the end of its minute for the event."""

    cause: str
    kind: Kind
    user_id: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that a mail tells. Money in minor units, for a mail about money; `about` is the account of a PIN, or
    the role that somebody has now."""

    at: str
    amount: int = 0
    currency: str = ""
    counterpart: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What an event has to tell a person by mail."""

    mail: MailId
    entry: Entry


@dataclass(frozen=True, slots=True)
class Marker:
    """How far a mail is. `lease` is when a claim on a mail that is `sending` lapses, as a time."""

    status: Status
    lease: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """The minute after a mail of a kind to a person; `held` says that others wait for its end, to go as one."""

    ends_at: str
    held: bool = False

    @classmethod
    def opened(cls, now: datetime) -> "Window":
        """The minute that a mail sent now opens."""
        return cls(clock.timestamp(now + MINUTE))

    def over(self, now: datetime) -> bool:
        """Whether its time has come."""
        return clock.timestamp(now) >= self.ends_at

    def takes_in(self, now: datetime) -> bool:
        """Whether a mail that comes now has to wait in it: it runs, or others in it still wait to go."""
        return self.held or not self.over(now)

    def needs_flush(self, now: datetime) -> bool:
        """Whether someone who waits in it has to ask for its flush: nobody has, or that is long overdue."""
        return not self.held or self.over(now - MINUTE)


def notices(event: Event) -> Iterator[Notice]:
    """The mails of an event, codes excepted. Both sides of a transfer between a person's own accounts are theirs."""
    data = event.data
    match event.type:
        case "user.verified":
            yield _notice(event, "welcome", data["user_id"])
        case "user.password_changed":
            yield _notice(event, "password_changed", data["user_id"])
        case "user.updated" | "user.suspended":
            yield from _administered(event)
        case "code.requested" if data["purpose"] == "change_email":
            yield _notice(event, "email_change_requested", data["user_id"])
        case "pin.locked":
            yield _notice(event, "pin_locked", data["owner_id"], about=data["name"])
        case "transfer.completed" if data["kind"] == "transfer":
            amount, currency = data["amount"], data["currency"]
            yield Notice(
                MailId(event.id, "transfer_sent", data["payer_id"]),
                Entry(event.time, amount, currency, data["destination_name"]),
            )
            yield Notice(
                MailId(event.id, "transfer_received", data["payee_id"]),
                Entry(event.time, amount, currency, data["source_name"]),
            )


def _administered(event: Event) -> Iterator[Notice]:
    """What an admin did to a user: another role, a suspension, its end."""
    data = event.data
    if event.type == "user.suspended":
        yield _notice(event, "account_suspended", data["user_id"])
    elif "status" in data["changed"] and data["status"] == "active":
        yield _notice(event, "account_restored", data["user_id"])
    if "role" in data["changed"]:
        yield _notice(event, "role_changed", data["user_id"], about=data["role"])


def _notice(event: Event, kind: NoticeKind, user_id: str, *, about: str = "") -> Notice:
    return Notice(MailId(event.id, kind, user_id), Entry(event.time, about=about))


def code_mail(event: Event) -> MailId | None:
    """The mail or text message that carries a code, where the event asks for one."""
    if event.type != "code.requested" or event.data["purpose"] not in _CODES:
        return None
    return MailId(event.id, _CODES[event.data["purpose"]], event.data["user_id"])


Step = Literal["nothing", "wait", "again", "hold", "send"]


def next_step(marker: Marker | None, window: Window | None, now: datetime) -> Step:
    """What is to be done with a mail: `nothing` more, `wait` for whoever is at it, send it `again` because they
    died, `hold` it for the minute's end, or `send` it."""
    if marker is not None:
        if marker.status != "sending":
            return "nothing"
        return "wait" if clock.timestamp(now) < marker.lease else "again"
    return "hold" if window is not None and window.takes_in(now) else "send"
