"""Sends mails: each once, codes and security notices immediately, and others of a kind to one user once a minute.

A mail is claimed before it is sent and marked as sent afterwards. If the process fails in between, the claim expires
and the next delivery of the message sends the mail. A text message is marked as sent first: it costs money, so it is
sent at most once.

The first notice of a merged kind opens a merge window of a minute. Notices that come in the window are added to it, and
a flush sends them as one mail at its end. The flush replaces the window, so that nothing can be added to what it sends.
A flush is scheduled before an entry is added. A flush that finds no entries closes the window, so that an entry that
comes late is not added to a window that nobody flushes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol

from common import clock
from common.clock import Clock
from common.contracts.auth import FindUser, FoundUser, MintCode, MintedCode
from common.contracts.events import Event
from common.errors import Fault, Stale
from common.retry import retry_on_conflict

from functions.mail.domain.mails import (
    LEASE_LENGTH,
    MERGED_KINDS,
    MailEntry,
    MailId,
    MailRequest,
    MailState,
    MergeWindow,
    code_mail_id,
    mail_requests,
    next_step,
)
from functions.mail.domain.texts import Mail, code_mail, code_text_message, notice_mail, previous_address_mail

if TYPE_CHECKING:
    from functions.mail.store import MailStore


class Busy(Fault):
    """Another process is sending this mail. The queue delivers the message again after it is done or has failed."""


class Sender(Protocol):
    """Sends mails."""

    def send(self, address: str, mail: Mail) -> None:
        """Send a mail. Raises unless it is known to be on its way."""


class Texter(Protocol):
    """Sends text messages."""

    def send(self, phone: str, text: str) -> None:
        """Send a text message. Raises unless it is known to be on its way."""


class Flushes(Protocol):
    """Calls `Mailer.flush` when a merge window ends."""

    def schedule(self, merged: MailId, delay_seconds: int) -> None:
        """Schedule the flush of a merged mail."""


class Mailer:
    """The mails and text messages to all users."""

    def __init__(
        self,
        store: "MailStore",
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

    def handle(self, event: Event) -> None:
        """Send the mails that an event asks for, once however often it is delivered.

        Raises an ExceptionGroup if any of them could not be sent.
        """
        if event.type == "user.deleted":
            self._store.delete_user(event.data["user_id"])
            return
        # A notice of a change of address goes first: with the code, the address that it goes to can change.
        tasks = [partial(self._send_notice, request) for request in mail_requests(event)]
        if mail := code_mail_id(event):
            tasks.append(partial(self._send_code, mail, event.data["challenge_id"]))
        failures: list[Exception] = []
        for task in tasks:
            try:
                task()
            except Exception as error:  # noqa: BLE001 (one mail's failure must not stop the others)
                failures.append(error)
        if failures:
            raise ExceptionGroup("mails not sent", failures)

    def flush(self, merged: MailId) -> None:
        """Send the entries of a merge window as one mail, unless that was done or there are none."""
        lease = retry_on_conflict(lambda: self._claim_merged(merged))
        if lease:
            self._deliver_notice(merged, lease, self._store.entries(merged))
            self._store.delete_entries(merged)

    def _claim_merged(self, merged: MailId) -> str | None:
        """Return the lease of a claim, or None if nothing is left to send. Raises Busy, and Stale."""
        now = self._now()
        state, window = self._store.find(merged)
        step = next_step(state, None, now)
        if step == "done":
            self._store.delete_entries(merged)
            return None
        if step == "send":
            if window is None or window.ends_at != merged.cause:
                return None
            if not window.has_entries:
                self._store.close_window(merged, window)
                return None
        return self._claim(merged, state, window, now)

    def _send_notice(self, request: MailRequest) -> None:
        lease = retry_on_conflict(lambda: self._claim_or_merge(request))
        if lease and request.id.to_previous:
            self._deliver(request.id, lease, request.address, previous_address_mail(request.id.kind, request.entry))
        elif lease:
            self._deliver_notice(request.id, lease, [request.entry])

    def _claim_or_merge(self, request: MailRequest) -> str | None:
        """Return the lease of a claim, or None if the mail was merged or sent. Raises Busy, and Stale."""
        now = self._now()
        state, window = self._store.find(request.id)
        if request.id.kind not in MERGED_KINDS:
            window = None  # of a version that merged this kind
        step = next_step(state, window, now)
        if step == "done":
            return None
        if step == "merge" and window is not None:
            if window.needs_flush(now):
                left = (clock.parse(window.ends_at) - now).total_seconds()
                self._flushes.schedule(replace(request.id, cause=window.ends_at), max(0, math.ceil(left)))
            self._store.merge(request, window)
            return None
        return self._claim(request.id, state, window, now)

    def _send_code(self, mail: MailId, challenge_id: str) -> None:
        now = self._now()
        state, _ = self._store.find(mail)
        if next_step(state, None, now) == "done":
            return
        try:
            # Claimed first: minting a code for a duplicate would void the code that is being sent.
            lease = self._claim(mail, state, None, now)
        except Stale as stale:
            raise Busy from stale
        minted = self._mint_code(MintCode(challenge_id))
        if minted.outcome == "gone":
            self._store.mark_dropped(mail, lease, self._timestamp())
        elif mail.kind == "verify_phone":
            if self._store.mark_sent(mail, lease, "", self._timestamp()):
                self._texter.send(minted.address, code_text_message(minted.code, minted.minutes))
        else:
            self._deliver(mail, lease, minted.address, code_mail(mail.kind, minted.code, minted.minutes))

    def _claim(self, mail: MailId, state: MailState | None, window: MergeWindow | None, now: datetime) -> str:
        """Claim a mail, and return the lease. Raises Busy if another process holds a claim, and Stale."""
        lease = clock.timestamp(now + LEASE_LENGTH)
        if state is None:
            new = MergeWindow.opened(now) if mail.kind in MERGED_KINDS else None
            self._store.claim(mail, lease, old=window, new=new)
        elif next_step(state, None, now) == "wait":
            raise Busy
        else:
            self._store.take_over(mail, state.lease, lease)
        return lease

    def _deliver_notice(self, mail: MailId, lease: str, entries: Sequence[MailEntry]) -> None:
        user = self._find_user(FindUser(user_id=mail.user_id))
        if user.email_verified:
            self._deliver(mail, lease, user.email, notice_mail(mail.kind, user.first_name, entries))
        else:
            self._store.mark_dropped(mail, lease, self._timestamp())

    def _deliver(self, mail: MailId, lease: str, address: str, content: Mail) -> None:
        self._sender.send(address, content)
        self._store.mark_sent(mail, lease, content.subject, self._timestamp())

    def _timestamp(self) -> str:
        return clock.timestamp(self._now())
