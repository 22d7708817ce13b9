"""One-time codes: requested, made when their message is written, and checked."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn, TypeVar

from common.clock import Clock
from common.contracts.auth import CheckCode, MintCode, MintedCode, RequestCode
from common.contracts.events import Actor, Event
from common.contracts.task import Done
from common.errors import Refusal
from common.keys import Keyring
from common.retry import retry_on_conflict

from functions.auth.domain.codes import (
    AUTHENTICATOR,
    CODE_LIFETIME_MINUTES,
    Attempts,
    Challenge,
    CodeRequest,
    Purpose,
    UsedCode,
    code_expiry,
)
from functions.auth.domain.throttle import CounterKeys, Quota, digest_of
from functions.auth.domain.users import User
from functions.auth.service import ATTEMPTS, NOBODY

if TYPE_CHECKING:
    from functions.auth.store import AuthStore

T = TypeVar("T")


class Codes:
    """Codes of every purpose. `keys` returns the keys of their digests."""

    def __init__(
        self,
        store: "AuthStore",
        now: Clock,
        new_id: Callable[[str, datetime], str],
        new_code: Callable[[], str],
        keys: Callable[[], Keyring],
    ) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id
        self._new_code = new_code
        self._keys = keys

    def new_challenge(
        self, user_id: str, purpose: Purpose, address: str, at: datetime, subject: str | None = None
    ) -> Challenge:
        """Return a new challenge, to be written with what caused it."""
        return Challenge.new(self._new_id("chl", at), user_id, purpose, address, at, subject)

    def request_code(
        self,
        key: str,
        user: User | None,
        purpose: Purpose,
        actor: Actor,
        *,
        address: str | None = None,
        subject: str | None = None,
        counter_keys: CounterKeys | None = None,
        device: str = "",
        quotas: Sequence[Quota] = (),
    ) -> None:
        """Request a code for `user`, sent to `address` or else to their email. It is one of `quotas`.

        Continues the open challenge of everybody, or of a known `device`, if it has the same address and subject. For
        a `user` of None, it only records the request under `key` and does the same work, so that both look alike.
        Raises Refusal `rate_limited` if `key` was used within the last minute or a quota is used up, and Stale.
        """
        now = self._now()
        attempts = self._store.attempts(user.id if user else NOBODY, purpose, device)
        known = self._store.challenge(attempts.challenge_id if attempts else NOBODY)
        if user is None or (attempts is not None and attempts.are_exhausted(now)):
            self._store.request_code(key, now, None, counter_keys, quotas)
            return
        to = address or user.email
        opened = None
        if known is not None and known.is_open and (known.address, known.subject) == (to, subject):
            challenge = known.requested_again(now)
        else:
            challenge = self.new_challenge(user.id, purpose, to, now, subject)
            opened = Attempts.opening(challenge, attempts, device)
        request = CodeRequest(user, challenge, opened, challenge.event(now, actor))
        self._store.request_code(key, now, request, counter_keys, quotas)

    def resend_login_code(self, challenge_id: str, actor: Actor) -> None:
        """Send another code for the challenge of a login. An unknown challenge looks the same.

        Raises Refusal `rate_limited` within a minute of the last request.
        """
        retry_on_conflict(lambda: self._resend_login_code(challenge_id, actor), attempts=ATTEMPTS)

    def _resend_login_code(self, challenge_id: str, actor: Actor) -> None:
        now = self._now()
        challenge = self._store.challenge(challenge_id)
        user = self._store.user(challenge.user_id if challenge else NOBODY)
        attempts = self._store.attempts(user.id if user else NOBODY, "login")
        request = None
        if (
            challenge is not None
            and user is not None
            and attempts is not None
            and (challenge.purpose, challenge.address) == ("login", user.email)
            and challenge.is_open
            and not challenge.has_expired(now)
            and not attempts.are_exhausted(now)
        ):
            again = challenge.requested_again(now)
            request = CodeRequest(user, again, None, again.event(now, actor))
        self._store.request_code(digest_of("challenge", challenge_id), now, request)

    def mint(self, request: MintCode) -> MintedCode:
        """Return a new code for a challenge whose message is being written. The code before it becomes void."""
        now = self._now()
        challenge = self._store.challenge(request.challenge_id)
        user = self._store.user(challenge.user_id) if challenge else None
        if challenge is None or user is None or challenge.address == AUTHENTICATOR or not challenge.is_for(user):
            return MintedCode("gone")
        code = self._new_code()
        digest = self._keys().digest(_digested(challenge.id, code))
        if not self._store.set_code(challenge.id, digest, code_expiry(now)):
            return MintedCode("gone")
        # The owner of an address that is not verified must not read a stranger's text in a mail from us.
        name = user.first_name if user.email_verified and challenge.address == user.email else ""
        return MintedCode("minted", challenge.purpose, challenge.address, name, code, CODE_LIFETIME_MINUTES)

    def redeem(
        self,
        user_id: str,
        purpose: Purpose,
        code: str,
        write: Callable[[User, UsedCode], T],
        subject: str | None = None,
        device: str = "",
    ) -> T:
        """Check `code` against the user's open challenge, or a known device's, and return what `write` returns.

        `write` gets the user and the effect of the code, and writes it in the transaction of what the code allows. It
        raises Stale if any of it has changed. An unknown user takes the same work as a wrong code.
        Raises Refusal `invalid_code`, or `code_expired` for a correct code that is too late. Both count as wrong.
        """

        def attempt() -> T:
            user = self._store.user(user_id)
            attempts = self._store.attempts(user_id, purpose, device)
            challenge = self._store.challenge(attempts.challenge_id if attempts else NOBODY)
            correct = self.matches(challenge, code)
            if user is None or challenge is None or subject not in (None, challenge.subject):
                self._refuse(purpose)
            return write(user, self.evaluate(user, challenge, attempts, correct=correct))

        return retry_on_conflict(attempt, attempts=ATTEMPTS)

    def matches(self, challenge: Challenge | None, code: str) -> bool:
        """Return whether this is the latest code of the challenge. For None it does the same work and returns False."""
        expected = challenge.digest if challenge else None
        return self._keys().matches(_digested(challenge.id if challenge else NOBODY, code), expected or "")

    def evaluate(
        self,
        user: User,
        challenge: Challenge,
        attempts: Attempts | None,
        *,
        correct: bool,
        failed: Callable[[datetime], Event] | None = None,
    ) -> UsedCode:
        """Return the effect of a correct code. Count any other code, with the event `failed` if it is wrong.

        The count is conditional on what was read, so that parallel guesses can't exceed the limit.
        Raises Refusal `invalid_code` or `code_expired`, and Stale.
        """
        now = self._now()
        if attempts is None or not challenge.is_open or not challenge.is_for(user) or attempts.are_exhausted(now):
            self._refuse(challenge.purpose)
        if correct and not challenge.has_expired(now):
            return UsedCode(challenge.used(now), attempts.with_correct_code())
        event = failed(now) if failed and not correct else None
        self._store.count_wrong_code(challenge, attempts.with_wrong_code(now), event)
        raise Refusal("code_expired" if correct else "invalid_code")

    def request(self, request: RequestCode) -> Done:
        """Mail a code for something that another context guards. An unknown user looks the same.

        Raises Refusal `rate_limited` within a minute of the last request.
        """
        key = digest_of(request.purpose, request.user_id, request.subject)

        def attempt() -> None:
            user = self._store.user(request.user_id)
            self.request_code(key, user, request.purpose, request.actor, subject=request.subject)

        retry_on_conflict(attempt, attempts=ATTEMPTS)
        return Done()

    def check(self, request: CheckCode) -> Done:
        """Check a code that another context requested, and use it up. Raises Refusal as `redeem`."""
        self.redeem(request.user_id, request.purpose, request.code, self._store.use_code, request.subject)
        return Done()

    def _refuse(self, purpose: Purpose) -> NoReturn:
        """Refuse a code that no open challenge expects, with the work that counting a wrong one takes."""
        self._store.count_no_code(self._new_id("chl", self._now()), purpose)
        raise Refusal("invalid_code")


def _digested(challenge_id: str, code: str) -> str:
    return f"code\n{challenge_id}\n{code}"
