"""Where users are reached: another email address or phone, proven by a code that was sent there."""

from typing import Protocol

from common.clock import Clock
from common.errors import Problem
from common.events import SYSTEM, Actor, Event

from functions.auth.domain.codes import Passed
from functions.auth.domain.throttle import digest_of
from functions.auth.domain.users import User
from functions.auth.service import present, settled
from functions.auth.service.codes import Codes
from functions.auth.service.credentials import Credentials, Proven


class Store(Protocol):
    """What changing addresses needs of the table."""

    def user(self, user_id: str) -> User | None:
        """A user by id."""

    def user_by_phone(self, phone: str) -> User | None:
        """A user by phone, verified or not."""

    def check_free(self, email: str, phone: str | None) -> None:
        """Raises Problem `email_taken` or `phone_taken`."""

    def change_email(self, user: User, before: User, event: Event, passed: Passed) -> None:
        """Writes the user with another email, which is claimed, and frees the one before.

        Raises Problem `email_taken`, and Stale.
        """

    def change_phone(
        self, user: User, before: User, event: Event, passed: Passed, loser: tuple[User, Event] | None
    ) -> None:
        """Writes the user with another phone, which is claimed, and frees the one before. Raises Stale.

        `loser` is who had the number until now, without it, and the event of that.
        """


class Addresses:
    """Email addresses and phones that change."""

    def __init__(self, store: Store, codes: Codes, credentials: Credentials, now: Clock) -> None:
        self._store = store
        self._codes = codes
        self._credentials = credentials
        self._now = now

    def change_email(self, actor: Actor, user_id: str, email: str, password: str) -> None:
        """Asks for a code to a new address; until it is confirmed nothing changes.

        Raises Problem `invalid_credentials`, `email_taken` and `rate_limited`.
        """
        proven = self._credentials.prove(user_id, password, actor)
        settled(lambda: self._ask_email(actor, proven, email))

    def _ask_email(self, actor: Actor, proven: Proven, email: str) -> None:
        user = self._credentials.still(proven)
        self._store.check_free(email, None)
        # Under the user, not the address: nobody is to be mailed by a user who tries one after another.
        key = digest_of("change_email", user.id)
        generation = str(user.generation)
        self._codes.ask(key, user, "change_email", actor, address=email, subject=generation, counters=proven.counters)

    def confirm_email(self, actor: Actor, user_id: str, code: str) -> User:
        """The user with the address that the code went to; open codes to the old one are void.

        Raises Problem `invalid_code`, `code_expired`, and `email_taken` where somebody was faster.
        """

        def write(user: User, passed: Passed) -> User:
            now = self._now()
            revised = user.revised(now, email=passed.challenge.address, email_verified=True)
            event = revised.event("user.updated", now, actor, ("email",))
            self._store.change_email(revised, user, event, passed)
            return revised

        return self._codes.redeem(user_id, "change_email", code, write)

    def set_phone(self, actor: Actor, user_id: str, phone: str) -> None:
        """Asks for a code to a phone; until it is confirmed nothing changes.

        Raises Problem `phone_taken` where it is somebody else's, who has verified it, and `rate_limited`.
        """
        settled(lambda: self._ask_phone(actor, user_id, phone))

    def _ask_phone(self, actor: Actor, user_id: str, phone: str) -> None:
        user = present(self._store.user(user_id))
        self._holder(user, phone)
        key, generation = digest_of("verify_phone", user.id), str(user.generation)
        self._codes.ask(key, user, "verify_phone", actor, address=phone, subject=generation)

    def confirm_phone(self, actor: Actor, user_id: str, code: str) -> User:
        """The user with the phone that the code went to. Who had the number but never verified it loses it.

        Raises Problem `invalid_code`, `code_expired`, and `phone_taken` as `set_phone`.
        """

        def write(user: User, passed: Passed) -> User:
            now = self._now()
            phone = passed.challenge.address
            holder = self._holder(user, phone)
            loser = None
            if holder is not None:
                without = holder.revised(now, phone=None)
                # Not the actor's doing as far as the loser may know: they must not learn who has the number, and where.
                loser = (without, without.event("user.updated", now, SYSTEM, ("phone",)))
            revised = user.revised(now, phone=phone, phone_verified=True)
            event = revised.event("user.updated", now, actor, ("phone",))
            self._store.change_phone(revised, user, event, passed, loser)
            return revised

        return self._codes.redeem(user_id, "verify_phone", code, write)

    def _holder(self, user: User, phone: str) -> User | None:
        """Who else has the number, unverified. Raises Problem `phone_taken` where it is verified."""
        holder = self._store.user_by_phone(phone)
        if holder is None or holder.id == user.id:
            return None
        if holder.phone_verified:
            raise Problem("phone_taken")
        return holder
