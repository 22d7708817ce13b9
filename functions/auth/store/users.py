"""Users, with the claims on their emails and phone numbers."""

from collections.abc import Iterable

from common.contracts.events import Event
from common.dynamo import ABSENT, Cancelled, Delete, Key, Put, Table, Update, Write
from common.errors import Refusal

from functions.auth.domain.codes import Attempts, Challenge, UsedCode
from functions.auth.domain.throttle import CounterKeys
from functions.auth.domain.users import User
from functions.auth.store.items import (
    code_used,
    item_of,
    keyed,
    next_attempts,
    next_user,
    no_wait,
    record_of,
    session_kept,
    transact,
    user_item,
)
from functions.auth.store.keys import (
    ADMINS,
    api_key_ids_key,
    api_key_key,
    authenticator_key,
    challenge_key,
    email_key,
    phone_key,
    user_key,
)


class UserStore:
    """Users."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def user(self, user_id: str) -> User | None:
        """Return a user by id, or None if there is none or they were deleted."""
        item = self._table.get(user_key(user_id))
        return record_of(User, item) if item is not None and item["status"] != "deleted" else None

    def user_by_email(self, email: str) -> User | None:
        """Return a user by email, verified or not."""
        return self._owner(email_key(email))

    def user_by_phone(self, phone: str) -> User | None:
        """Return a user by phone number, verified or not."""
        return self._owner(phone_key(phone))

    def _owner(self, key: Key) -> User | None:
        claim = self._table.get(key)
        # Always read twice, so that the response time does not reveal whether the address is known.
        return self.user(claim["user_id"] if claim else "nobody")

    def check_free(self, email: str) -> None:
        """Raise Refusal `email_taken` if a user has this email."""
        if self._table.get(email_key(email)):
            raise Refusal("email_taken")

    def add_user(self, user: User, challenge: Challenge, attempts: Attempts, events: tuple[Event, Event]) -> None:
        """Add a user with email, phone and first challenge. Raises Refusal `email_taken` or `phone_taken`."""
        registered, requested = events
        claim = {"user_id": user.id}
        writes: list[Write] = [
            Put(user_item(user, registered), ABSENT),
            Put(item_of(challenge_key(challenge.id), challenge, requested), ABSENT),
            next_attempts(attempts),
            Put(keyed(email_key(user.email), claim), ABSENT),
        ]
        if user.phone is not None:
            writes.append(Put(keyed(phone_key(user.phone), claim), ABSENT))
        try:
            self._table.transact(writes)
        except Cancelled as cancelled:
            email, *phone = cancelled.reasons[3:]
            if email.failed and email.old != keyed(email_key(user.email), claim):
                raise Refusal("email_taken") from cancelled
            if any(reason.failed and reason.old != keyed(phone_key(user.phone or ""), claim) for reason in phone):
                raise Refusal("phone_taken") from cancelled
            # The claim is this user's own: an earlier try of this write succeeded, and its reply was lost.
            if not email.failed:
                raise

    def update_user(self, user: User, event: Event, used: UsedCode | None = None, *, admins: int = 0) -> None:
        """Write a changed user, with the code that allowed the change and the change in the number of admins.

        Raises Stale, and also if there would be no admin left.
        """
        transact(self._table, next_user(user, event), *code_used(used), *admins_changed(admins))

    def change_password(self, user: User, event: Event, session_id: str, keys: CounterKeys) -> None:
        """Write a user with another password and keep one session, which must be live.

        Raises Stale, and also if failed logins under `keys` require a wait.
        """
        transact(self._table, next_user(user, event), session_kept(user, session_id), *no_wait(keys, event.time))

    def reset_password(self, user: User, event: Event, used: UsedCode, key_ids: Iterable[str]) -> None:
        """Write a user with another password, and delete all their API keys and, without a factor, their app.

        Raises Stale.
        """
        transact(
            self._table,
            next_user(user, event),
            *code_used(used),
            *(Delete(api_key_key(key_id)) for key_id in key_ids),
            Delete(api_key_ids_key(user.id)),
            *([] if user.has_second_factor else [Delete(authenticator_key(user.id))]),
        )


def admins_changed(by: int) -> list[Write]:
    """Change the number of admins, if at least one is left."""
    return [Update(ADMINS, add={"admins": by}, where=(("admins", ">", 1),) if by < 0 else ())] if by else []
