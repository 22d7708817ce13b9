"""Challenges, and what is counted against guessing their codes."""

from collections.abc import Mapping
from datetime import datetime

from common import clock
from common.dynamo import ABSENT, Cancelled, ConditionFailed, Put, Table, Update, Write
from common.events import Event, outbox

from functions.auth.domain import Stale
from functions.auth.domain.codes import RESEND_AFTER, TRIES, Attempts, Challenge, Purpose
from functions.auth.domain.throttle import too_many
from functions.auth.store.items import asked_key, attempts_key, challenge_key, item_of, keyed, record_of, transact


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

    def count_try(self, challenge: Challenge, attempts: Attempts) -> None:
        """Counts a try at both, while the challenge is open and `attempts` follows what is there. Raises Stale."""
        transact(
            self._table,
            Update(
                challenge_key(challenge.id),
                add={"tries": 1},
                where=(("tries", "<", TRIES), ("used_at", "absent", None)),
            ),
            following(attempts),
        )

    def set_code(self, challenge_id: str, digest: str, expires_at: str) -> bool:
        """Replaces the code of a challenge that is open; answers whether it is."""
        change = Update(
            challenge_key(challenge_id),
            set={"digest": digest, "code_expires_at": expires_at},
            where=(("tries", "<", TRIES), ("used_at", "absent", None)),
        )
        try:
            self._table.update(change)
        except ConditionFailed:
            return False
        return True

    def ask(
        self, key: str, at: datetime, challenge: Challenge | None, attempts: Attempts | None, event: Event | None
    ) -> None:
        """Notes that a code was asked for under `key`, with the challenge that this made or changed.

        Raises Problem `rate_limited` where one was asked for within the last minute, and Stale.
        """
        until = at + RESEND_AFTER
        note = keyed(asked_key(key), {"until": clock.timestamp(until), "expires_at": int(until.timestamp()) + 1})
        writes: list[Write] = [Put(note, (("until", "absent or <=", clock.timestamp(at)),))]
        if challenge is not None and event is not None:
            writes.append(_asked(challenge, outbox(event)))
        if attempts is not None:
            writes.append(following(attempts))
        try:
            self._table.transact(writes)
        except Cancelled as refused:
            old = refused.reasons[0].old
            if refused.reasons[0].failed and old is not None:
                raise too_many(clock.parse(old["until"]) - at) from refused
            raise Stale from refused


def _asked(challenge: Challenge, told: Mapping[str, str]) -> Write:
    if challenge.asked == 1:
        return Put(item_of(challenge_key(challenge.id), challenge, told), ABSENT)
    return Update(
        challenge_key(challenge.id),
        set={"asked": challenge.asked, "expires_at": challenge.expires_at, **told},
        where=(("asked", "=", challenge.asked - 1), ("tries", "<", TRIES), ("used_at", "absent", None)),
    )


def following(attempts: Attempts) -> Write:
    """Writes what follows the version before it."""
    key = attempts_key(attempts.user_id, attempts.purpose)
    return Put(item_of(key, attempts), (("version", "absent or =", attempts.version - 1),))
