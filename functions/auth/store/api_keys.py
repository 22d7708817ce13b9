"""API keys, and which ones a user has."""

from common.dynamo import ABSENT, PRESENT, ConditionFailed, Contended, Delete, Item, Put, Table, Update, Write
from common.events import Event

from functions.auth.domain.api_keys import ApiKey
from functions.auth.domain.users import User
from functions.auth.store.items import api_key_key, item_of, keyed, keyring_key, record_of, revision, transact


class ApiKeyStore:
    """What servers sign in with. A keyring changes with its user, whose `sequence` keeps two changes apart."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def api_key(self, key_id: str) -> ApiKey | None:
        """A key by id."""
        return _api_key(self._table.get(api_key_key(key_id)))

    def keyring(self, user_id: str) -> tuple[str, ...]:
        """The ids of a user's keys, oldest first."""
        item = self._table.get(keyring_key(user_id))
        return tuple(item["ids"]) if item else ()

    def api_keys(self, ids: tuple[str, ...]) -> list[ApiKey]:
        """Keys by their ids, in their order."""
        found = self._table.batch_get(map(api_key_key, ids))
        return [key for each in ids if (key := _api_key(found.get(api_key_key(each)))) is not None]

    def add_api_key(self, key: ApiKey, keyring: tuple[str, ...], user: User, event: Event) -> None:
        """Writes a new key, its owner's keyring with it, and the owner changed. Raises Stale."""
        self._change(Put(item_of(api_key_key(key.id), key), ABSENT), keyring, user, event)

    def remove_api_key(self, key_id: str, keyring: tuple[str, ...], user: User, event: Event) -> None:
        """Removes a key, writes its owner's keyring without it, and the owner changed. Raises Stale."""
        self._change(Delete(api_key_key(key_id)), keyring, user, event)

    def _change(self, write: Write, keyring: tuple[str, ...], user: User, event: Event) -> None:
        ring = Put(keyed(keyring_key(user.id), {"ids": keyring}))
        transact(self._table, revision(user, event), write, ring)

    def note_use(self, key: ApiKey) -> None:
        """Writes when a key was last used, where it is still there and nobody else is writing it."""
        try:
            self._table.update(Update(api_key_key(key.id), set={"last_used_at": key.last_used_at}, where=PRESENT))
        except (ConditionFailed, Contended):
            return


def _api_key(item: Item | None) -> ApiKey | None:
    return record_of(ApiKey, item and {**item, "scopes": tuple(item["scopes"])})
