"""Which mails an event asks for, and what may be done with a mail at a moment: send it, hold it, wait, or nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from common import clock
from common.events import Event

Kind = Literal["verify_email", "welcome", "transfer_sent", "transfer_received"]
Status = Literal["sending", "sent", "merged", "dropped"]

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
    """One thing that a mail tells. Money in minor units; for a mail that is not about money all but `at` is empty."""

    at: str
    amount: int = 0
    currency: str = ""
    counterpart: str = ""


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
    match event.type, data.get("kind"):
        case "user.verified", _:
            yield Notice(MailId(event.id, "welcome", data["user_id"]), Entry(event.time))
        case "transfer.completed", "transfer":
            amount, currency = data["amount"], data["currency"]
            yield Notice(
                MailId(event.id, "transfer_sent", data["payer_id"]),
                Entry(event.time, amount, currency, data["destination_name"]),
            )
            yield Notice(
                MailId(event.id, "transfer_received", data["payee_id"]),
                Entry(event.time, amount, currency, data["source_name"]),
            )


def code_mail(event: Event) -> MailId | None:
    """The mail that carries a code, where the event asks for one."""
    if event.type == "code.requested" and event.data["purpose"] == "verify_email":
        return MailId(event.id, "verify_email", event.data["user_id"])
    return None


Step = Literal["nothing", "wait", "again", "hold", "send"]


def next_step(marker: Marker | None, window: Window | None, now: datetime) -> Step:
    """What is to be done with a mail: `nothing` more, `wait` for whoever is at it, send it `again` because they
    died, `hold` it for the minute's end, or `send` it."""
    if marker is not None:
        if marker.status != "sending":
            return "nothing"
        return "wait" if clock.timestamp(now) < marker.lease else "again"
    return "hold" if window is not None and window.takes_in(now) else "send"
