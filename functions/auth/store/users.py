"""Users, and the addresses and numbers that are theirs."""

from common.dynamo import ABSENT, Cancelled, Key, Put, Table, Write
from common.errors import Problem
from common.events import Event, outbox

from functions.auth.domain.codes import Attempts, Challenge
from functions.auth.domain.users import User
from functions.auth.store.items import (
    attempts_key,
    challenge_key,
    email_key,
    item_of,
    keyed,
    phone_key,
    record_of,
    user_item,
    user_key,
)


class UserStore:
    """Who is here."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def user(self, user_id: str) -> User | None:
        """A user by id; one who was deleted is none."""
        item = self._table.get(user_key(user_id))
        return record_of(User, item) if item is not None and item["status"] != "deleted" else None

    def user_by_email(self, email: str) -> User | None:
        """A user by email, verified or not."""
        return self._owner(email_key(email))

    def user_by_phone(self, phone: str) -> User | None:
        """A user by phone, verified or not."""
        return self._owner(phone_key(phone))

    def _owner(self, key: Key) -> User | None:
        claim = self._table.get(key)
        # The second read is made for nobody too: how long this takes must not tell whether the address is known.
        return self.user(claim["user_id"] if claim else "nobody")

    def check_free(self, email: str, phone: str | None) -> None:
        """Raises Problem `email_taken` or `phone_taken`."""
        if self._table.get(email_key(email)):
            raise Problem("email_taken")
        if phone is not None and self._table.get(phone_key(phone)):
            raise Problem("phone_taken")

    def add_user(self, user: User, challenge: Challenge, attempts: Attempts, events: tuple[Event, Event]) -> None:
        """Writes a new user with email, phone and first challenge. Raises Problem `email_taken` or `phone_taken`."""
        registered, requested = events
        claim = {"user_id": user.id}
        writes: list[Write] = [
            Put(user_item(user, registered), ABSENT),
            Put(item_of(challenge_key(challenge.id), challenge, outbox(requested)), ABSENT),
            Put(item_of(attempts_key(user.id, attempts.purpose), attempts), ABSENT),
            Put(keyed(email_key(user.email), claim), ABSENT),
        ]
        if user.phone is not None:
            writes.append(Put(keyed(phone_key(user.phone), claim), ABSENT))
        try:
            self._table.transact(writes)
        except Cancelled as refused:
            email, *phone = refused.reasons[3:]
            if email.failed and email.old != keyed(email_key(user.email), claim):
                raise Problem("email_taken") from refused
            if any(reason.failed and reason.old != keyed(phone_key(user.phone or ""), claim) for reason in phone):
                raise Problem("phone_taken") from refused
            if not email.failed:
                raise
