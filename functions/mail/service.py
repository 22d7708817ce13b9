"""Mailing: each thing once, codes at once, and what comes within a minute of a mail of its kind merged into one.

A mail is claimed by a marker before it is sent and settled after; whoever dies in between leaves a claim that lapses,
and the queue brings the message again. Each minute is a generation: its flush replaces the window, after which nobody
can join it, so what it holds is told by one mail. A flush is asked for before anything is held; one that finds nothing
held closes the window, which makes a holder that comes late look again.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Protocol

from common import clock
from common.clock import Clock
from common.events import Event
from common.tasks import FindUser, FoundUser, MintCode, MintedCode

from functions.mail.domain import (
    LEASE,
    Entry,
    MailId,
    Marker,
    Notice,
    Status,
    Step,
    Window,
    code_mail,
    next_step,
    notices,
)
from functions.mail.templates import Letter, code_letter, code_text, letter

_TRIES = 8


class Busy(Exception):
    """Someone else is at this mail now; the queue will bring the message again, when it is sent or given up."""


class Store(Protocol):
    """Where markers, windows and what they hold are kept. Every write answers whether its condition held."""

    def look(self, mail: MailId) -> tuple[Marker | None, Window | None]:
        """A mail's marker, and the window of its kind and person, as of now."""
        ...

    def claim(self, mail: MailId, lease: str, *, seen: Window | None, opens: Window | None) -> bool:
        """Marks an unmarked mail as sending. With `opens` that window takes the place of `seen`, in one write, if it
        is still what was seen."""
        ...

    def claim_again(self, mail: MailId, lapsed: str, lease: str) -> bool:
        """Takes over a claim whose lease is still the one seen."""
        ...

    def hold(self, notice: Notice, window: Window) -> bool:
        """Marks an unmarked mail as merged and puts its entry into a window, if that is still the one seen."""
        ...

    def close(self, mail: MailId, window: Window) -> bool:
        """Removes a window that holds nothing."""
        ...

    def settle(self, mail: MailId, lease: str, status: Status, subject: str, at: str) -> None:
        """Says what became of a claimed mail, if the claim is still ours."""
        ...

    def held(self, merged: MailId) -> Sequence[Entry]:
        """What the window of a merged mail holds."""
        ...

    def forget(self, merged: MailId) -> None:
        """Removes what the window of a merged mail holds."""
        ...

    def forget_person(self, user_id: str) -> None:
        """Removes a person's windows and what they hold; nobody joins one of them any more."""
        ...


class Sender(Protocol):
    """Sends mail."""

    def send(self, address: str, letter: Letter) -> None:
        """Sends one mail. Raises where that is not known to have worked."""
        ...


class Texter(Protocol):
    """Sends text messages."""

    def send(self, phone: str, text: str) -> None:
        """Sends one text message. Raises where that is not known to have worked."""
        ...


class Flushes(Protocol):
    """The queue that brings a window's flush when its minute ends."""

    def ask(self, merged: MailId, delay: int) -> None:
        """Asks for a flush in `delay` seconds."""
        ...


class Service:
    """The use cases of mail."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        texter: Texter,
        flushes: Flushes,
        find_user: Callable[[FindUser], FoundUser],
        mint_code: Callable[[MintCode], MintedCode],
        now: Clock,
    ) -> None:
        self._store = store
        self._sender = sender
        self._texter = texter
        self._flushes = flushes
        self._find_user = find_user
        self._mint_code = mint_code
        self._now = now

    def hear(self, event: Event) -> None:
        """Mails what an event asks for, once however often it is heard. Raises where something is left to be done."""
        if event.type == "user.deleted":
            self._store.forget_person(event.data["user_id"])
            return
        # The notice of another address goes first: who has the code may change where the notice would go.
        tasks = [partial(self._mail, notice) for notice in notices(event)]
        if mail := code_mail(event):
            tasks.append(partial(self._mail_code, mail, event.data["challenge_id"]))
        failures: list[Exception] = []
        for task in tasks:
            try:
                task()
            except Exception as error:  # noqa: BLE001 (one person's fault must not cost another their mail)
                failures.append(error)
        if failures:
            raise ExceptionGroup("not mailed", failures)

    def flush(self, merged: MailId) -> None:
        """Mails what a window held, as one; nothing where that was done, or nothing was held."""
        for _ in range(_TRIES):
            now = self._now()
            marker, window = self._store.look(merged)
            step = next_step(marker, None, now)
            if step == "nothing":
                self._store.forget(merged)
                return
            if step == "send":
                if window is None or window.ends_at != merged.cause:
                    return
                if not window.held:
                    if self._store.close(merged, window):
                        return
                    continue
            lease = self._claim(merged, step, marker, now, seen=window, opens=Window.opened(now))
            if lease:
                self._send(merged, lease, self._store.held(merged))
                self._store.forget(merged)
                return
        raise Busy

    def _mail(self, notice: Notice) -> None:
        mail = notice.mail
        for _ in range(_TRIES):
            now = self._now()
            marker, window = self._store.look(mail)
            step = next_step(marker, window, now)
            if step == "nothing":
                return
            if step == "hold" and window is not None:
                if self._hold(notice, window, now):
                    return
                continue
            lease = self._claim(mail, step, marker, now, seen=window, opens=Window.opened(now))
            if lease:
                self._send(mail, lease, [notice.entry])
                return
        raise Busy

    def _hold(self, notice: Notice, window: Window, now: datetime) -> bool:
        if window.needs_flush(now):
            left = (clock.parse(window.ends_at) - now).total_seconds()
            self._flushes.ask(replace(notice.mail, cause=window.ends_at), max(0, math.ceil(left)))
        return self._store.hold(notice, window)

    def _mail_code(self, mail: MailId, challenge_id: str) -> None:
        now = self._now()
        marker, _ = self._store.look(mail)
        step = next_step(marker, None, now)
        if step == "nothing":
            return
        # Claimed first: minting for a duplicate would void the code that the first one is mailing.
        lease = self._claim(mail, step, marker, now, seen=None, opens=None)
        if lease is None:
            raise Busy
        minted = self._mint_code(MintCode(challenge_id))
        if minted.outcome == "gone":
            self._settle(mail, lease, "dropped")
            return
        if mail.kind == "verify_phone":
            self._texter.send(minted.address, code_text(minted.code, minted.minutes))
            self._settle(mail, lease, "sent")
        else:
            told = code_letter(mail.kind, minted.first_name, minted.code, minted.minutes)
            self._deliver(mail, lease, minted.address, told)

    def _claim(
        self,
        mail: MailId,
        step: Step,
        marker: Marker | None,
        now: datetime,
        *,
        seen: Window | None,
        opens: Window | None,
    ) -> str | None:
        """The lease of a claim, None where what was read has gone stale. Raises Busy."""
        if step == "wait":
            raise Busy
        lease = clock.timestamp(now + LEASE)
        if marker is None:
            claimed = self._store.claim(mail, lease, seen=seen, opens=opens)
        else:
            claimed = self._store.claim_again(mail, marker.lease, lease)
        return lease if claimed else None

    def _send(self, mail: MailId, lease: str, entries: Sequence[Entry]) -> None:
        person = self._find_user(FindUser(user_id=mail.user_id))
        if person.email_verified:
            self._deliver(mail, lease, person.email, letter(mail.kind, person.first_name, entries))
        else:
            self._settle(mail, lease, "dropped")

    def _deliver(self, mail: MailId, lease: str, address: str, letter: Letter) -> None:
        self._sender.send(address, letter)
        self._settle(mail, lease, "sent", letter.subject)

    def _settle(self, mail: MailId, lease: str, status: Status, subject: str = "") -> None:
        self._store.settle(mail, lease, status, subject, clock.timestamp(self._now()))
