"""The lists of transfers by payer and by payee."""

import heapq
from collections.abc import Iterator
from itertools import groupby, islice

from common.dynamo import Item, Key, Table

from functions.transfers.domain.transfers import Transfer
from functions.transfers.store import keys


class HistoryStore:
    """The transfers of each user."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def list(self, user_id: str, first_id: str, last_id: str, chunk: int) -> Iterator[Transfer]:
        """Yield a user's transfers in a range of ids (inclusive), newest first, read `chunk` (1..100) at a time."""
        return map(Transfer.from_record, records_of(self._table, user_id, first_id, last_id, chunk))


def records_of(table: Table, user_id: str, first_id: str, last_id: str, chunk: int) -> Iterator[Item]:
    """Yield the items of the records that are listed for a user, each once; see `HistoryStore.list`."""
    if first_id > last_id:
        # AWS refuses a BETWEEN whose lower bound is above the upper one.
        return
    between = (keys.record(first_id)[0], keys.record(last_id)[0])
    lists = (
        table.query(user_id, between=between, index=index, limit=chunk, descending=True) for index in keys.PARTY_INDEXES
    )
    merged = heapq.merge(*lists, key=lambda row: str(row["pk"]), reverse=True)
    yield from items_of(table, (pk for pk, _ in groupby(row["pk"] for row in merged)), chunk)


def items_of(table: Table, partitions: Iterator[str], chunk: int) -> Iterator[Item]:
    """Yield the items of the records in these partitions, read `chunk` at a time."""
    wanted: Iterator[Key] = ((pk, keys.RECORD) for pk in partitions)
    while batch := list(islice(wanted, chunk)):
        found = table.batch_get(batch)
        yield from (found[key] for key in batch if key in found)
