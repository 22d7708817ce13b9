"""Keys, items and records of the auth room's table (docs/data.md), and its transactions."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any, TypeVar
from zlib import crc32

from common.dynamo import Cancelled, Item, Key, Put, Table, Write
from common.events import Event, outbox

from functions.auth.domain import Stale
from functions.auth.domain.users import User

RecordT = TypeVar("RecordT")
USER_SHARDS = tuple("01234567")
"""The partitions of the index `users`: one would be hot, as every change of any user is written there."""
ADMINS: Key = ("A", "A")
"""How many admins there are."""


def transact(table: Table, *writes: Write) -> None:
    """All of `writes` or none. Raises Stale where a condition failed."""
    try:
        table.transact(writes)
    except Cancelled as refused:
        raise Stale from refused


def user_key(user_id: str) -> Key:
    """A user."""
    return f"U#{user_id}", "U"


def session_key(user_id: str, session_id: str) -> Key:
    """A session of a user."""
    return f"U#{user_id}", f"S#{session_id}"


def device_key(user_id: str, digest: str) -> Key:
    """Where a user once signed in from."""
    return f"U#{user_id}", f"D#{digest}"


def signed_in_key(user_id: str) -> Key:
    """That a user has signed in before."""
    return f"U#{user_id}", "D"


def keyring_key(user_id: str) -> Key:
    """Which API keys a user has."""
    return f"U#{user_id}", "K"


def api_key_key(key_id: str) -> Key:
    """An API key."""
    return f"K#{key_id}", "K"


def attempts_key(user_id: str, purpose: str) -> Key:
    """A user's open challenge of a purpose."""
    return f"U#{user_id}", f"Q#{purpose}"


def authenticator_key(user_id: str) -> Key:
    """A user's authenticator app."""
    return f"U#{user_id}", "F"


def email_key(email: str) -> Key:
    """Whose address this is."""
    return f"E#{email}", "E"


def phone_key(phone: str) -> Key:
    """Whose number this is."""
    return f"N#{phone}", "N"


def challenge_key(challenge_id: str) -> Key:
    """A challenge."""
    return f"C#{challenge_id}", "C"


def failures_key(digest: str) -> Key:
    """Failed logins counted under a digest."""
    return f"L#{digest}", "L"


def asked_key(digest: str) -> Key:
    """When a code was last asked for under a digest."""
    return f"R#{digest}", "R"


def keyed(key: Key, attributes: Mapping[str, Any]) -> Item:
    """An item under a key."""
    return {"pk": key[0], "sk": key[1], **attributes}


def item_of(key: Key, record: Any, told: Mapping[str, str] | None = None) -> Item:
    """The item of a record, with the events of its change."""
    # What is None is left out, so that conditions can ask whether it is there.
    held = {name: value for name, value in asdict(record).items() if value is not None}
    return keyed(key, {**held, **(told or {})})


def user_item(user: User, event: Event) -> Item:
    """A user's item with the event of their change, and where the index `users` has it."""
    shard = USER_SHARDS[crc32(user.id.encode()) % len(USER_SHARDS)]
    return {**item_of(user_key(user.id), user, outbox(event)), "user_shard": shard}


def revision(user: User, event: Event) -> Put:
    """Writes what follows the user's `sequence` before it."""
    return Put(user_item(user, event), (("sequence", "=", user.sequence - 1),))


def record_of(kind: type[RecordT], item: Item | None) -> RecordT | None:
    """The record that an item holds."""
    if item is None:
        return None
    return kind(
        **{
            each.name: item.get(each.name, None if each.default is MISSING else each.default)
            for each in fields(kind)  # type: ignore[arg-type]
        }
    )
