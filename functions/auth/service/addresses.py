"""Changing the email address or the phone number. A code that is sent there proves that it is the user's."""

from typing import TYPE_CHECKING

from common.clock import Clock
from common.contracts.events import SYSTEM, Actor
from common.errors import Refusal
from common.retry import retry_on_conflict

from functions.auth.domain.codes import UsedCode
from functions.auth.domain.throttle import digest_of
from functions.auth.domain.users import User
from functions.auth.service import ATTEMPTS, signed_in_user
from functions.auth.service.codes import Codes
from functions.auth.service.credentials import Credentials, PasswordProof

if TYPE_CHECKING:
    from functions.auth.store import AuthStore


class Addresses:
    """Changes of email addresses and phone numbers."""

    def __init__(self, store: "AuthStore", codes: Codes, credentials: Credentials, now: Clock) -> None:
        self._store = store
        self._codes = codes
        self._credentials = credentials
        self._now = now

    def change_email(self, actor: Actor, user_id: str, email: str, password: str) -> None:
        """Send a code to a new address. Nothing changes until it is confirmed.

        Raises Refusal `invalid_credentials`, `email_taken` or `rate_limited`.
        """
        proof = self._credentials.reauthenticate(user_id, password, actor)
        retry_on_conflict(lambda: self._change_email(actor, proof, email), attempts=ATTEMPTS)

    def _change_email(self, actor: Actor, proof: PasswordProof, email: str) -> None:
        user = self._credentials.recheck(proof)
        self._store.check_free(email, None)
        # The limit counts per user, not per address: a user must not send mail to one address after another.
        key = digest_of("change_email", user.id)
        generation = str(user.generation)
        self._codes.request_code(
            key, user, "change_email", actor, address=email, subject=generation, counter_keys=proof.counter_keys
        )

    def confirm_email(self, actor: Actor, user_id: str, code: str) -> User:
        """Return the user with the address that the code was sent to. Open codes to the old address become void.

        Raises Refusal `invalid_code` or `code_expired`, and `email_taken` if another user has it by now.
        """

        def write(user: User, used: UsedCode) -> User:
            now = self._now()
            revised = user.revised(now, email=used.challenge.address, email_verified=True)
            event = revised.event("user.updated", now, actor, ("email",))
            self._store.change_email(revised, user, event, used)
            return revised

        return self._codes.redeem(user_id, "change_email", code, write)

    def set_phone(self, actor: Actor, user_id: str, phone: str) -> None:
        """Send a code to a phone number. Nothing changes until it is confirmed.

        Raises Refusal `rate_limited`, and `phone_taken` if another user has verified the number.
        """
        retry_on_conflict(lambda: self._set_phone(actor, user_id, phone), attempts=ATTEMPTS)

    def _set_phone(self, actor: Actor, user_id: str, phone: str) -> None:
        user = signed_in_user(self._store.user(user_id))
        self._unverified_owner(user, phone)
        key, generation = digest_of("verify_phone", user.id), str(user.generation)
        self._codes.request_code(key, user, "verify_phone", actor, address=phone, subject=generation)

    def confirm_phone(self, actor: Actor, user_id: str, code: str) -> User:
        """Return the user with the number that the code was sent to. A user who never verified the number loses it.

        Raises Refusal `invalid_code` or `code_expired`, and `phone_taken` if another user has verified the number.
        """

        def write(user: User, used: UsedCode) -> User:
            now = self._now()
            phone = used.challenge.address
            owner = self._unverified_owner(user, phone)
            previous = None
            if owner is not None:
                without = owner.revised(now, phone=None)
                # The previous owner must not learn who has the number now, so the event does not name the actor.
                previous = (without, without.event("user.updated", now, SYSTEM, ("phone",)))
            revised = user.revised(now, phone=phone, phone_verified=True)
            event = revised.event("user.updated", now, actor, ("phone",))
            self._store.change_phone(revised, user, event, used, previous)
            return revised

        return self._codes.redeem(user_id, "verify_phone", code, write)

    def _unverified_owner(self, user: User, phone: str) -> User | None:
        """Return another user who has the number unverified. Raises Refusal `phone_taken` if it is verified."""
        owner = self._store.user_by_phone(phone)
        if owner is None or owner.id == user.id:
            return None
        if owner.phone_verified:
            raise Refusal("phone_taken")
        return owner
