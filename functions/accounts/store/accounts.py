"""Accounts in the accounts table."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from common.dynamo import ABSENT, PRESENT, Cancelled, Check, ConditionFailed, Delete, Item, Put, Table, Update, Write
from common.events import OUTBOX, Event, outbox
from common.idempotency import Answer, Idempotency

from functions.accounts.domain.accounts import Account, Default
from functions.accounts.domain.ledger import INBOX_SHARDS
from functions.accounts.store import keys
from functions.accounts.store.answers import write_once
from functions.accounts.store.heads import as_read
from functions.accounts.store.items import account_of
from functions.accounts.store.ledger import line_item
from functions.accounts.store.pages import newest

_BATCH = 100


class AccountTable:
    """`service.accounts.AccountStore` over the accounts table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, account_id: str) -> Account | None:
        """An account by its id."""
        item = self._table.get(keys.head(account_id))
        return account_of(item) if item else None

    def ids_of(self, owner_id: str, before: str | None, limit: int) -> list[str]:
        """At most `limit` ids of an owner's accounts, newest first, beginning after the id `before`."""
        links = newest(self._table, keys.user(owner_id), keys.LINK, before, limit)
        return [link["sk"].removeprefix(keys.LINK) for link in links]

    def many(self, account_ids: Sequence[str]) -> list[Account]:
        """Accounts by at most 100 ids, in the order of the ids."""
        heads = self._table.batch_get(map(keys.head, account_ids))
        return [account_of(heads[keys.head(account_id)]) for account_id in account_ids]

    def all_of(self, owner_id: str) -> list[Account]:
        """All accounts of an owner, oldest first."""
        links = self._table.query(keys.user(owner_id), begins=keys.LINK)
        ids = [link["sk"].removeprefix(keys.LINK) for link in links]
        return [each for start in range(0, len(ids), _BATCH) for each in self.many(ids[start : start + _BATCH])]

    def default_of(self, owner_id: str, currency: str) -> Default:
        """An owner's default of a currency."""
        item = self._table.get(keys.default(owner_id, currency))
        return Default(item["account_id"], item.get("opened", 0)) if item else Default()

    def defaults_of(self, owner_id: str) -> set[str]:
        """The ids of all default accounts of an owner."""
        return {item["account_id"] for item in self._table.query(keys.user(owner_id), begins=keys.DEFAULT)}

    def open(
        self, account: Account, opened: Event, key: Idempotency | None, answer: Answer, *, default: bool
    ) -> Answer | None:
        """Writes a new account with its event and, under `key`, its answer; see `AccountStore.open`."""
        link = keys.link(account.owner_id, account.id)
        default_key = keys.default(account.owner_id, account.currency)
        mark: Write = (
            Put({"pk": default_key[0], "sk": default_key[1], "account_id": account.id}, ABSENT)
            if default
            else Update(default_key, add={"opened": 1}, where=PRESENT)
        )
        others = [Put({"pk": link[0], "sk": link[1]}), mark, Check(keys.tombstone(account.owner_id), ABSENT)]
        return write_once(self._table, Put(_head(account, opened), ABSENT), others, key, answer)

    def revise(self, account: Account, revised: Account, told: Event, replaces: Default | None) -> bool:
        """Writes an open account as revised; see `AccountStore.revise`."""
        writes: list[Write] = [head_update(account, revised, told)]
        if revised.version > account.version:
            writes.append(Put(line_item(revised.credit_limit_line), ABSENT))
        if replaces:
            was = as_read("account_id", replaces.account_id)
            default = keys.default(account.owner_id, account.currency)
            writes.append(Update(default, set={"account_id": account.id}, where=[was]))
        return self._commit(writes)

    def close(self, account: Account, closed: Account, told: Event, default: Default, heir: str | None) -> bool:
        """Writes an empty account as closed; see `AccountStore.close`."""
        writes: list[Write] = [head_update(account, closed, told)]
        key = keys.default(account.owner_id, account.currency)
        was = as_read("account_id", default.account_id)
        if default.account_id != account.id:
            # Held to: whoever closes the default may be making this account the next one.
            writes.append(Check(key, [was]))
        elif heir:
            writes.append(Update(key, set={"account_id": heir}, where=[was]))
            writes.append(Check(keys.head(heir), [("status", "<>", "closed")]))
        else:
            # None was opened since the accounts were looked through for an heir.
            writes.append(Delete(key, [was, ("opened", "absent or =", default.opened)]))
        return self._commit(writes)

    def has_waiting(self, account_id: str) -> bool:
        """Whether a credit waits in the inbox of an account."""
        shards = (self._table.query(keys.inbox(account_id, shard), limit=1) for shard in range(INBOX_SHARDS))
        return any(next(entries, None) for entries in shards)

    def bar(self, owner_id: str) -> None:
        """Lets nothing be opened for an owner any more."""
        pk, sk = keys.tombstone(owner_id)
        try:
            self._table.put({"pk": pk, "sk": sk, "kept": False}, ABSENT)
        except ConditionFailed:
            # It is there already, perhaps for good.
            return

    def is_barred(self, owner_id: str) -> bool:
        """Whether nothing is opened for an owner any more."""
        return self._table.get(keys.tombstone(owner_id)) is not None

    def unbar(self, owner_id: str) -> bool:
        """Takes `bar` back; False where it is for good."""
        try:
            self._table.delete(keys.tombstone(owner_id), [("kept", "absent or =", False)])
        except ConditionFailed:
            return False
        return True

    def bar_for_good(self, owner_id: str) -> bool:
        """Keeps a bar from being taken back; False where that has happened."""
        try:
            self._table.update(Update(keys.tombstone(owner_id), set={"kept": True}, where=PRESENT))
        except ConditionFailed:
            return False
        return True

    def rename(self, account_id: str, name: str) -> None:
        """Calls an account so and forgets what was told of it, telling nobody."""
        self._table.update(Update(keys.head(account_id), set={"name": name}, remove=[OUTBOX], where=PRESENT))

    def _commit(self, writes: Sequence[Write]) -> bool:
        try:
            self._table.transact(writes)
        except Cancelled:
            return False
        return True


def head_update(account: Account, revised: Account, *told: Event) -> Update:
    """Writes what a revision changed in an open account's head, with its events, where it still is as it was read."""
    before = asdict(account)
    changed = {name: value for name, value in asdict(revised).items() if value != before[name]}
    where: list[tuple[str, str, Any]] = [
        ("version", "=", account.version),
        ("changes", "absent or =", account.changes),
        ("posted", "=", account.posted),
        ("held", "=", account.held),
        ("status", "<>", "closed"),
    ]
    if revised.available < account.available:
        where.append(("available", ">=", account.available - revised.available))
    return Update(
        keys.head(account.id),
        set={name: value for name, value in changed.items() if value is not None} | outbox(*told),
        remove=[name for name, value in changed.items() if value is None],
        where=where,
    )


def _head(account: Account, opened: Event) -> Item:
    pk, sk = keys.head(account.id)
    return {
        "pk": pk,
        "sk": sk,
        "account_id": account.id,
        "owner_id": account.owner_id,
        "name": account.name,
        "type": account.type,
        "currency": account.currency,
        "status": account.status,
        "posted": account.posted,
        "held": account.held,
        "available": account.available,
        "credit_limit": account.credit_limit,
        "version": 0,
        "line_at": "",
        "created_at": account.created_at,
        **outbox(opened),
    }
