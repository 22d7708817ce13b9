"""Sessions, and the devices that users signed in from."""

from collections.abc import Iterator
from datetime import datetime

from common import clock
from common.contracts.events import Event
from common.dynamo import ABSENT, PRESENT, Check, ConditionFailed, Delete, Put, Table, Update, Write
from common.errors import Stale

from functions.auth.domain.authenticators import Authenticator
from functions.auth.domain.codes import Attempts, UsedCode
from functions.auth.domain.sessions import Device, Session
from functions.auth.domain.throttle import CounterKeys
from functions.auth.domain.users import User
from functions.auth.store.items import (
    code_used,
    item_of,
    keyed,
    next_attempts,
    next_authenticator,
    no_wait,
    record_of,
    transact,
)
from functions.auth.store.keys import device_key, failures_key, session_key, signed_in_key, user_key


class SessionStore:
    """Sessions and devices."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def session(self, user_id: str, session_id: str) -> Session | None:
        """Return a session of a user."""
        return record_of(Session, self._table.get(session_key(user_id, session_id)))

    def live_sessions(self, user: User, at: datetime, older_than: str | None) -> Iterator[Session]:
        """Yield the live sessions of a user, newest first, starting after `older_than`."""
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

    def is_known_device(self, device: Device, at: datetime) -> bool:
        """Return whether the user signed in from this device in the last 90 days."""
        return self._known_device(device, at) is not None

    def is_trusted_device(self, device: Device, at: datetime) -> bool:
        """Return whether the user signed in from this device in their present generation."""
        known = self._known_device(device, at)
        return known is not None and known.generation == device.generation

    def _known_device(self, device: Device, at: datetime) -> Device | None:
        known = record_of(Device, self._table.get(device_key(device.user_id, device.digest)))
        return known if known is not None and known.is_known(at) else None

    def has_signed_in(self, user_id: str) -> bool:
        """Return whether the user has ever signed in."""
        return self._table.get(signed_in_key(user_id)) is not None

    def open_session(
        self,
        session: Session,
        user: User,
        device: Device,
        event: Event,
        keys: CounterKeys,
        at: datetime,
        used: UsedCode | None = None,
        *,
        first: bool,
    ) -> None:
        """Add a session with its device and the second factor used, and forget the failed logins under `keys.own`.

        `first` records that the user has signed in once. Raises Stale if the generation, status or second factor of
        the user has changed, if another first login was recorded, if the code was used, or if failed logins require a
        wait.
        """
        user_id, unchanged = session.user_id, ("generation", "status", "second_factor")
        transact(
            self._table,
            Put(item_of(session_key(user_id, session.id), session, event), ABSENT),
            Put(item_of(device_key(user_id, device.digest), device)),
            *([Put(keyed(signed_in_key(user_id), {}), ABSENT)] if first else []),
            Check(user_key(user_id), [(name, "=", getattr(user, name)) for name in unchanged]),
            *_counted_login(keys, at),
            *code_used(used),
        )

    def reauthenticate(
        self,
        session: Session,
        before: Session,
        user: User,
        keys: CounterKeys,
        at: datetime,
        used: UsedCode | None,
        attempts: Attempts | None,
        authenticator: Authenticator | None,
    ) -> None:
        """Write a session whose user proved again who they are, with the second factor used.

        That is `used` for a mailed code, or `attempts` and `authenticator` for a code of an app or a recovery code.
        Raises Stale if the session or its user has changed, if the code was used, or if failed logins require a wait.
        """
        names = ("family", "current", "rotated_at", "ip", "expires_at", "used", "auth_time", "has_second_factor")
        transact(
            self._table,
            Update(
                session_key(session.user_id, session.id),
                set={name: getattr(session, name) for name in names},
                where=(("current", "=", before.current), ("ended_at", "absent", None)),
            ),
            Check(user_key(user.id), (("sequence", "=", user.sequence),)),
            *_counted_login(keys, at),
            *code_used(used),
            *([next_attempts(attempts)] if attempts else ()),
            *([next_authenticator(authenticator)] if authenticator else ()),
        )

    def rotate(self, session: Session, before: Session) -> None:
        """Write the next refresh token of a session if the session is still as `before`. Raises Stale."""
        names = ("current", "rotated_at", "ip", "expires_at", "used")
        change = Update(
            session_key(session.user_id, session.id),
            set={name: getattr(session, name) for name in names},
            where=(("current", "=", before.current), ("ended_at", "absent", None)),
        )
        try:
            self._table.update(change)
        except ConditionFailed as failed:
            # The SDK sends a write again if its reply was lost, so the stored token may be the one just written.
            if failed.old is None or failed.old["current"] != session.current:
                raise Stale from failed

    def end_session(self, user_id: str, session_id: str, at: datetime) -> None:
        """End a session. Nothing changes if it has ended or does not exist."""
        change = Update(
            session_key(user_id, session_id),
            set={"ended_at": clock.timestamp(at)},
            where=(*PRESENT, ("ended_at", "absent", None)),
        )
        try:
            self._table.update(change)
        except ConditionFailed:
            return


def _counted_login(keys: CounterKeys, at: datetime) -> list[Write]:
    """Reset the failed logins that a login resets, if none of the others requires a wait."""
    moment = clock.timestamp(at)
    return [Delete(failures_key(keys.own), (("until", "absent or <=", moment),)), *no_wait(keys.shared, moment)]
