"""How users prove who they are: passwords, authenticator apps, addresses and numbers, and how that changes."""

from common.dynamo import Cancelled, Check, Delete, Key, Put, Table, Write
from common.errors import Problem
from common.events import Event

from functions.auth.domain import Stale
from functions.auth.domain.authenticators import Authenticator
from functions.auth.domain.codes import Attempts, Passed
from functions.auth.domain.throttle import Counters
from functions.auth.domain.users import User
from functions.auth.store.codes import following, next_authenticator, used_up
from functions.auth.store.items import (
    authenticator_key,
    email_key,
    keyed,
    phone_key,
    record_of,
    revision,
    transact,
    user_key,
)
from functions.auth.store.sessions import keep_session
from functions.auth.store.throttle import no_wait


class FactorStore:
    """What changes only for who has proven that they may."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def authenticator(self, user_id: str) -> Authenticator | None:
        """The user's authenticator app, confirmed or not."""
        item = self._table.get(authenticator_key(user_id))
        return record_of(Authenticator, item and {**item, "recovery_codes": tuple(item["recovery_codes"])})

    def enrol(self, user: User, authenticator: Authenticator) -> None:
        """Writes an authenticator that is yet to be confirmed, in the place of another such one. Raises Stale."""
        itself = Check(user_key(user.id), (("status", "=", "active"), ("second_factor", "<>", "totp")))
        transact(self._table, itself, next_authenticator(authenticator))

    def revise(self, user: User, event: Event, passed: Passed | None = None) -> None:
        """Writes a changed user and, where a code allowed it, uses that up. Raises Stale."""
        transact(self._table, revision(user, event), *(used_up(passed) if passed else ()))

    def change_password(self, user: User, event: Event, session_id: str, counters: Counters) -> None:
        """Writes the user with another password and takes one session along. Raises Stale, as `change_factor`."""
        kept = keep_session(user.id, session_id, user.generation)
        transact(self._table, revision(user, event), kept, *no_wait(counters, event.time))

    def change_factor(
        self,
        user: User,
        event: Event,
        authenticator: Authenticator | None,
        counters: Counters | None = None,
        attempts: Attempts | None = None,
    ) -> None:
        """Writes the user with another second factor, and their authenticator as it is then: gone, but for `totp`.

        Raises Stale; this too where the authenticator, where it is given, is not what it was before that, where
        `counters` ask for a wait, and where other tries than `attempts` were made.
        """
        before = (("version", "=", authenticator.version - 1),) if authenticator else ()
        gone = Delete(authenticator_key(user.id), before)
        transact(
            self._table,
            revision(user, event),
            next_authenticator(authenticator) if authenticator and user.second_factor == "totp" else gone,
            *([following(attempts)] if attempts else ()),
            *no_wait(counters or (), event.time),
        )

    def change_email(self, user: User, before: User, event: Event, passed: Passed) -> None:
        """Writes the user with another email, which is claimed, and frees the one before.

        Raises Problem `email_taken`, and Stale.
        """
        claims = _moved(user.id, email_key(before.email), email_key(user.email), user.id)
        try:
            self._table.transact([*claims, revision(user, event), *used_up(passed)])
        except Cancelled as refused:
            if refused.reasons[0].failed:
                raise Problem("email_taken") from refused
            raise Stale from refused

    def change_phone(
        self, user: User, before: User, event: Event, passed: Passed, loser: tuple[User, Event] | None
    ) -> None:
        """Writes the user with another phone, which is claimed, and frees the one before. Raises Stale.

        `loser` is who had the number until now, without it, and the event of that.
        """
        old = phone_key(before.phone) if before.phone else None
        owner = loser[0].id if loser else user.id
        transact(
            self._table,
            *_moved(user.id, old, phone_key(user.phone or ""), owner),
            revision(user, event),
            *used_up(passed),
            *([revision(*loser)] if loser else ()),
        )


def _moved(user_id: str, old: Key | None, new: Key, owner: str) -> list[Write]:
    """Claims `new`, which may be nobody's or `owner`'s, and frees `old`, where that is another."""
    writes: list[Write] = [Put(keyed(new, {"user_id": user_id}), (("user_id", "absent or =", owner),))]
    if old is not None and old != new:
        writes.append(Delete(old, (("user_id", "=", user_id),)))
    return writes
