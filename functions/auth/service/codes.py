"""One-time codes: asked for, minted when their mail is written, tried."""

import hmac
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, Protocol

from common.clock import Clock
from common.errors import Problem
from common.events import Actor, Event
from common.idempotency import digest
from common.tasks import MintCode, MintedCode

from functions.auth.domain.codes import MINUTES, Attempts, Challenge, Purpose, code_expiry
from functions.auth.domain.users import User
from functions.auth.service import settled


class Store(Protocol):
    """What codes need of the table."""

    def user(self, user_id: str) -> User | None:
        """A user by id."""

    def challenge(self, challenge_id: str) -> Challenge | None:
        """A challenge by id."""

    def attempts(self, user_id: str, purpose: Purpose) -> Attempts | None:
        """The user's open challenge of a purpose, and the wrong codes given for it."""

    def count_try(self, challenge: Challenge, attempts: Attempts) -> None:
        """Counts a try at both, while the challenge is open and `attempts` follows what is there. Raises Stale."""

    def set_code(self, challenge_id: str, digest: str, expires_at: str) -> bool:
        """Replaces the code of a challenge that is open; answers whether it is."""

    def ask(
        self, key: str, at: datetime, challenge: Challenge | None, attempts: Attempts | None, event: Event | None
    ) -> None:
        """Notes that a code was asked for under `key`, with the challenge that this made or changed.

        Raises Problem `rate_limited` where one was asked for within the last minute, and Stale.
        """


class Tried(NamedTuple):
    """A counted try: the challenge as it was before, and when."""

    challenge: Challenge
    at: datetime


class Codes:
    """Codes of every purpose. `secret` answers the key of their digests."""

    def __init__(
        self,
        store: Store,
        now: Clock,
        new_id: Callable[[str, datetime], str],
        new_code: Callable[[], str],
        secret: Callable[[], bytes],
    ) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id
        self._new_code = new_code
        self._secret = secret

    def first(self, user_id: str, purpose: Purpose, address: str, at: datetime) -> tuple[Challenge, Attempts]:
        """A challenge for somebody who had none of this purpose, to be written with what caused it."""
        challenge = Challenge.new(self._new_id("chl", at), user_id, purpose, address, at)
        return challenge, Attempts(user_id, purpose, challenge.id)

    def ask_again(self, key: str, user: User | None, purpose: Purpose, actor: Actor) -> None:
        """Asks for another code for `user`; for None it only notes that `key` asked, so both look alike from outside.

        Raises Problem `rate_limited` within a minute of the last time.
        """
        settled(lambda: self._ask_again(key, user, purpose, actor))

    def _ask_again(self, key: str, user: User | None, purpose: Purpose, actor: Actor) -> None:
        now = self._now()
        attempts = self._store.attempts(user.id, purpose) if user else None
        if user is None or (attempts is not None and attempts.are_spent(now)):
            self._store.ask(key, now, None, None, None)
            return
        known = self._store.challenge(attempts.challenge_id) if attempts else None
        if known is not None and known.is_open:
            again = known.asked_again(now)
            self._store.ask(key, now, again, None, again.event(now, actor))
            return
        challenge, opened = self.first(user.id, purpose, user.email, now)
        moved = attempts.moved_to(challenge.id) if attempts else opened
        self._store.ask(key, now, challenge, moved, challenge.event(now, actor))

    def mint(self, request: MintCode) -> MintedCode:
        """A fresh code for a challenge whose mail is being written; the code before it is void."""
        now = self._now()
        challenge = self._store.challenge(request.challenge_id)
        user = self._store.user(challenge.user_id) if challenge else None
        if challenge is None or user is None:
            return MintedCode("gone")
        code = self._new_code()
        if not self._store.set_code(challenge.id, self._digest(challenge.id, code), code_expiry(now)):
            return MintedCode("gone")
        return MintedCode("minted", challenge.purpose, challenge.address, user.first_name, code, MINUTES)

    def check(self, user_id: str, purpose: Purpose, code: str) -> Tried:
        """Tries `code` for the user's open challenge. The try is counted before the code is looked at.

        Raises Problem `invalid_code`, and `code_expired` for the right code too late.
        """
        tried = settled(lambda: self._count(user_id, purpose))
        challenge = tried.challenge
        if challenge.digest is None or not hmac.compare_digest(challenge.digest, self._digest(challenge.id, code)):
            raise Problem("invalid_code")
        if challenge.has_expired(tried.at):
            raise Problem("code_expired")
        return tried

    def use(self, tried: Tried) -> tuple[Challenge, Attempts]:
        """The challenge as used up by a right try, and the day's wrong ones without it, read anew.

        Whoever writes what the code allows writes both in the same transaction. Raises Problem `invalid_code` where
        the code was used or replaced in the meantime.
        """
        challenge = self._store.challenge(tried.challenge.id)
        attempts = self._store.attempts(tried.challenge.user_id, tried.challenge.purpose)
        if (
            challenge is None
            or attempts is None
            or challenge.used_at is not None
            or challenge.digest != tried.challenge.digest
        ):
            raise Problem("invalid_code")
        return challenge.used(tried.at), attempts.forgiven(tried.at)

    def _count(self, user_id: str, purpose: Purpose) -> Tried:
        now = self._now()
        attempts = self._store.attempts(user_id, purpose)
        challenge = self._store.challenge(attempts.challenge_id) if attempts else None
        if attempts is None or challenge is None or not challenge.is_open or attempts.are_spent(now):
            raise Problem("invalid_code")
        self._store.count_try(challenge, attempts.counted(now))
        return Tried(challenge, now)

    def _digest(self, challenge_id: str, code: str) -> str:
        return digest(self._secret(), "code", f"{challenge_id}\n{code}")
