"""The auth room's ports in memory: a table with the same conditions, a local signing key, quick passwords."""

from collections.abc import Callable
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
from functions.auth.domain.codes import RESEND_AFTER, Attempts, Challenge, Purpose
from functions.auth.domain.sessions import SCOPES, Claims, Session
from functions.auth.domain.throttle import Failures, too_many
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

    def verify_email(self, user: User, challenge: Challenge, attempts: Attempts, event: Event) -> None:
        self._interrupt("verify_email")
        now = self.challenges[challenge.id]
        _hold(self.users[user.id].sequence == user.sequence - 1)
        _hold(now.used_at is None and now.digest == challenge.digest)
        self._follow(attempts)
        self.users[user.id] = user
        self.challenges[challenge.id] = replace(now, used_at=challenge.used_at)
        self.events.append(event)

    def challenge(self, challenge_id: str) -> Challenge | None:
        return self.challenges.get(challenge_id)

    def attempts(self, user_id: str, purpose: Purpose) -> Attempts | None:
        return self.open_attempts.get((user_id, purpose))

    def count_try(self, challenge: Challenge, attempts: Attempts) -> None:
        self._interrupt("count_try")
        now = self.challenges[challenge.id]
        _hold(now.is_open)
        self._follow(attempts)
        self.challenges[challenge.id] = replace(now, tries=now.tries + 1)

    def set_code(self, challenge_id: str, digest: str, expires_at: str) -> bool:
        self._interrupt("set_code")
        now = self.challenges.get(challenge_id)
        if now is None or not now.is_open:
            return False
        self.challenges[challenge_id] = replace(now, digest=digest, code_expires_at=expires_at)
        return True

    def ask(
        self, key: str, at: datetime, challenge: Challenge | None, attempts: Attempts | None, event: Event | None
    ) -> None:
        self._interrupt("ask")
        until = self.asked.get(key, "")
        if until > clock.timestamp(at):
            raise too_many(clock.parse(until) - at)
        if challenge is not None and event is not None:
            now = self.challenges.get(challenge.id)
            _hold(now is None if challenge.asked == 1 else now is not None and now.is_open)
            _hold(now is None or now.asked == challenge.asked - 1)
            if attempts is not None:
                self._follow(attempts)
            kept = now or challenge
            self.challenges[challenge.id] = replace(kept, asked=challenge.asked, expires_at=challenge.expires_at)
            self.events.append(event)
        self.asked[key] = clock.timestamp(at + RESEND_AFTER)

    def _follow(self, attempts: Attempts) -> None:
        now = self.open_attempts.get((attempts.user_id, attempts.purpose))
        _hold(now is None or now.version == attempts.version - 1)
        self.open_attempts[attempts.user_id, attempts.purpose] = attempts

    def session(self, user_id: str, session_id: str) -> Session | None:
        found = self.sessions.get(session_id)
        return found if found is not None and found.user_id == user_id else None

    def open_session(self, session: Session, event: Event, failures_key: str, at: datetime) -> None:
        self._interrupt("open_session")
        until = self.failures(failures_key).until
        _hold(until is None or until <= clock.timestamp(at))
        self.counted.pop(failures_key, None)
        self.sessions[session.id] = session
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

    def failures(self, key: str) -> Failures:
        return self.counted.get(key, Failures(key))

    def count_failure(self, failures: Failures, before: Failures, event: Event | None) -> None:
        self._interrupt("count_failure")
        _hold(self.failures(failures.key) == before)
        self.counted[failures.key] = failures
        self.events += [event] if event else []


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
        self._issued[token] = Claims(user.id, session_id, user.role, SCOPES, user.email_verified)
        return token

    def verify(self, token: str) -> Claims:
        if token not in self._issued:
            raise Problem("unauthenticated")
        return self._issued[token]


class PlainPasswords:
    """Keeps passwords as they are and counts the comparisons, which cost so much for real."""

    common = frozenset({"password1"})

    def __init__(self) -> None:
        self.compared = 0

    def digest(self, password: str) -> str:
        return f"digest of {password}"

    def matches(self, password: str, digest: str | None) -> bool:
        self.compared += 1
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
