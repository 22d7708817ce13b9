"""Listing and deleting users."""

import heapq
from collections.abc import Iterator
from itertools import islice

from common.contracts.events import Event
from common.dynamo import Delete, Key, Put, Table, Update
from common.events import OUTBOX, outbox

from functions.auth.domain.users import User
from functions.auth.store.items import keyed, record_of, transact
from functions.auth.store.keys import (
    ADMINS,
    USER_SHARDS,
    api_key_ids_key,
    api_key_key,
    challenge_key,
    email_key,
    phone_key,
    user_key,
)
from functions.auth.store.users import admins_changed

_INDEX = ("users", "user_shard", "pk")
_BATCH_SIZE = 100


class AdministrationStore:
    """All users, and the number of admins."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def newest_users(self, older_than: str | None, at_least: int) -> Iterator[tuple[str, User | None]]:
        """Yield ids and users, newest first, starting after `older_than`; None for a user who was just deleted."""
        before = user_key(older_than)[0] if older_than else None
        size = min(at_least, _BATCH_SIZE)
        shards = (
            self._table.query(shard, before=before, index=_INDEX, limit=size, descending=True) for shard in USER_SHARDS
        )
        rows = heapq.merge(*shards, key=lambda row: str(row["pk"]), reverse=True)
        while batch := [(row["pk"], row["sk"]) for row in islice(rows, size)]:
            found = self._table.batch_get(batch)
            for key in batch:
                item = found.get(key)
                gone = item is None or item["status"] == "deleted"
                yield key[0].removeprefix("U#"), None if gone else record_of(User, item)

    def admin_count(self) -> int:
        """Return the number of admins."""
        item = self._table.get(ADMINS)
        return int(item["admins"]) if item else 0

    def delete_user(self, user: User, event: Event) -> None:
        """Replace a user's item by the fact that they were deleted, and free their email and phone number.

        Raises Stale, and also if there would be no admin left.
        """
        fact = {"id": user.id, "status": "deleted", "sequence": event.sequence, "created_at": user.created_at}
        claims = [email_key(user.email)] + ([phone_key(user.phone)] if user.phone else [])
        transact(
            self._table,
            Put(keyed(user_key(user.id), {**fact, **outbox(event)}), (("sequence", "=", user.sequence),)),
            *(Delete(claim, (("user_id", "=", user.id),)) for claim in claims),
            *admins_changed(-1 if user.role == "admin" else 0),
        )

    def is_deleted(self, user_id: str) -> bool:
        """Return whether there was a user with this id who was deleted."""
        item = self._table.get(user_key(user_id))
        return item is not None and item["status"] == "deleted"

    def delete_user_data(self, user_id: str) -> None:
        """Delete all other items of a deleted user: sessions, devices, API keys, codes and the authenticator app.

        It can be repeated after a crash at any point, because items are deleted before the items that refer to them.
        """
        partition, itself = user_key(user_id)
        items = [item for item in self._table.query(partition) if item["sk"] != itself]
        referred: list[Key] = []
        for item in items:
            if item["sk"].startswith("Q#"):
                referred.append(challenge_key(item["challenge_id"]))
            elif item["sk"] == api_key_ids_key(user_id)[1]:
                referred += map(api_key_key, item["ids"])
        keys = [*referred, *((item["pk"], item["sk"]) for item in items)]
        for start in range(0, len(keys), _BATCH_SIZE):
            self._table.transact([Delete(key) for key in keys[start : start + _BATCH_SIZE]])
        # The event has the address of whoever deleted the user. The stream has it by now.
        self._table.update(Update(user_key(user_id), remove=(OUTBOX,)))
