"""Sessions."""

from collections.abc import Iterator
from datetime import datetime

from common import clock
from common.dynamo import ABSENT, PRESENT, Check, ConditionFailed, Delete, Put, Table, Update
from common.events import Event, outbox

from functions.auth.domain import Stale
from functions.auth.domain.codes import Passed
from functions.auth.domain.sessions import Device, Session
from functions.auth.domain.throttle import Counters
from functions.auth.domain.users import User
from functions.auth.store.codes import used_up
from functions.auth.store.items import (
    device_key,
    failures_key,
    item_of,
    keyed,
    record_of,
    session_key,
    signed_in_key,
    transact,
    user_key,
)
from functions.auth.store.throttle import no_wait


class SessionStore:
    """Who is signed in."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def session(self, user_id: str, session_id: str) -> Session | None:
        """A session of a user."""
        return record_of(Session, self._table.get(session_key(user_id, session_id)))

    def live_sessions(self, user: User, at: datetime, older_than: str | None) -> Iterator[Session]:
        """The user's live sessions, newest first, from the one after `older_than`."""
        newest = session_key(user.id, older_than or "~")[1]
        rows = self._table.query(
            user_key(user.id)[0],
            between=(session_key(user.id, "")[1], newest),
            descending=True,
            where=(
                ("id", "<>", older_than or ""),
                ("ended_at", "absent", None),
                ("generation", "=", user.generation),
                ("expires_at", ">", int(at.timestamp())),
            ),
        )
        yield from filter(None, (record_of(Session, row) for row in rows))

    def is_known(self, device: Device, at: datetime) -> bool:
        """Whether the user signed in from there in the last 90 days."""
        known = record_of(Device, self._table.get(device_key(device.user_id, device.digest)))
        return known is not None and known.is_known(at)

    def has_signed_in(self, user_id: str) -> bool:
        """Whether the user ever did."""
        return self._table.get(signed_in_key(user_id)) is not None

    def open_session(
        self,
        session: Session,
        user: User,
        device: Device,
        event: Event,
        counters: Counters,
        at: datetime,
        passed: Passed | None = None,
        *,
        first: bool,
    ) -> None:
        """Writes a new session of an active user's generation, uses up the second factor that they gave, and forgets
        failed logins for their email from this address.

        The device is known from then on, and that there was a `first` login. Raises Stale where the user is no more
        what the session says or has another second factor, where there was a first one already, where the code was
        used, and where failed logins ask for a wait.
        """
        user_id, still = session.user_id, ("generation", "status", "second_factor")
        transact(
            self._table,
            Put(item_of(session_key(user_id, session.id), session, outbox(event)), ABSENT),
            Put(item_of(device_key(user_id, device.digest), device)),
            *([Put(keyed(signed_in_key(user_id), {}), ABSENT)] if first else []),
            Check(user_key(user_id), [(name, "=", getattr(user, name)) for name in still]),
            Delete(failures_key(counters.pair), (("until", "absent or <=", clock.timestamp(at)),)),
            *no_wait((counters.email, counters.address), clock.timestamp(at)),
            *(used_up(passed) if passed else ()),
        )

    def rotate(self, session: Session, before: Session) -> None:
        """Writes the session's next refresh token, where `before` still holds. Raises Stale."""
        change = Update(
            session_key(session.user_id, session.id),
            set={
                "current": session.current,
                "rotated_at": session.rotated_at,
                "ip": session.ip,
                "expires_at": session.expires_at,
                "used": session.used,
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
            session_key(user_id, session_id),
            set={"ended_at": clock.timestamp(at)},
            where=(*PRESENT, ("ended_at", "absent", None)),
        )
        try:
            self._table.update(change)
        except ConditionFailed:
            return


def keep_session(user_id: str, session_id: str, generation: int) -> Update:
    """Takes a session along into the user's next `generation`, which ends all others."""
    return Update(
        session_key(user_id, session_id),
        set={"generation": generation},
        where=(("generation", "=", generation - 1), ("ended_at", "absent", None)),
    )
