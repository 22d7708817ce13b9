"""The context's table: the state of each mail, and the merge windows with their entries."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Literal

from common.dynamo import ABSENT, Cancelled, ConditionFailed, Key, Put, Table, Update, Where, Write
from common.errors import Stale

from functions.mail.domain.mails import MERGED_KINDS, MailEntry, MailId, MailRequest, MailState, MergeWindow, Status


class MailStore:
    """The mails and merge windows in DynamoDB. States are kept for good; entries are deleted once they are sent."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, mail: MailId) -> tuple[MailState | None, MergeWindow | None]:
        """Return the state of a mail, and the merge window of its kind and user."""
        state_key, window_key = _state_key(mail), _window_key(mail)
        found = self._table.batch_get([state_key, window_key])
        state, window = found.get(state_key), found.get(window_key)
        return (
            MailState(state["status"], state.get("lease", "")) if state else None,
            MergeWindow(window["ends_at"], window["held"]) if window else None,
        )

    def claim(self, mail: MailId, lease: str, *, old: MergeWindow | None, new: MergeWindow | None) -> None:
        """Mark a mail without a state as sending, and replace the merge window `old` by `new`, if there is one.

        Raises Stale if the mail has a state, or `old` is not the current window.
        """
        writes: list[Write] = [_new_state(mail, "sending", lease=lease)]
        if new:
            pk, sk = _window_key(mail)
            item = {"pk": pk, "sk": sk, "ends_at": new.ends_at, "held": new.has_entries}
            writes.append(Put(item, _is(old) if old else ABSENT))
        self._transact(writes)

    def take_over(self, mail: MailId, expired: str, lease: str) -> None:
        """Replace the lease of an expired claim. Raises Stale if `expired` is not its lease."""
        try:
            self._table.update(Update(_state_key(mail), set={"lease": lease}, where=_is_claimed(expired)))
        except ConditionFailed as failed:
            raise Stale from failed

    def merge(self, request: MailRequest, window: MergeWindow) -> None:
        """Mark a mail without a state as merged, and add its entry to a window.

        Raises Stale if the mail has a state, or `window` is not the current window.
        """
        pk, sk = _window_key(request.id)
        entry = {"pk": pk, "sk": f"P#{window.ends_at}#{request.id.cause}", **asdict(request.entry)}
        # Entries may have been added since the window was read: its end alone identifies it.
        same: Where = [("ends_at", "=", window.ends_at)]
        self._transact([_new_state(request.id, "merged"), Update((pk, sk), set={"held": True}, where=same), Put(entry)])

    def close_window(self, mail: MailId, window: MergeWindow) -> None:
        """Delete a window without entries. Raises Stale if it is not the current window."""
        try:
            self._table.delete(_window_key(mail), _is(window))
        except ConditionFailed as failed:
            raise Stale from failed

    def mark_sent(self, mail: MailId, lease: str, subject: str, at: str) -> bool:
        """Mark a claimed mail as sent. Return False if another process has taken the claim over."""
        return self._finish(mail, lease, "sent", subject, at)

    def mark_dropped(self, mail: MailId, lease: str, at: str) -> None:
        """Mark a claimed mail as one that is never sent, unless another process has taken the claim over."""
        self._finish(mail, lease, "dropped", "", at)

    def entries(self, merged: MailId) -> Sequence[MailEntry]:
        """Return the entries of a merged mail."""
        return [
            MailEntry(**{name: value for name, value in item.items() if name not in ("pk", "sk")})
            for item in self._entries(merged)
        ]

    def delete_entries(self, merged: MailId) -> None:
        """Delete the entries of a merged mail."""
        self._table.batch_delete([(item["pk"], item["sk"]) for item in self._entries(merged)])

    def delete_user(self, user_id: str) -> None:
        """Delete the merge windows of a user and their entries."""
        windows = [_window_key(MailId("", kind, user_id)) for kind in MERGED_KINDS]
        # The windows first: without its window no entry is added.
        self._table.batch_delete(windows)
        for pk, _ in windows:
            self._table.batch_delete([(item["pk"], item["sk"]) for item in self._table.query(pk, begins="P#")])

    def _entries(self, merged: MailId) -> Iterator[dict[str, Any]]:
        return self._table.query(_window_key(merged)[0], begins=f"P#{merged.cause}#")

    def _finish(self, mail: MailId, lease: str, status: Literal["sent", "dropped"], subject: str, at: str) -> bool:
        outcome = {"status": status, "subject": subject, "sent_at": at}
        try:
            self._table.update(Update(_state_key(mail), set=outcome, remove=["lease"], where=_is_claimed(lease)))
        except ConditionFailed:
            return False
        return True

    def _transact(self, writes: Sequence[Write]) -> None:
        try:
            self._table.transact(writes)
        except Cancelled as cancelled:
            if any(reason.failed for reason in cancelled.reasons):
                raise Stale from cancelled
            raise


def _state_key(mail: MailId) -> Key:
    return f"M#{mail.cause}", f"{mail.kind}#{mail.user_id}{'#previous' if mail.to_previous else ''}"


def _window_key(mail: MailId) -> Key:
    return f"W#{mail.user_id}#{mail.kind}", "W"


def _new_state(mail: MailId, status: Status, **more: str) -> Put:
    pk, sk = _state_key(mail)
    return Put({"pk": pk, "sk": sk, "kind": mail.kind, "user_id": mail.user_id, "status": status, **more}, ABSENT)


def _is(window: MergeWindow) -> Where:
    return [("ends_at", "=", window.ends_at), ("held", "=", window.has_entries)]


def _is_claimed(lease: str) -> Where:
    return [("status", "=", "sending"), ("lease", "=", lease)]
