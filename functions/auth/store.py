"""The auth room's table; its items are in docs/data.md."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, TypeVar

from common import clock
from common.dynamo import ABSENT, PRESENT, Cancelled, ConditionFailed, Delete, Item, Key, Put, Table, Update, Write
from common.errors import Problem
from common.events import Event, outbox

from functions.auth.domain import Stale
from functions.auth.domain.codes import RESEND_AFTER, TRIES, Attempts, Challenge, Purpose
from functions.auth.domain.sessions import Session
from functions.auth.domain.throttle import Failures, too_many
from functions.auth.domain.users import User

RecordT = TypeVar("RecordT")


class Store:
    """Users, their addresses, sessions and challenges, and what is counted against guessing."""

    def __init__(self, table: Table) -> None:
        self._table = table

    # --- users

    def user(self, user_id: str) -> User | None:
        """A user by id."""
        return _read(User, self._table.get(_user_key(user_id)))

    def user_by_email(self, email: str) -> User | None:
        """A user by email, verified or not."""
        return self._owner(_email_key(email))

    def user_by_phone(self, phone: str) -> User | None:
        """A user by phone, verified or not."""
        return self._owner(_phone_key(phone))

    def _owner(self, key: Key) -> User | None:
        claim = self._table.get(key)
        # The second read is made for nobody too: how long this takes must not tell whether the address is known.
        return self.user(claim["user_id"] if claim else "nobody")

    def check_free(self, email: str, phone: str | None) -> None:
        """Raises Problem `email_taken` or `phone_taken`."""
        if self._table.get(_email_key(email)):
            raise Problem("email_taken")
        if phone is not None and self._table.get(_phone_key(phone)):
            raise Problem("phone_taken")

    def add_user(self, user: User, challenge: Challenge, attempts: Attempts, events: tuple[Event, Event]) -> None:
        """Writes a new user with email, phone and first challenge. Raises Problem `email_taken` or `phone_taken`."""
        registered, requested = events
        claim = {"user_id": user.id}
        writes: list[Write] = [
            Put(_item(_user_key(user.id), user, outbox(registered)), ABSENT),
            Put(_item(_challenge_key(challenge.id), challenge, outbox(requested)), ABSENT),
            Put(_item(_attempts_key(user.id, attempts.purpose), attempts), ABSENT),
            Put(_keyed(_email_key(user.email), claim), ABSENT),
        ]
        if user.phone is not None:
            writes.append(Put(_keyed(_phone_key(user.phone), claim), ABSENT))
        try:
            self._table.transact(writes)
        except Cancelled as refused:
            email, *phone = refused.reasons[3:]
            if email.failed and email.old != _keyed(_email_key(user.email), claim):
                raise Problem("email_taken") from refused
            if any(reason.failed and reason.old != _keyed(_phone_key(user.phone or ""), claim) for reason in phone):
                raise Problem("phone_taken") from refused
            if not email.failed:
                raise

    def verify_email(self, user: User, challenge: Challenge, attempts: Attempts, event: Event) -> None:
        """Writes the verified user and uses the challenge up. Raises Stale."""
        self._transact(
            Put(_item(_user_key(user.id), user, outbox(event)), (("sequence", "=", user.sequence - 1),)),
            Update(
                _challenge_key(challenge.id),
                set={"used_at": challenge.used_at},
                where=(("used_at", "absent", None), ("digest", "=", challenge.digest)),
            ),
            _next(attempts),
        )

    # --- codes

    def challenge(self, challenge_id: str) -> Challenge | None:
        """A challenge by id."""
        return _read(Challenge, self._table.get(_challenge_key(challenge_id)))

    def attempts(self, user_id: str, purpose: Purpose) -> Attempts | None:
        """The user's open challenge of a purpose, and the wrong codes given for it."""
        item = self._table.get(_attempts_key(user_id, purpose))
        return _read(Attempts, item and {**item, "wrong": tuple(item["wrong"])})

    def count_try(self, challenge: Challenge, attempts: Attempts) -> None:
        """Counts a try at both, while the challenge is open and `attempts` follows what is there. Raises Stale."""
        self._transact(
            Update(
                _challenge_key(challenge.id),
                add={"tries": 1},
                where=(("tries", "<", TRIES), ("used_at", "absent", None)),
            ),
            _next(attempts),
        )

    def set_code(self, challenge_id: str, digest: str, expires_at: str) -> bool:
        """Replaces the code of a challenge that is open; answers whether it is."""
        change = Update(
            _challenge_key(challenge_id),
            set={"digest": digest, "code_expires_at": expires_at},
            where=(("tries", "<", TRIES), ("used_at", "absent", None)),
        )
        try:
            self._table.update(change)
        except ConditionFailed:
            return False
        return True

    def ask(
        self, key: str, at: datetime, challenge: Challenge | None, attempts: Attempts | None, event: Event | None
    ) -> None:
        """Notes that a code was asked for under `key`, with the challenge that this made or changed.

        Raises Problem `rate_limited` where one was asked for within the last minute, and Stale.
        """
        until = at + RESEND_AFTER
        note = _keyed(_asked_key(key), {"until": clock.timestamp(until), "expires_at": int(until.timestamp()) + 1})
        writes: list[Write] = [Put(note, (("until", "absent or <=", clock.timestamp(at)),))]
        if challenge is not None and event is not None:
            writes.append(_asked(challenge, outbox(event)))
        if attempts is not None:
            writes.append(_next(attempts))
        try:
            self._table.transact(writes)
        except Cancelled as refused:
            old = refused.reasons[0].old
            if refused.reasons[0].failed and old is not None:
                raise too_many(clock.parse(old["until"]) - at) from refused
            raise Stale from refused

    # --- sessions

    def session(self, user_id: str, session_id: str) -> Session | None:
        """A session of a user."""
        return _read(Session, self._table.get(_session_key(user_id, session_id)))

    def open_session(self, session: Session, event: Event, failures_key: str, at: datetime) -> None:
        """Writes a new session and forgets failed logins, unless these ask for a wait. Raises Stale then."""
        self._transact(
            Put(_item(_session_key(session.user_id, session.id), session, outbox(event)), ABSENT),
            Delete(_failures_key(failures_key), (("until", "absent or <=", clock.timestamp(at)),)),
        )

    def rotate(self, session: Session, before: Session) -> None:
        """Writes the session's next refresh token, where `before` still holds. Raises Stale."""
        change = Update(
            _session_key(session.user_id, session.id),
            set={
                "current": session.current,
                "rotated_at": session.rotated_at,
                "ip": session.ip,
                "expires_at": session.expires_at,
            },
            where=(("current", "=", before.current), ("ended_at", "absent", None)),
        )
        try:
            self._table.update(change)
        except ConditionFailed as refused:
            # The SDK sends a write again when its reply is lost: what stands there may be our own.
            if refused.old is None or refused.old["current"] != session.current:
                raise Stale from refused

    def end_session(self, user_id: str, session_id: str, at: datetime) -> None:
        """Ends a session; ending one that has ended or never was changes nothing."""
        change = Update(
            _session_key(user_id, session_id),
            set={"ended_at": clock.timestamp(at)},
            where=(*PRESENT, ("ended_at", "absent", None)),
        )
        try:
            self._table.update(change)
        except ConditionFailed:
            return

    # --- failed logins

    def failures(self, key: str) -> Failures:
        """The failed logins counted under `key`."""
        return _read(Failures, self._table.get(_failures_key(key))) or Failures(key)

    def count_failure(self, failures: Failures, before: Failures, event: Event | None) -> None:
        """Writes one more failed login, where `before` still holds. Raises Stale."""
        told = outbox(event) if event else {}
        unchanged = (("count", "absent or =", before.count), ("expires_at", "absent or =", before.expires_at))
        self._transact(Put(_item(_failures_key(failures.key), failures, told), unchanged))

    def _transact(self, *writes: Write) -> None:
        try:
            self._table.transact(writes)
        except Cancelled as refused:
            raise Stale from refused


def _asked(challenge: Challenge, told: Mapping[str, str]) -> Write:
    if challenge.asked == 1:
        return Put(_item(_challenge_key(challenge.id), challenge, told), ABSENT)
    return Update(
        _challenge_key(challenge.id),
        set={"asked": challenge.asked, "expires_at": challenge.expires_at, **told},
        where=(("asked", "=", challenge.asked - 1), ("tries", "<", TRIES), ("used_at", "absent", None)),
    )


def _next(attempts: Attempts) -> Write:
    key = _attempts_key(attempts.user_id, attempts.purpose)
    return Put(_item(key, attempts), (("version", "absent or =", attempts.version - 1),))


def _user_key(user_id: str) -> Key:
    return f"U#{user_id}", "U"


def _session_key(user_id: str, session_id: str) -> Key:
    return f"U#{user_id}", f"S#{session_id}"


def _attempts_key(user_id: str, purpose: str) -> Key:
    return f"U#{user_id}", f"Q#{purpose}"


def _email_key(email: str) -> Key:
    return f"E#{email}", "E"


def _phone_key(phone: str) -> Key:
    return f"N#{phone}", "N"


def _challenge_key(challenge_id: str) -> Key:
    return f"C#{challenge_id}", "C"


def _failures_key(digest: str) -> Key:
    return f"L#{digest}", "L"


def _asked_key(digest: str) -> Key:
    return f"R#{digest}", "R"


def _keyed(key: Key, attributes: Mapping[str, Any]) -> Item:
    return {"pk": key[0], "sk": key[1], **attributes}


def _item(key: Key, record: Any, told: Mapping[str, str] | None = None) -> Item:
    # What is None is left out, so that conditions can ask whether it is there.
    held = {name: value for name, value in asdict(record).items() if value is not None}
    return _keyed(key, {**held, **(told or {})})


def _read(kind: type[RecordT], item: Item | None) -> RecordT | None:
    if item is None:
        return None
    return kind(**{each.name: item.get(each.name) for each in fields(kind)})  # type: ignore[arg-type]
