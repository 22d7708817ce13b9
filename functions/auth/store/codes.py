"""Challenges, and what is counted against guessing their codes."""

from collections.abc import Mapping
from datetime import datetime

from common import clock
from common.dynamo import ABSENT, Cancelled, Check, ConditionFailed, Put, Table, Update, Write
from common.events import Event, outbox

from functions.auth.domain import Stale
from functions.auth.domain.authenticators import Authenticator
from functions.auth.domain.codes import RESEND_AFTER, TRIES, Asked, Attempts, Challenge, Passed, Purpose
from functions.auth.domain.throttle import Counters, too_many
from functions.auth.domain.users import User
from functions.auth.store.items import (
    asked_key,
    attempts_key,
    authenticator_key,
    challenge_key,
    item_of,
    keyed,
    record_of,
    transact,
    user_key,
)
from functions.auth.store.throttle import no_wait

_OPEN = (("tries", "<", TRIES), ("used_at", "absent", None))


class CodeStore:
    """What codes are asked for, and how often they were tried."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def challenge(self, challenge_id: str) -> Challenge | None:
        """A challenge by id."""
        return record_of(Challenge, self._table.get(challenge_key(challenge_id)))

    def attempts(self, user_id: str, purpose: Purpose) -> Attempts | None:
        """The user's open challenge of a purpose, and the wrong codes given for it."""
        item = self._table.get(attempts_key(user_id, purpose))
        return record_of(Attempts, item and {**item, "wrong": tuple(item["wrong"])})

    def count_try(self, challenge: Challenge | None, attempts: Attempts, event: Event | None) -> None:
        """Counts a wrong try at both (an app's code may be tried without a challenge), while the challenge is open and
        `attempts` follows what is there. Raises Stale."""
        holds_to: Write = Check(user_key(attempts.user_id), (("status", "=", "active"),))
        if challenge is not None:
            holds_to = Update(challenge_key(challenge.id), add={"tries": 1}, where=_OPEN)
        transact(self._table, following(attempts, outbox(event) if event else {}), holds_to)

    def set_code(self, challenge_id: str, digest: str, expires_at: str) -> bool:
        """Replaces the code of a challenge that is open; answers whether it is."""
        change = Update(challenge_key(challenge_id), set={"digest": digest, "code_expires_at": expires_at}, where=_OPEN)
        try:
            self._table.update(change)
        except ConditionFailed:
            return False
        return True

    def ask(self, key: str, at: datetime, asked: Asked | None, counters: Counters | None = None) -> None:
        """Notes that a code was asked for under `key`, with the challenge that this made or changed.

        Raises Problem `rate_limited` where one was asked for within the last minute, and Stale; this too where the
        user's email is another, and where `counters` ask for a wait.
        """
        until = at + RESEND_AFTER
        note = keyed(asked_key(key), {"until": clock.timestamp(until), "expires_at": int(until.timestamp()) + 1})
        writes: list[Write] = [Put(note, (("until", "absent or <=", clock.timestamp(at)),))]
        if asked is not None:
            writes += _asked(asked)
        writes += no_wait(counters or (), clock.timestamp(at))
        try:
            self._table.transact(writes)
        except Cancelled as refused:
            old = refused.reasons[0].old
            if refused.reasons[0].failed and old is not None:
                raise too_many(clock.parse(old["until"]) - at) from refused
            raise Stale from refused

    def ask_for_login(self, asked: Asked, counters: Counters, at: datetime) -> None:
        """Writes the challenge of a login whose password was right. Raises Stale, as `ask`."""
        transact(self._table, *_asked(asked), *no_wait(counters, clock.timestamp(at)))

    def use_code(self, user: User, passed: Passed) -> None:
        """Uses up a challenge that allows something in another room. Raises Stale."""
        transact(self._table, _still(user), *used_up(passed))


def _asked(asked: Asked) -> list[Write]:
    challenge, told = asked.challenge, outbox(asked.event) if asked.event else {}
    writes = [_still(asked.user), _challenge(challenge, told)]
    if asked.attempts is not None:
        writes.append(following(asked.attempts))
    return writes


def _still(user: User) -> Write:
    # A code goes to an address of somebody who is there: what is written for the deleted nobody removes.
    return Check(user_key(user.id), (("email", "=", user.email),))


def _challenge(challenge: Challenge, told: Mapping[str, str]) -> Write:
    if challenge.asked == 1:
        return Put(item_of(challenge_key(challenge.id), challenge, told), ABSENT)
    return Update(
        challenge_key(challenge.id),
        set={"asked": challenge.asked, "expires_at": challenge.expires_at, **told},
        where=(("asked", "=", challenge.asked - 1), *_OPEN),
    )


def following(attempts: Attempts, told: Mapping[str, str] | None = None) -> Write:
    """Writes what follows the version before it."""
    key = attempts_key(attempts.user_id, attempts.purpose)
    before = ABSENT if attempts.version == 1 else (("version", "=", attempts.version - 1),)
    return Put(item_of(key, attempts, told), before)


def used_up(passed: Passed) -> list[Write]:
    """Writes the challenge as used while it is open and its code is the one that was given, and what else it took."""
    challenge = passed.challenge
    code = ("digest", "absent", None) if challenge.digest is None else ("digest", "=", challenge.digest)
    writes = [
        Update(challenge_key(challenge.id), set={"used_at": challenge.used_at}, where=(*_OPEN, code)),
        following(passed.attempts),
    ]
    if passed.authenticator is not None:
        writes.append(next_authenticator(passed.authenticator))
    return writes


def next_authenticator(authenticator: Authenticator) -> Write:
    """Writes what follows the version before it."""
    before = ABSENT if authenticator.version == 1 else (("version", "=", authenticator.version - 1),)
    return Put(item_of(authenticator_key(authenticator.user_id), authenticator), before)
