"""What is done to users: listed, changed, deleted."""

import heapq
from collections.abc import Iterator
from itertools import islice

from common.dynamo import Delete, Key, Put, Table, Update, Write
from common.events import OUTBOX, Event, outbox

from functions.auth.domain.users import User
from functions.auth.store.items import (
    ADMINS,
    USER_SHARDS,
    api_key_key,
    challenge_key,
    email_key,
    keyed,
    keyring_key,
    phone_key,
    record_of,
    revision,
    transact,
    user_key,
)

_INDEX = ("users", "user_shard", "pk")
_AT_ONCE = 100


class AdministrationStore:
    """Every user, and how many of them are admins."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def newest_users(self, older_than: str | None, at_least: int) -> Iterator[tuple[str, User | None]]:
        """Ids and users, newest first, from the one after `older_than`; None for one who was deleted just now."""
        before = user_key(older_than)[0] if older_than else None
        size = min(at_least, _AT_ONCE)
        shards = (
            self._table.query(shard, before=before, index=_INDEX, limit=size, descending=True) for shard in USER_SHARDS
        )
        rows = heapq.merge(*shards, key=lambda row: str(row["pk"]), reverse=True)
        while chunk := [(row["pk"], row["sk"]) for row in islice(rows, size)]:
            found = self._table.batch_get(chunk)
            for key in chunk:
                item = found.get(key)
                gone = item is None or item["status"] == "deleted"
                yield key[0].removeprefix("U#"), None if gone else record_of(User, item)

    def admins(self) -> int:
        """How many there are."""
        item = self._table.get(ADMINS)
        return int(item["admins"]) if item else 0

    def change_user(self, user: User, event: Event, admins: int) -> None:
        """Writes a changed user and how many more (+1) or fewer (-1) admins that makes, never none. Raises Stale."""
        transact(self._table, revision(user, event), *_count(admins))

    def bury(self, user: User, event: Event) -> None:
        """Leaves nothing of the user's item but the fact, and frees email and phone. Raises Stale, as `change_user`."""
        kept = {"id": user.id, "status": "deleted", "sequence": event.sequence, "created_at": user.created_at}
        claims = [email_key(user.email)] + ([phone_key(user.phone)] if user.phone else [])
        transact(
            self._table,
            Put(keyed(user_key(user.id), {**kept, **outbox(event)}), (("sequence", "=", user.sequence),)),
            *(Delete(claim, (("user_id", "=", user.id),)) for claim in claims),
            *_count(-1 if user.role == "admin" else 0),
        )

    def is_buried(self, user_id: str) -> bool:
        """Whether there was such a user, who is deleted."""
        item = self._table.get(user_key(user_id))
        return item is not None and item["status"] == "deleted"

    def clear(self, user_id: str) -> None:
        """Removes all that a deleted user left: sessions, keys, devices, codes and how they proved who they are.

        May be repeated wherever it died: what others point to goes before what points to it.
        """
        partition, itself = user_key(user_id)
        items = [item for item in self._table.query(partition) if item["sk"] != itself]
        pointed: list[Key] = []
        for item in items:
            if item["sk"].startswith("Q#"):
                pointed.append(challenge_key(item["challenge_id"]))
            elif item["sk"] == keyring_key(user_id)[1]:
                pointed += map(api_key_key, item["ids"])
        keys = [*pointed, *((item["pk"], item["sk"]) for item in items)]
        for start in range(0, len(keys), _AT_ONCE):
            self._table.transact([Delete(key) for key in keys[start : start + _AT_ONCE]])
        # The event said from where the user was deleted; the stream has it by now.
        self._table.update(Update(user_key(user_id), remove=(OUTBOX,)))


def _count(admins: int) -> list[Write]:
    if not admins:
        return []
    return [Update(ADMINS, add={"admins": admins}, where=(("admins", ">", 1),) if admins < 0 else ())]
