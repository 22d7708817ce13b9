"""Authenticator apps, and changes of the second factor."""

from common.contracts.events import Event
from common.dynamo import Check, Delete, Table, Where

from functions.auth.domain.authenticators import Authenticator
from functions.auth.domain.codes import Attempts
from functions.auth.domain.throttle import CounterKeys
from functions.auth.domain.users import User
from functions.auth.store.items import (
    next_attempts,
    next_authenticator,
    next_user,
    no_wait,
    record_of,
    session_kept,
    transact,
)
from functions.auth.store.keys import authenticator_key, user_key


class AuthenticatorStore:
    """Authenticator apps."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def authenticator(self, user_id: str) -> Authenticator | None:
        """Return the authenticator app of a user, confirmed or not."""
        item = self._table.get(authenticator_key(user_id))
        return record_of(Authenticator, item and {**item, "recovery_codes": tuple(item["recovery_codes"])})

    def enrol(self, user: User, authenticator: Authenticator) -> None:
        """Write an unconfirmed authenticator, which replaces an unconfirmed one. Raises Stale."""
        unconfirmed = Check(user_key(user.id), (("status", "=", "active"), ("second_factor", "<>", "totp")))
        transact(self._table, unconfirmed, next_authenticator(authenticator))

    def change_second_factor(
        self,
        user: User,
        event: Event,
        authenticator: Authenticator | None,
        keys: CounterKeys | None = None,
        attempts: Attempts | None = None,
        kept_session: str | None = None,
    ) -> None:
        """Write a user with another second factor. Their authenticator is written for `totp`, and else deleted.

        `kept_session` continues in the user's next generation.

        Raises Stale: if the stored authenticator is not the version before the given one, if failed logins under
        `keys` require a wait, or if the stored attempts are not the version before the given ones.
        """
        before: Where = (("version", "=", authenticator.version - 1),) if authenticator else ()
        deletion = Delete(authenticator_key(user.id), before)
        transact(
            self._table,
            next_user(user, event),
            next_authenticator(authenticator) if authenticator and user.second_factor == "totp" else deletion,
            *([next_attempts(attempts)] if attempts else ()),
            *([session_kept(user, kept_session, proved_factor=True)] if kept_session else ()),
            *no_wait(keys or (), event.time),
        )
