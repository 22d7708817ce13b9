"""Challenges, and the counts of wrong codes."""

from collections.abc import Sequence
from datetime import datetime

from common import clock
from common.contracts.events import Event
from common.dynamo import ABSENT, Cancelled, Check, ConditionFailed, Put, Table, Update, Write
from common.errors import Stale
from common.events import outbox

from functions.auth.domain.codes import RESEND_AFTER, Attempts, Challenge, CodeRequest, Purpose, UsedCode
from functions.auth.domain.throttle import CounterKeys, Quota, rate_limited
from functions.auth.domain.users import User
from functions.auth.store.items import (
    OPEN,
    code_used,
    item_of,
    keyed,
    next_attempts,
    no_wait,
    record_of,
    taken,
    transact,
)
from functions.auth.store.keys import attempts_key, challenge_key, code_request_key, user_key


class CodeStore:
    """Challenges and attempts."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def challenge(self, challenge_id: str) -> Challenge | None:
        """Return a challenge by id."""
        return record_of(Challenge, self._table.get(challenge_key(challenge_id)))

    def attempts(self, user_id: str, purpose: Purpose, device: str = "") -> Attempts | None:
        """Return a user's open challenge for a purpose, with the wrong codes: everybody's, or a known device's."""
        item = self._table.get(attempts_key(user_id, purpose, device))
        return record_of(Attempts, item and {**item, "wrong": tuple(item["wrong"])})

    def count_wrong_code(self, challenge: Challenge | None, attempts: Attempts, event: Event | None) -> None:
        """Count a wrong code in `attempts` and at the challenge. A code that disables an app has no challenge.

        Raises Stale if the challenge is closed or `attempts` is not the next version.
        """
        condition: Write = Check(user_key(attempts.user_id), (("status", "=", "active"),))
        if challenge is not None:
            condition = Update(challenge_key(challenge.id), add={"tries": 1}, where=OPEN)
        transact(self._table, next_attempts(attempts, event), condition)

    def count_no_code(self, decoy: str, purpose: Purpose) -> None:
        """Do the work of `count_wrong_code` if there is nothing to count. `decoy` is an id that nothing has."""
        transact(self._table, Check(attempts_key(decoy, purpose), ABSENT), Check(challenge_key(decoy), ABSENT))

    def set_code(self, challenge_id: str, digest: str, expires_at: str) -> bool:
        """Replace the code of a challenge. Returns False if the challenge is not open."""
        change = Update(challenge_key(challenge_id), set={"digest": digest, "code_expires_at": expires_at}, where=OPEN)
        try:
            self._table.update(change)
        except ConditionFailed:
            return False
        return True

    def request_code(
        self,
        key: str,
        at: datetime,
        request: CodeRequest | None,
        counter_keys: CounterKeys | None = None,
        quotas: Sequence[Quota] = (),
    ) -> None:
        """Record a code request under `key`, with the challenge that it added or changed. It is one of `quotas`.

        Without a `request` it does the same work. Raises Refusal `rate_limited` if the last request was less than a
        minute ago or a quota is used up, and Stale: also if the user's email has changed, or failed logins under
        `counter_keys` require a wait.
        """
        until = at + RESEND_AFTER
        record = {"until": clock.timestamp(until), "expires_at": int(until.timestamp()) + 1}
        not_before: Write = Put(keyed(code_request_key(key), record), (("until", "absent or <=", clock.timestamp(at)),))
        requested = _code_requested(request) if request else _nothing_requested(key)
        waits = no_wait(counter_keys or (), clock.timestamp(at))
        try:
            self._table.transact([*map(taken, quotas), not_before, *requested, *waits])
        except Cancelled as cancelled:
            minute, old = cancelled.reasons[len(quotas)], cancelled.reasons[len(quotas)].old
            if minute.failed and old is not None:
                raise rate_limited(clock.parse(old["until"]) - at) from cancelled
            for quota, reason in zip(quotas, cancelled.reasons, strict=False):
                if reason.failed:
                    raise quota.refusal(at) from cancelled
            raise Stale from cancelled

    def add_login_challenge(self, request: CodeRequest, keys: CounterKeys, at: datetime) -> None:
        """Add the challenge of a login whose password was correct. Raises Stale as `request_code`."""
        transact(self._table, *_code_requested(request), *no_wait(keys, clock.timestamp(at)))

    def use_code(self, user: User, used: UsedCode) -> None:
        """Write the effect of a correct code that allows something in another context. Raises Stale."""
        transact(self._table, _same_email(user), *code_used(used))


def _code_requested(request: CodeRequest) -> list[Write]:
    user, challenge, attempts = request.user, request.challenge, request.attempts
    # Without attempts to write, the work stays the same.
    decoy = Check(attempts_key(challenge.id, challenge.purpose), ABSENT)
    return [_same_email(user), _challenge(challenge, request.event), next_attempts(attempts) if attempts else decoy]


def _nothing_requested(decoy: str) -> list[Write]:
    """Return checks of items that do not exist, as many as `_code_requested` writes."""
    return [Check(key, ABSENT) for key in (user_key(decoy), challenge_key(decoy), attempts_key(decoy, "none"))]


def _same_email(user: User) -> Write:
    # This also requires that the user exists: items written after their deletion would never be removed.
    return Check(user_key(user.id), (("email", "=", user.email),))


def _challenge(challenge: Challenge, event: Event | None) -> Write:
    key = challenge_key(challenge.id)
    if challenge.asked == 1:
        return Put(item_of(key, challenge, event), ABSENT)
    change = {"asked": challenge.asked, "expires_at": challenge.expires_at, **(outbox(event) if event else {})}
    return Update(key, set=change, where=(("asked", "=", challenge.asked - 1), *OPEN))
