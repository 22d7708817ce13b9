"""API keys, and the list of each user's keys."""

from common.contracts.events import Event
from common.dynamo import ABSENT, PRESENT, ConditionFailed, Delete, Item, Put, Table, Update, Write
from common.errors import Contended

from functions.auth.domain.api_keys import ApiKey
from functions.auth.domain.users import User
from functions.auth.store.items import item_of, keyed, next_user, record_of, transact
from functions.auth.store.keys import api_key_ids_key, api_key_key


class ApiKeyStore:
    """API keys. The list of a user's keys changes with the user, whose `sequence` orders the changes."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def api_key(self, key_id: str) -> ApiKey | None:
        """Return a key by id."""
        return _api_key(self._table.get(api_key_key(key_id)))

    def api_key_ids(self, user_id: str) -> tuple[str, ...]:
        """Return the ids of a user's keys, oldest first."""
        item = self._table.get(api_key_ids_key(user_id))
        return tuple(item["ids"]) if item else ()

    def api_keys(self, ids: tuple[str, ...]) -> list[ApiKey]:
        """Return the keys that exist among `ids`, in this order."""
        found = self._table.batch_get(map(api_key_key, ids))
        return [key for each in ids if (key := _api_key(found.get(api_key_key(each)))) is not None]

    def add_api_key(self, key: ApiKey, ids: tuple[str, ...], user: User, event: Event) -> None:
        """Add a key, and write its owner and the ids of their keys. Raises Stale."""
        self._change(Put(item_of(api_key_key(key.id), key), ABSENT), ids, user, event)

    def remove_api_key(self, key_id: str, ids: tuple[str, ...], user: User, event: Event) -> None:
        """Remove a key, and write its owner and the ids of their other keys. Raises Stale."""
        self._change(Delete(api_key_key(key_id)), ids, user, event)

    def _change(self, write: Write, ids: tuple[str, ...], user: User, event: Event) -> None:
        transact(self._table, next_user(user, event), write, Put(keyed(api_key_ids_key(user.id), {"ids": ids})))

    def record_use(self, key: ApiKey) -> None:
        """Record when a key was last used. A key that was revoked or is being written stays as it is."""
        try:
            self._table.update(Update(api_key_key(key.id), set={"last_used_at": key.last_used_at}, where=PRESENT))
        except (ConditionFailed, Contended):
            return


def _api_key(item: Item | None) -> ApiKey | None:
    return record_of(ApiKey, item and {**item, "scopes": tuple(item["scopes"])})
