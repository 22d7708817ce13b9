"""One-time codes: asked for, minted when their message is written, tried."""

import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar

from common.clock import Clock
from common.errors import Problem
from common.events import Actor, Event
from common.idempotency import digest
from common.tasks import CheckCode, CheckedCode, MintCode, MintedCode, RequestCode, RequestedCode

from functions.auth.domain.codes import (
    AUTHENTICATOR,
    MINUTES,
    Asked,
    Attempts,
    Challenge,
    Passed,
    Purpose,
    code_expiry,
)
from functions.auth.domain.throttle import Counters, digest_of
from functions.auth.domain.users import User
from functions.auth.service import settled

T = TypeVar("T")


class Store(Protocol):
    """What codes need of the table."""

    def user(self, user_id: str) -> User | None:
        """A user by id."""

    def challenge(self, challenge_id: str) -> Challenge | None:
        """A challenge by id."""

    def attempts(self, user_id: str, purpose: Purpose) -> Attempts | None:
        """The user's open challenge of a purpose, and the wrong codes given for it."""

    def count_try(self, challenge: Challenge | None, attempts: Attempts, event: Event | None) -> None:
        """Counts a wrong try at both, while the challenge is open and `attempts` follows it. Raises Stale."""

    def set_code(self, challenge_id: str, digest: str, expires_at: str) -> bool:
        """Replaces the code of a challenge that is open; answers whether it is."""

    def ask(self, key: str, at: datetime, asked: Asked | None, counters: Counters | None = None) -> None:
        """Notes that a code was asked for under `key`, with the challenge that this made or changed.

        Raises Problem `rate_limited` where one was asked for within the last minute, and Stale; this too where the
        user's email is another, and where `counters` ask for a wait.
        """

    def use_code(self, user: User, passed: Passed) -> None:
        """Uses up a challenge that allows something in another room. Raises Stale."""


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
        challenge = self.new(user_id, purpose, address, at)
        return challenge, Attempts.following(None, challenge)

    def new(self, user_id: str, purpose: Purpose, address: str, at: datetime, subject: str | None = None) -> Challenge:
        """A challenge whose code goes to `address`."""
        return Challenge.new(self._new_id("chl", at), user_id, purpose, address, at, subject)

    def ask(
        self,
        key: str,
        user: User | None,
        purpose: Purpose,
        actor: Actor,
        *,
        address: str | None = None,
        subject: str | None = None,
        counters: Counters | None = None,
    ) -> None:
        """Asks for a code for `user`, to their email unless there is an `address`; of the open challenge where it is
        for the same. For None it only notes that `key` asked, so both look alike from outside.

        Raises Problem `rate_limited` within a minute of the last time, and Stale.
        """
        now = self._now()
        attempts = self._store.attempts(user.id, purpose) if user else None
        if user is None or (attempts is not None and attempts.are_spent(now)):
            self._store.ask(key, now, None, counters)
            return
        to = address or user.email
        known = self._store.challenge(attempts.challenge_id) if attempts else None
        if known is not None and known.is_open and (known.address, known.subject) == (to, subject):
            again = known.asked_again(now)
            self._store.ask(key, now, Asked(user, again, None, again.event(now, actor)), counters)
            return
        challenge = self.new(user.id, purpose, to, now, subject)
        opened = Attempts.following(attempts, challenge)
        self._store.ask(key, now, Asked(user, challenge, opened, challenge.event(now, actor)), counters)

    def ask_again(self, challenge_id: str, actor: Actor) -> None:
        """Asks for another code of a login's challenge; nothing tells whether there is one.

        Raises Problem `rate_limited` within a minute of the last time.
        """
        settled(lambda: self._ask_again(challenge_id, actor))

    def _ask_again(self, challenge_id: str, actor: Actor) -> None:
        now = self._now()
        challenge = self._store.challenge(challenge_id)
        user = self._store.user(challenge.user_id if challenge else "nobody")
        asked = None
        if (
            challenge is not None
            and user is not None
            and (challenge.purpose, challenge.address) == ("login", user.email)
            and challenge.is_open
            and not challenge.has_expired(now)
            and not self._are_spent(user, now)
        ):
            again = challenge.asked_again(now)
            asked = Asked(user, again, None, again.event(now, actor))
        self._store.ask(digest_of("challenge", challenge_id), now, asked)

    def _are_spent(self, user: User, at: datetime) -> bool:
        attempts = self._store.attempts(user.id, "login")
        return attempts is None or attempts.are_spent(at)

    def mint(self, request: MintCode) -> MintedCode:
        """A fresh code for a challenge whose message is being written; the code before it is void."""
        now = self._now()
        challenge = self._store.challenge(request.challenge_id)
        user = self._store.user(challenge.user_id) if challenge else None
        if challenge is None or user is None or challenge.address == AUTHENTICATOR or not challenge.is_for(user):
            return MintedCode("gone")
        code = self._new_code()
        if not self._store.set_code(challenge.id, self._digest(challenge.id, code), code_expiry(now)):
            return MintedCode("gone")
        return MintedCode("minted", challenge.purpose, challenge.address, user.first_name, code, MINUTES)

    def redeem(
        self,
        user_id: str,
        purpose: Purpose,
        code: str,
        write: Callable[[User, Passed], T],
        subject: str | None = None,
    ) -> T:
        """Tries `code` for the user's open challenge; what `write` answers, given the user and what is to be written in
        the same transaction as what the code allows. It raises Stale where any of it has changed.

        Raises Problem `invalid_code`, and `code_expired` for the right code too late; both are counted first.
        """

        def attempt() -> T:
            user = self._store.user(user_id)
            attempts = self._store.attempts(user_id, purpose)
            challenge = self._store.challenge(attempts.challenge_id) if attempts else None
            if user is None or challenge is None or subject not in (None, challenge.subject):
                raise Problem("invalid_code")
            passed = self.judge(user, challenge, attempts, right=self.matches(challenge, code))
            return write(user, passed)

        return settled(attempt)

    def matches(self, challenge: Challenge, code: str) -> bool:
        """Whether this is the code that was minted last."""
        expected = self._digest(challenge.id, code)
        return challenge.digest is not None and hmac.compare_digest(challenge.digest, expected)

    def judge(
        self,
        user: User,
        challenge: Challenge,
        attempts: Attempts | None,
        *,
        right: bool,
        failed: Callable[[datetime], Event] | None = None,
    ) -> Passed:
        """What a right try leaves behind; any other is counted, with the event `failed` for a wrong one.

        A try stands on what it read: of any number at once, those that count are no more than were left.
        Raises Problem `invalid_code`, `code_expired`, and Stale.
        """
        now = self._now()
        if attempts is None or not challenge.is_open or not challenge.is_for(user) or attempts.are_spent(now):
            raise Problem("invalid_code")
        if right and not challenge.has_expired(now):
            return Passed(challenge.used(now), attempts.passed())
        self._store.count_try(challenge, attempts.counted(now), failed(now) if failed and not right else None)
        raise Problem("code_expired" if right else "invalid_code")

    def request(self, request: RequestCode) -> RequestedCode:
        """Asks for a code for what another room guards; for nobody it looks the same."""
        key = digest_of(request.purpose, request.user_id, request.subject)
        try:
            settled(
                lambda: self.ask(
                    key, self._store.user(request.user_id), request.purpose, request.actor, subject=request.subject
                )
            )
        except Problem as refusal:
            if refusal.code != "rate_limited":
                raise
            return RequestedCode("rate_limited", refusal.retry_after or 1)
        return RequestedCode("requested")

    def check(self, request: CheckCode) -> CheckedCode:
        """Tries a code that another room asked for, and uses up a right one."""
        try:
            self.redeem(request.user_id, request.purpose, request.code, self._store.use_code, request.subject)
        except Problem as refusal:
            match refusal.code:
                case "invalid_code" | "code_expired" as outcome:
                    return CheckedCode(outcome)
                case _:
                    raise
        return CheckedCode("right")

    def _digest(self, challenge_id: str, code: str) -> str:
        return digest(self._secret(), "code", f"{challenge_id}\n{code}")
