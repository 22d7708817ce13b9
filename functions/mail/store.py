"""The room's table: a marker for each mail, the running minute of a kind for a person, and what it holds."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from common.dynamo import ABSENT, Cancelled, ConditionFailed, Key, Put, Table, Update, Where, Write

from functions.mail.domain import NOTICE_KINDS, Entry, MailId, Marker, Notice, Status, Window


class DynamoStore:
    """Markers are kept for good; a window is replaced, its entries are removed once they are mailed."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def look(self, mail: MailId) -> tuple[Marker | None, Window | None]:
        """A mail's marker, and the window of its kind and person, as of now."""
        marker_key, window_key = _marker(mail), (_minute(mail), "W")
        found = self._table.batch_get([marker_key, window_key])
        marker, window = found.get(marker_key), found.get(window_key)
        return (
            Marker(marker["status"], marker.get("lease", "")) if marker else None,
            Window(window["ends_at"], window["held"]) if window else None,
        )

    def claim(self, mail: MailId, lease: str, *, seen: Window | None, opens: Window | None) -> bool:
        """Marks an unmarked mail as sending. With `opens` that window takes the place of `seen`, in one write, if it
        is still what was seen."""
        writes: list[Write] = [_marking(mail, "sending", lease=lease)]
        if opens:
            item = {"pk": _minute(mail), "sk": "W", **asdict(opens)}
            writes.append(Put(item, _still(seen) if seen else ABSENT))
        return self._transact(writes)

    def claim_again(self, mail: MailId, lapsed: str, lease: str) -> bool:
        """Takes over a claim whose lease is still the one seen."""
        return self._update(Update(_marker(mail), set={"lease": lease}, where=_claimed(lapsed)))

    def hold(self, notice: Notice, window: Window) -> bool:
        """Marks an unmarked mail as merged and puts its entry into a window, if that is still the one seen."""
        mail = notice.mail
        minute = _minute(mail)
        entry = {"pk": minute, "sk": f"P#{window.ends_at}#{mail.cause}", **asdict(notice.entry)}
        # Others may have been held meanwhile: only the window's end says that it is the same minute.
        same: Where = [("ends_at", "=", window.ends_at)]
        holds = Update((minute, "W"), set={"held": True}, where=same)
        return self._transact([_marking(mail, "merged"), holds, Put(entry)])

    def close(self, mail: MailId, window: Window) -> bool:
        """Removes a window that holds nothing."""
        try:
            self._table.delete((_minute(mail), "W"), _still(window))
        except ConditionFailed:
            return False
        return True

    def settle(self, mail: MailId, lease: str, status: Status, subject: str, at: str) -> None:
        """Says what became of a claimed mail, if the claim is still ours."""
        self._update(
            Update(
                _marker(mail),
                set={"status": status, "subject": subject, "sent_at": at},
                remove=["lease"],
                where=_claimed(lease),
            )
        )

    def held(self, merged: MailId) -> Sequence[Entry]:
        """What the window of a merged mail holds."""
        return [
            Entry(**{name: value for name, value in item.items() if name not in ("pk", "sk")})
            for item in self._held(merged)
        ]

    def forget(self, merged: MailId) -> None:
        """Removes what the window of a merged mail holds."""
        self._table.batch_delete([(item["pk"], item["sk"]) for item in self._held(merged)])

    def forget_person(self, user_id: str) -> None:
        """Removes a person's windows and what they hold; nobody joins one of them any more."""
        minutes = [_minute(MailId("", kind, user_id)) for kind in NOTICE_KINDS]
        # The windows first: what is held stands on them.
        self._table.batch_delete([(minute, "W") for minute in minutes])
        for minute in minutes:
            self._table.batch_delete([(item["pk"], item["sk"]) for item in self._table.query(minute, begins="P#")])

    def _held(self, merged: MailId) -> Iterator[dict[str, Any]]:
        return self._table.query(_minute(merged), begins=f"P#{merged.cause}#")

    def _transact(self, writes: Sequence[Write]) -> bool:
        try:
            self._table.transact(writes)
        except Cancelled as cancelled:
            if not any(reason.failed for reason in cancelled.reasons):
                raise
            return False
        return True

    def _update(self, update: Update) -> bool:
        try:
            self._table.update(update)
        except ConditionFailed:
            return False
        return True


def _marker(mail: MailId) -> Key:
    return f"M#{mail.cause}", f"{mail.kind}#{mail.user_id}"


def _minute(mail: MailId) -> str:
    return f"W#{mail.user_id}#{mail.kind}"


def _marking(mail: MailId, status: Status, **more: str) -> Put:
    pk, sk = _marker(mail)
    return Put({"pk": pk, "sk": sk, "kind": mail.kind, "user_id": mail.user_id, "status": status, **more}, ABSENT)


def _still(window: Window) -> Where:
    return [("ends_at", "=", window.ends_at), ("held", "=", window.held)]


def _claimed(lease: str) -> Where:
    return [("status", "=", "sending"), ("lease", "=", lease)]
