"""Items to records and back, the writes that subjects share, and transactions."""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any, TypeVar
from zlib import crc32

from common.contracts.events import Event
from common.dynamo import ABSENT, Cancelled, Check, Item, Key, Put, Table, Term, Update, Where, Write
from common.errors import Stale
from common.events import outbox

from functions.auth.domain.authenticators import Authenticator
from functions.auth.domain.codes import MAX_TRIES, Attempts, UsedCode
from functions.auth.domain.throttle import Quota
from functions.auth.domain.users import User
from functions.auth.store.keys import (
    USER_SHARDS,
    attempts_key,
    authenticator_key,
    challenge_key,
    failures_key,
    quota_key,
    session_key,
    user_key,
)

RecordT = TypeVar("RecordT")
OPEN: Where = (("tries", "<", MAX_TRIES), ("used_at", "absent", None))
"""The condition that a challenge is open."""


def transact(table: Table, *writes: Write) -> None:
    """Do all of `writes` or none. Raises Stale if a condition failed."""
    try:
        table.transact(writes)
    except Cancelled as cancelled:
        raise Stale from cancelled


def keyed(key: Key, attributes: Mapping[str, Any]) -> Item:
    """Return an item with a key."""
    return {"pk": key[0], "sk": key[1], **attributes}


def item_of(key: Key, record: Any, event: Event | None = None) -> Item:
    """Return the item of a record, with the event of its change."""
    # None is left out, so that conditions can test for absence.
    attributes = {name: value for name, value in asdict(record).items() if value is not None}
    return keyed(key, {**attributes, **(outbox(event) if event else {})})


def record_of(kind: type[RecordT], item: Item | None) -> RecordT | None:
    """Return the record of an item, or None for None."""
    if item is None:
        return None
    return kind(
        **{
            each.name: item.get(each.name, None if each.default is MISSING else each.default)
            for each in fields(kind)  # type: ignore[arg-type]
        }
    )


def user_item(user: User, event: Event) -> Item:
    """Return the item of a user with the event of their change and their shard of the index `users`."""
    shard = USER_SHARDS[crc32(user.id.encode()) % len(USER_SHARDS)]
    return {**item_of(user_key(user.id), user, event), "user_shard": shard}


def next_user(user: User, event: Event) -> Put:
    """Write a changed user if the stored `sequence` is the one before."""
    return Put(user_item(user, event), (("sequence", "=", user.sequence - 1),))


def next_attempts(attempts: Attempts, event: Event | None = None) -> Put:
    """Write attempts if the stored version is the one before."""
    key = attempts_key(attempts.user_id, attempts.purpose, attempts.device)
    return Put(item_of(key, attempts, event), _version_before(attempts.version))


def next_authenticator(authenticator: Authenticator) -> Put:
    """Write an authenticator if the stored version is the one before."""
    key = authenticator_key(authenticator.user_id)
    return Put(item_of(key, authenticator), _version_before(authenticator.version))


def _version_before(version: int) -> Where:
    return ABSENT if version == 1 else (("version", "=", version - 1),)


def code_used(used: UsedCode | None) -> list[Write]:
    """Write the effect of a correct code if the challenge is open and its latest code is still the same one."""
    if used is None:
        return []
    challenge = used.challenge
    same_code: Term = ("digest", "absent", None) if challenge.digest is None else ("digest", "=", challenge.digest)
    where = (*OPEN, same_code)
    return [
        Update(challenge_key(challenge.id), set={"used_at": challenge.used_at}, where=where),
        next_attempts(used.attempts),
        *([next_authenticator(used.authenticator)] if used.authenticator else ()),
    ]


def taken(quota: Quota) -> Update:
    """Use one of a quota if something is left."""
    left: Where = (("count", "absent or <", quota.limit),)
    return Update(quota_key(quota.key), set={"expires_at": quota.ends_at}, add={"count": 1}, where=left)


def session_kept(user: User, session_id: str, *, proved_factor: bool = False) -> Update:
    """Let a live session continue in the user's next generation, which ends the others.

    `proved_factor` says that the user has just proved the second factor in this session.
    """
    return Update(
        session_key(user.id, session_id),
        set={"generation": user.generation, **({"has_second_factor": True} if proved_factor else {})},
        where=(("generation", "=", user.generation - 1), ("ended_at", "absent", None)),
    )


def no_wait(keys: Iterable[str], at: str) -> list[Check]:
    """Require that no failed login under `keys` causes a wait at `at`.

    Parallel guesses are all compared before the first failure counts, so the correct one has to wait as well.
    """
    return [Check(failures_key(key), (("until", "absent or <=", at),)) for key in keys]
