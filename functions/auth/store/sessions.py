"""Sessions, and the failed logins before them."""

from datetime import datetime

from common import clock
from common.dynamo import ABSENT, PRESENT, ConditionFailed, Delete, Put, Table, Update
from common.events import Event, outbox

from functions.auth.domain import Stale
from functions.auth.domain.sessions import Session
from functions.auth.domain.throttle import Failures
from functions.auth.store.items import failures_key, item_of, record_of, session_key, transact


class SessionStore:
    """Who is signed in, and who tried to."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def session(self, user_id: str, session_id: str) -> Session | None:
        """A session of a user."""
        return record_of(Session, self._table.get(session_key(user_id, session_id)))

    def open_session(self, session: Session, event: Event, counted_as: str, at: datetime) -> None:
        """Writes a new session and forgets failed logins, unless these ask for a wait. Raises Stale then."""
        transact(
            self._table,
            Put(item_of(session_key(session.user_id, session.id), session, outbox(event)), ABSENT),
            Delete(failures_key(counted_as), (("until", "absent or <=", clock.timestamp(at)),)),
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

    def failures(self, key: str) -> Failures:
        """The failed logins counted under `key`."""
        return record_of(Failures, self._table.get(failures_key(key))) or Failures(key)

    def count_failure(self, failures: Failures, before: Failures, event: Event | None) -> None:
        """Writes one more failed login, where `before` still holds. Raises Stale."""
        told = outbox(event) if event else {}
        unchanged = (("count", "absent or =", before.count), ("expires_at", "absent or =", before.expires_at))
        transact(self._table, Put(item_of(failures_key(failures.key), failures, told), unchanged))
