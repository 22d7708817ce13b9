"""The mails that an event asks for, and what can be done with a mail next: send it, merge it, wait, or nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from common import clock
from common.contracts.events import Event
from common.display import device

CodeKind = Literal["verify_email", "login_code", "reset_password", "email_change", "pin_reset", "verify_phone"]
"""Messages that carry a code. All are mails but `verify_phone`, which is a text message."""
SecurityKind = Literal[
    "new_login",
    "password_changed",
    "email_change_requested",
    "email_changed",
    "phone_changed",
    "second_factor_changed",
    "api_key_created",
    "api_key_revoked",
    "pin_locked",
    "account_suspended",
]
"""Mails about who can get in. They are sent immediately, like codes."""
MergedKind = Literal["welcome", "role_changed", "account_restored", "transfer_sent", "transfer_received"]
"""Mails that are merged with others of their kind."""
NoticeKind = Literal[SecurityKind, MergedKind]
Kind = Literal[CodeKind, NoticeKind]
Status = Literal["sending", "sent", "merged", "dropped"]

MERGED_KINDS: tuple[MergedKind, ...] = get_args(MergedKind)
_CODES: Mapping[str, CodeKind] = {
    "verify_email": "verify_email",
    "login": "login_code",
    "reauthenticate": "login_code",
    "reset_password": "reset_password",
    "change_email": "email_change",
    "pin_reset": "pin_reset",
    "verify_phone": "verify_phone",
}
# By what changed of a user.
_CHANGES: Mapping[str, SecurityKind] = {
    "email": "email_changed",
    "phone": "phone_changed",
    "second_factor": "second_factor_changed",
    "api_key_created": "api_key_created",
    "api_key_revoked": "api_key_revoked",
}

WINDOW_LENGTH = timedelta(minutes=1)
LEASE_LENGTH = timedelta(minutes=1)
"""How long a claim on a mail lasts: longer than a function may run."""


@dataclass(frozen=True, slots=True)
class MailId:
    """A mail: its cause, kind and recipient.

    The cause is the id of an event. The cause of a merged mail is the time at which its merge window ends.
    `to_previous` is whether it goes to the address that the user had before.
    """

    cause: str
    kind: Kind
    user_id: str
    to_previous: bool = False


@dataclass(frozen=True, slots=True)
class MailEntry:
    """One thing that a mail reports.

    `amount` is in minor units; `about` is the name of an account, or a role; `device` is where a sign-in came from
    (`common.display.device`); `keys_revoked` is how many API keys were revoked.
    """

    at: str
    amount: int = 0
    currency: str = ""
    counterpart: str = ""
    about: str = ""
    device: str = ""
    keys_revoked: int = 0


@dataclass(frozen=True, slots=True)
class MailRequest:
    """A mail that an event asks for, and what it reports. Without an `address` it goes to the user's current one."""

    id: MailId
    entry: MailEntry
    address: str = ""


@dataclass(frozen=True, slots=True)
class MailState:
    """How far a mail is. `lease` is the time at which the claim on a mail that is `sending` expires."""

    status: Status
    lease: str = ""


@dataclass(frozen=True, slots=True)
class MergeWindow:
    """The minute after a mail of one kind to one user. At its end, the entries added to it are sent as one mail."""

    ends_at: str
    has_entries: bool = False

    @classmethod
    def opened(cls, now: datetime) -> "MergeWindow":
        """Return the window that a mail sent now opens."""
        return cls(clock.timestamp(now + WINDOW_LENGTH))

    def has_ended(self, now: datetime) -> bool:
        """Return whether the minute is over."""
        return clock.timestamp(now) >= self.ends_at

    def takes_entries(self, now: datetime) -> bool:
        """Return whether a mail must be merged now: the minute is not over, or the merged mail is not sent yet."""
        return self.has_entries or not self.has_ended(now)

    def needs_flush(self, now: datetime) -> bool:
        """Return whether adding an entry must schedule a flush: none was scheduled, or it is long overdue."""
        return not self.has_entries or self.has_ended(now - WINDOW_LENGTH)


def mail_requests(event: Event) -> Iterator[MailRequest]:
    """Yield the mails that an event asks for, except the one with a code."""
    data = event.data
    match event.type:
        case "user.verified":
            yield _request(event, "welcome", data["user_id"])
        case "user.login" if data["new_device"]:
            where = device(event.actor.user_agent, event.actor.ip)
            yield _request(event, "new_login", data["user_id"], MailEntry(event.time, device=where))
        case "user.password_changed":
            entry = MailEntry(event.time, keys_revoked=data.get("api_keys_revoked", 0))
            yield _request(event, "password_changed", data["user_id"], entry)
        case "user.suspended":
            yield _request(event, "account_suspended", data["user_id"])
        case "user.updated":
            yield from _updates(event)
        case "code.requested" if data["purpose"] == "change_email":
            yield _request(event, "email_change_requested", data["user_id"])
        case "pin.locked":
            yield _request(event, "pin_locked", data["owner_id"], MailEntry(event.time, about=data["name"]))
        case "transfer.completed" if data["kind"] == "transfer":
            sent = MailEntry(event.time, data["amount"], data["currency"], data["destination_name"])
            received = MailEntry(event.time, data["amount"], data["currency"], data["source_name"])
            yield _request(event, "transfer_sent", data["payer_id"], sent)
            yield _request(event, "transfer_received", data["payee_id"], received)
    if event.type in ("user.updated", "user.suspended") and "role" in data["changed"]:
        yield _request(event, "role_changed", data["user_id"], MailEntry(event.time, about=data["role"]))


def _updates(event: Event) -> Iterator[MailRequest]:
    data = event.data
    if "status" in data["changed"] and data["status"] == "active":
        yield _request(event, "account_restored", data["user_id"])
    # First to the previous address: whoever took the account over can't read that mail.
    if "email" in data["changed"] and data.get("previous_email"):
        previous = MailId(event.id, "email_changed", data["user_id"], to_previous=True)
        yield MailRequest(previous, MailEntry(event.time), data["previous_email"])
    for changed in data["changed"]:
        if changed in _CHANGES:
            yield _request(event, _CHANGES[changed], data["user_id"])


def code_mail_id(event: Event) -> MailId | None:
    """Return the mail or text message with a code that an event asks for, or None."""
    if event.type != "code.requested" or event.data["purpose"] not in _CODES:
        return None
    return MailId(event.id, _CODES[event.data["purpose"]], event.data["user_id"])


Step = Literal["done", "wait", "resend", "merge", "send"]


def next_step(state: MailState | None, window: MergeWindow | None, now: datetime) -> Step:
    """Return what to do with a mail in `state`, which may be merged into `window`.

    `done`: nothing. `wait`: another process is sending it. `resend`: that process has failed. `merge`: add it to the
    window. `send`: send it.
    """
    if state is not None:
        if state.status != "sending":
            return "done"
        return "wait" if clock.timestamp(now) < state.lease else "resend"
    return "merge" if window is not None and window.takes_entries(now) else "send"


def _request(event: Event, kind: NoticeKind, user_id: str, entry: MailEntry | None = None) -> MailRequest:
    return MailRequest(MailId(event.id, kind, user_id), entry or MailEntry(event.time))
