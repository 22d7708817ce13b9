"""Changing the email address or the phone number. A code that is sent there proves that it is the user's."""

from datetime import timedelta
from typing import TYPE_CHECKING

from common.clock import Clock
from common.contracts.events import SYSTEM, Actor
from common.errors import Refusal
from common.retry import retry_on_conflict

from functions.auth.domain.codes import UsedCode
from functions.auth.domain.throttle import Quota, digest_of
from functions.auth.domain.users import User
from functions.auth.service import ATTEMPTS, signed_in_user
from functions.auth.service.codes import Codes
from functions.auth.service.credentials import Credentials, PasswordProof

if TYPE_CHECKING:
    from functions.auth.store import AuthStore

_TEXTS_PER_DAY = (10, 3)
_NEW_ADDRESSES_PER_DAY = 20
"""How many texts a user may have sent, and how many one number may get."""
_MAILS_PER_DAY = (10, 10)
"""How many mails a user may have sent to new addresses, and how many one such address may get."""


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
        self._count_new_address(user_id)
        retry_on_conflict(lambda: self._change_email(actor, proof, email), attempts=ATTEMPTS)

    def _change_email(self, actor: Actor, proof: PasswordProof, email: str) -> None:
        user = self._credentials.recheck(proof)
        self._store.check_free(email)
        # The limit counts per user, not per address: a user must not send mail to one address after another.
        key = digest_of("change_email", user.id)
        generation = str(user.generation)
        self._codes.request_code(
            key,
            user,
            "change_email",
            actor,
            address=email,
            subject=generation,
            counter_keys=proof.counter_keys,
            quotas=self._quotas(_MAILS_PER_DAY, user.id, email),
        )

    def confirm_email(self, actor: Actor, user_id: str, code: str) -> User:
        """Return the user with the address that the code was sent to. Open codes to the old address become void.

        Raises Refusal `invalid_code` or `code_expired`, and `email_taken` if another user has it by now.
        """

        def write(user: User, used: UsedCode) -> User:
            now = self._now()
            revised = user.revised(now, email=used.challenge.address, email_verified=True)
            event = revised.event(
                "user.updated", now, actor, ("email",), previous_email=user.email if user.email_verified else ""
            )
            self._store.change_email(revised, user, event, used)
            return revised

        return self._codes.redeem(user_id, "change_email", code, write)

    def set_phone(self, actor: Actor, user_id: str, phone: str) -> None:
        """Send a code to a phone number. Nothing changes until it is confirmed.

        Raises Refusal `rate_limited`, also after 3 texts to the number or 10 of the user in a UTC day, and
        `phone_taken` if another user has verified the number.
        """
        self._count_new_address(user_id)
        retry_on_conflict(lambda: self._set_phone(actor, user_id, phone), attempts=ATTEMPTS)

    def _set_phone(self, actor: Actor, user_id: str, phone: str) -> None:
        user = signed_in_user(self._store.user(user_id))
        self._unverified_owner(user, phone)
        key, generation = digest_of("verify_phone", user.id), str(user.generation)
        quotas = self._quotas(_TEXTS_PER_DAY, user.id, phone)
        self._codes.request_code(key, user, "verify_phone", actor, address=phone, subject=generation, quotas=quotas)

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

    def _count_new_address(self, user_id: str) -> None:
        """Limit how many addresses a user may try in a day, because `email_taken` says who is a customer."""
        now = self._now()
        self._store.take(Quota.of(_NEW_ADDRESSES_PER_DAY, timedelta(days=1), now, "new addresses of", user_id), now)

    def _quotas(self, per_day: tuple[int, int], user_id: str, recipient: str) -> tuple[Quota, Quota]:
        """Return the quotas of messages from one user, and to one recipient whoever asks for them."""
        (by_user, to_recipient), day, now = per_day, timedelta(days=1), self._now()
        return (
            Quota.of(by_user, day, now, "messages by", user_id),
            Quota.of(to_recipient, day, now, "messages to", recipient),
        )

    def _unverified_owner(self, user: User, phone: str) -> User | None:
        """Return another user who has the number unverified. Raises Refusal `phone_taken` if it is verified."""
        owner = self._store.user_by_phone(phone)
        if owner is None or owner.id == user.id:
            return None
        if owner.phone_verified:
            raise Refusal("phone_taken")
        return owner
