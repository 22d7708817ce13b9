"""The auth room's ports in memory: a table with the same conditions, a local signing key, quick passwords."""

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any

from common import clock, ids
from common.errors import Problem
from common.events import Actor, Event
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey, generate_private_key
from jwt.algorithms import ECAlgorithm

from functions.auth.domain import Stale
from functions.auth.domain.api_keys import ApiKey
from functions.auth.domain.authenticators import Authenticator
from functions.auth.domain.codes import RESEND_AFTER, Asked, Attempts, Challenge, Passed, Purpose
from functions.auth.domain.sessions import ACCESS_LIFETIME, SCOPES, Claims, Device, Session
from functions.auth.domain.throttle import Counters, Failures, Tally, too_many
from functions.auth.domain.users import User

SECRET = b"a key for tests"
STRANGER = Actor(ip="203.0.113.7", user_agent="tests")


class FakeStore:
    """The table in memory. `before("rotate", action)` lets something else happen just before a write, once."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.emails: dict[str, str] = {}
        self.phones: dict[str, str] = {}
        self.challenges: dict[str, Challenge] = {}
        self.open_attempts: dict[tuple[str, str], Attempts] = {}
        self.sessions: dict[str, Session] = {}
        self.counted: dict[str, Failures] = {}
        self.asked: dict[str, str] = {}
        self.authenticators: dict[str, Authenticator] = {}
        self.devices: dict[tuple[str, str], Device] = {}
        self.signed_in: set[str] = set()
        self.keys: dict[str, ApiKey] = {}
        self.keyrings: dict[str, tuple[str, ...]] = {}
        self.buried: dict[str, int] = {}
        self.admin_count = 0
        self.events: list[Event] = []
        self._interruptions: dict[str, list[Callable[[], Any]]] = {}

    def before(self, write: str, *actions: Callable[[], Any]) -> None:
        self._interruptions[write] = list(actions)

    def _interrupt(self, write: str) -> None:
        if waiting := self._interruptions.get(write):
            waiting.pop(0)()

    def types(self) -> list[str]:
        return [event.type for event in self.events]

    def user(self, user_id: str) -> User | None:
        return self.users.get(user_id)

    def user_by_email(self, email: str) -> User | None:
        return self.users.get(self.emails.get(email, ""))

    def user_by_phone(self, phone: str) -> User | None:
        return self.users.get(self.phones.get(phone, ""))

    def check_free(self, email: str, phone: str | None) -> None:
        if email in self.emails:
            raise Problem("email_taken")
        if phone is not None and phone in self.phones:
            raise Problem("phone_taken")

    def add_user(self, user: User, challenge: Challenge, attempts: Attempts, events: tuple[Event, Event]) -> None:
        self._interrupt("add_user")
        self.check_free(user.email, user.phone)
        self.users[user.id] = user
        self.emails[user.email] = user.id
        if user.phone is not None:
            self.phones[user.phone] = user.id
        self.challenges[challenge.id] = challenge
        self.open_attempts[user.id, attempts.purpose] = attempts
        self.events += events

    def revise(self, user: User, event: Event, passed: Passed | None = None) -> None:
        self._interrupt("revise")
        self._check_passed(passed)
        self._revise(user, event)
        self._use(passed)

    def change_password(self, user: User, event: Event, session_id: str, counters: Counters) -> None:
        self._interrupt("change_password")
        session = self.sessions[session_id]
        _hold(session.ended_at is None and session.generation == user.generation - 1)
        self._no_wait(counters, event.time)
        self._revise(user, event)
        self.sessions[session_id] = replace(session, generation=user.generation)

    def authenticator(self, user_id: str) -> Authenticator | None:
        return self.authenticators.get(user_id)

    def enrol(self, user: User, authenticator: Authenticator) -> None:
        self._interrupt("enrol")
        now = self.users.get(user.id)
        _hold(now is not None and now.status == "active" and now.second_factor != "totp")
        self._next_authenticator(authenticator)

    def change_factor(
        self,
        user: User,
        event: Event,
        authenticator: Authenticator | None,
        counters: Counters | None = None,
        attempts: Attempts | None = None,
    ) -> None:
        self._interrupt("change_factor")
        self._no_wait(counters or (), event.time)
        if authenticator is not None:
            self._check_authenticator(authenticator)
        if attempts is not None:
            self._check_following(attempts)
        self._revise(user, event)
        if attempts is not None:
            self._follow(attempts)
        if authenticator is not None and user.second_factor == "totp":
            self.authenticators[user.id] = authenticator
        else:
            self.authenticators.pop(user.id, None)

    def change_email(self, user: User, before: User, event: Event, passed: Passed) -> None:
        self._interrupt("change_email")
        if self.emails.get(user.email, user.id) != user.id:
            raise Problem("email_taken")
        self._check_passed(passed)
        self._revise(user, event)
        self._use(passed)
        del self.emails[before.email]
        self.emails[user.email] = user.id

    def change_phone(
        self, user: User, before: User, event: Event, passed: Passed, loser: tuple[User, Event] | None
    ) -> None:
        self._interrupt("change_phone")
        owner = loser[0].id if loser else user.id
        _hold(self.phones.get(user.phone or "", owner) == owner)
        self._check_passed(passed)
        if loser is not None:
            _hold(self.users[owner].sequence == loser[0].sequence - 1)
        self._revise(user, event)
        self._use(passed)
        if before.phone:
            del self.phones[before.phone]
        self.phones[user.phone or ""] = user.id
        if loser is not None:
            self._revise(*loser)

    def _check_passed(self, passed: Passed | None) -> None:
        if passed is not None:
            now = self.challenges[passed.challenge.id]
            _hold(now.is_open and now.digest == passed.challenge.digest)
            self._check_following(passed.attempts)
            if passed.authenticator is not None:
                self._check_authenticator(passed.authenticator)

    def _use(self, passed: Passed | None) -> None:
        if passed is not None:
            now = self.challenges[passed.challenge.id]
            self.challenges[now.id] = replace(now, used_at=passed.challenge.used_at)
            self._follow(passed.attempts)
            if passed.authenticator is not None:
                self._next_authenticator(passed.authenticator)

    def _next_authenticator(self, authenticator: Authenticator) -> None:
        self._check_authenticator(authenticator)
        self.authenticators[authenticator.user_id] = authenticator

    def _check_authenticator(self, authenticator: Authenticator) -> None:
        now = self.authenticators.get(authenticator.user_id)
        _hold((now.version if now else 0) == authenticator.version - 1)

    def use_code(self, user: User, passed: Passed) -> None:
        self._interrupt("use_code")
        self._still(user)
        self._check_passed(passed)
        self._use(passed)

    def _still(self, user: User) -> None:
        now = self.users.get(user.id)
        _hold(now is not None and now.email == user.email)

    def challenge(self, challenge_id: str) -> Challenge | None:
        return self.challenges.get(challenge_id)

    def attempts(self, user_id: str, purpose: Purpose) -> Attempts | None:
        return self.open_attempts.get((user_id, purpose))

    def count_try(self, challenge: Challenge | None, attempts: Attempts, event: Event | None) -> None:
        self._interrupt("count_try")
        if challenge is not None:
            now = self.challenges[challenge.id]
            _hold(now.is_open)
        self._follow(attempts)
        if challenge is not None:
            self.challenges[challenge.id] = replace(now, tries=now.tries + 1)
        self.events += [event] if event else []

    def set_code(self, challenge_id: str, digest: str, expires_at: str) -> bool:
        self._interrupt("set_code")
        now = self.challenges.get(challenge_id)
        if now is None or not now.is_open:
            return False
        self.challenges[challenge_id] = replace(now, digest=digest, code_expires_at=expires_at)
        return True

    def ask(self, key: str, at: datetime, asked: Asked | None, counters: Counters | None = None) -> None:
        self._interrupt("ask")
        until = self.asked.get(key, "")
        if until > clock.timestamp(at):
            raise too_many(clock.parse(until) - at)
        self._no_wait(counters or (), clock.timestamp(at))
        if asked is not None:
            self._ask(asked)
        self.asked[key] = clock.timestamp(at + RESEND_AFTER)

    def ask_for_login(self, asked: Asked, counters: Counters, at: datetime) -> None:
        self._interrupt("ask_for_login")
        self._no_wait(counters, clock.timestamp(at))
        self._ask(asked)

    def _ask(self, asked: Asked) -> None:
        challenge = asked.challenge
        self._still(asked.user)
        now = self.challenges.get(challenge.id)
        _hold(now is None if challenge.asked == 1 else now is not None and now.is_open)
        _hold(now is None or now.asked == challenge.asked - 1)
        if asked.attempts is not None:
            self._follow(asked.attempts)
        kept = now or challenge
        self.challenges[challenge.id] = replace(kept, asked=challenge.asked, expires_at=challenge.expires_at)
        self.events += [asked.event] if asked.event else []

    def _follow(self, attempts: Attempts) -> None:
        self._check_following(attempts)
        self.open_attempts[attempts.user_id, attempts.purpose] = attempts

    def _check_following(self, attempts: Attempts) -> None:
        now = self.open_attempts.get((attempts.user_id, attempts.purpose))
        _hold((now.version if now else 0) == attempts.version - 1)

    def session(self, user_id: str, session_id: str) -> Session | None:
        found = self.sessions.get(session_id)
        return found if found is not None and found.user_id == user_id else None

    def live_sessions(self, user: User, at: datetime, older_than: str | None) -> Iterator[Session]:
        for session in sorted(self.sessions.values(), key=lambda session: session.id, reverse=True):
            if session.user_id == user.id and session.is_live(at, user) and session.id < (older_than or "~"):
                yield session

    def is_known(self, device: Device, at: datetime) -> bool:
        found = self.devices.get((device.user_id, device.digest))
        return found is not None and found.is_known(at)

    def has_signed_in(self, user_id: str) -> bool:
        return user_id in self.signed_in

    def open_session(
        self,
        session: Session,
        user: User,
        device: Device,
        event: Event,
        counters: Counters,
        at: datetime,
        passed: Passed | None = None,
        *,
        first: bool,
    ) -> None:
        self._interrupt("open_session")
        _hold(not (first and session.user_id in self.signed_in))
        now = self.user(user.id)
        known = (user.generation, user.status, user.second_factor)
        _hold(now is not None and (now.generation, now.status, now.second_factor) == known)
        self._no_wait(counters, clock.timestamp(at))
        self._check_passed(passed)
        self._use(passed)
        self.counted.pop(counters.pair, None)
        self.sessions[session.id] = session
        self.devices[device.user_id, device.digest] = device
        self.signed_in.add(session.user_id)
        self.events.append(event)

    def rotate(self, session: Session, before: Session) -> None:
        self._interrupt("rotate")
        now = self.sessions[session.id]
        _hold(now.current == before.current and now.ended_at is None)
        self.sessions[session.id] = session

    def end_session(self, user_id: str, session_id: str, at: datetime) -> None:
        found = self.session(user_id, session_id)
        if found is not None and found.ended_at is None:
            self.sessions[session_id] = replace(found, ended_at=clock.timestamp(at))

    def api_key(self, key_id: str) -> ApiKey | None:
        return self.keys.get(key_id)

    def keyring(self, user_id: str) -> tuple[str, ...]:
        return self.keyrings.get(user_id, ())

    def api_keys(self, ids: tuple[str, ...]) -> list[ApiKey]:
        return [self.keys[each] for each in ids if each in self.keys]

    def add_api_key(self, key: ApiKey, keyring: tuple[str, ...], user: User, event: Event) -> None:
        self._interrupt("add_api_key")
        self._revise(user, event)
        self.keys[key.id] = key
        self.keyrings[user.id] = keyring

    def remove_api_key(self, key_id: str, keyring: tuple[str, ...], user: User, event: Event) -> None:
        self._interrupt("remove_api_key")
        self._revise(user, event)
        self.keys.pop(key_id, None)
        self.keyrings[user.id] = keyring

    def note_use(self, key: ApiKey) -> None:
        self._interrupt("note_use")
        if key.id in self.keys:
            self.keys[key.id] = replace(self.keys[key.id], last_used_at=key.last_used_at)

    def newest_users(self, older_than: str | None, at_least: int) -> Iterator[tuple[str, User | None]]:
        for user_id in sorted([*self.users, *self.buried], reverse=True):
            if user_id < (older_than or "~"):
                yield user_id, self.users.get(user_id)

    def admins(self) -> int:
        return self.admin_count

    def change_user(self, user: User, event: Event, admins: int) -> None:
        self._interrupt("change_user")
        self._revise(user, event, admins)

    def bury(self, user: User, event: Event) -> None:
        self._interrupt("bury")
        now = self.users.get(user.id)
        _hold(now is not None and now.sequence == user.sequence)
        self._count_admins(-1 if user.role == "admin" else 0)
        del self.users[user.id], self.emails[user.email]
        self.phones.pop(user.phone or "", None)
        self.buried[user.id] = event.sequence
        self.events.append(event)

    def is_buried(self, user_id: str) -> bool:
        return user_id in self.buried

    def clear(self, user_id: str) -> None:
        self._interrupt("clear")
        for key_id in self.keyrings.pop(user_id, ()):
            del self.keys[key_id]
        self.sessions = {key: each for key, each in self.sessions.items() if each.user_id != user_id}
        self.devices = {key: each for key, each in self.devices.items() if each.user_id != user_id}
        self.signed_in.discard(user_id)

    def _revise(self, user: User, event: Event, admins: int = 0) -> None:
        now = self.users.get(user.id)
        _hold(now is not None and now.sequence == user.sequence - 1)
        self._count_admins(admins)
        self.users[user.id] = user
        self.events.append(event)

    def _count_admins(self, change: int) -> None:
        _hold(change >= 0 or self.admin_count > 1)
        self.admin_count += change

    def tally(self, counters: Counters) -> Tally:
        return Tally(*(self.counted.get(key, Failures(key)) for key in counters))

    def count_failure(self, tally: Tally, before: Tally, event: Event | None) -> None:
        self._interrupt("count_failure")
        _hold(self.tally(Counters(*(failures.key for failures in before))) == before)
        self.counted |= {failures.key: failures for failures in tally}
        self.events += [event] if event else []

    def _no_wait(self, keys: Iterable[str], at: str) -> None:
        for key in keys:
            until = self.counted.get(key, Failures(key)).until
            _hold(until is None or until <= at)


def _hold(condition: bool) -> None:
    if not condition:
        raise Stale


class LocalSigner:
    """A signing key of this process."""

    def __init__(self) -> None:
        self.private_key = generate_private_key(SECP256R1())

    def sign(self, message: bytes) -> bytes:
        return ECAlgorithm(ECAlgorithm.SHA256).sign(message, self.private_key)

    @property
    def public_key(self) -> EllipticCurvePublicKey:
        return self.private_key.public_key()


class PlainTokens:
    """Access tokens that say openly what they stand for; only those issued here are good."""

    def __init__(self) -> None:
        self._issued: dict[str, Claims] = {}

    def issue(self, user: User, session_id: str, at: datetime) -> str:
        token = f"access token {len(self._issued) + 1}"
        expires_at = clock.timestamp(at + ACCESS_LIFETIME)
        self._issued[token] = Claims(user.id, session_id, user.role, SCOPES, user.email_verified, expires_at)
        return token

    def verify(self, token: str) -> Claims:
        if token not in self._issued:
            raise Problem("unauthenticated")
        return self._issued[token]


class PlainPasswords:
    """Keeps passwords as they are and counts the comparisons, which cost so much for real: `meanwhile` happens."""

    common = frozenset({"password1"})

    def __init__(self) -> None:
        self.compared = 0
        self.meanwhile: Callable[[], Any] = lambda: None

    def digest(self, password: str) -> str:
        return f"digest of {password}"

    def matches(self, password: str, digest: str | None) -> bool:
        self.compared += 1
        self.meanwhile()
        return digest == self.digest(password)


class Counter:
    """Ids, codes and secrets that follow one another."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new_id(self, prefix: str, at: datetime) -> str:
        return ids.derived_id(prefix, at, str(next(self._numbers)))

    def new_code(self) -> str:
        return f"{next(self._numbers):06}"

    def new_secret(self) -> str:
        return f"{next(self._numbers):043}"

    def new_totp_secret(self) -> str:
        return base64.b32encode(f"{next(self._numbers):020}".encode()).decode()

    def new_recovery_code(self) -> str:
        return f"abcde-{next(self._numbers):05}"


class PlainCipher:
    """Seals nothing, and opens only for the user it was sealed for."""

    def encrypt(self, user_id: str, text: str) -> bytes:
        return f"{user_id} {text}".encode()

    def decrypt(self, user_id: str, sealed: bytes) -> str:
        owner, text = sealed.decode().split()
        assert owner == user_id
        return text
