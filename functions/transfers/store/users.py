"""The personal data in records of transfers."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import chain

from common.dynamo import PRESENT, ConditionFailed, Table, Update
from common.events import OUTBOX

from functions.transfers.domain.recovery import SHARDS
from functions.transfers.domain.transfers import Transfer
from functions.transfers.domain.users import RecordWithKey
from functions.transfers.store import keys
from functions.transfers.store.history import items_of, records_of


class UserStore:
    """The records of a user who is being deleted."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def records(self, user_id: str) -> Iterator[RecordWithKey]:
        """Yield all records in which a user is a party, with the scopes of their keys."""
        # Pending ones first: one that ends meanwhile is in the lists that are read after.
        pending = [row["pk"] for shard in SHARDS for row in self._table.query(shard, index=keys.DUE_INDEX)]
        found = chain(
            items_of(self._table, iter(pending), 100),
            records_of(self._table, user_id, "", "~", 100),
            records_of(self._table, keys.hidden(user_id), "", "~", 100),
        )
        records = (RecordWithKey(Transfer.from_record(item), item.get("key", "")) for item in found)
        return (each for each in records if user_id in each.transfer.owner_ids)

    def replace_parties(self, old: RecordWithKey, cleaned: Transfer) -> None:
        """Write the parties that differ in `cleaned`, and remove the published events, which name the old ones."""
        if old.key_scope:
            # First, because an unchanged record is what shows the next call that there is work left.
            self._table.update(Update(keys.binding(old.key_scope), remove=[OUTBOX], where=PRESENT))
        before, after = old.transfer.record(), cleaned.record()
        changed = [name for name in ("source", "destination") if after[name] != before[name]]
        # Nothing else changes a party, so if the condition fails, the party has been replaced already.
        with suppress(ConditionFailed):
            self._table.update(
                Update(
                    keys.record(cleaned.id),
                    set={name: after[name] for name in changed},
                    remove=[OUTBOX],
                    where=[(name, "=", before[name]) for name in changed],
                )
            )
