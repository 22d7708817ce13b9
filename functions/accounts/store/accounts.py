"""Accounts in the accounts table."""

from collections.abc import Sequence

from common.dynamo import ABSENT, PRESENT, Check, Item, Put, Table, Write
from common.events import Event, outbox
from common.idempotency import Answer, Idempotency

from functions.accounts.domain.accounts import Account
from functions.accounts.store import keys
from functions.accounts.store.answers import write_once
from functions.accounts.store.items import account_of
from functions.accounts.store.pages import newest


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

    def default_of(self, owner_id: str, currency: str) -> str | None:
        """The id of an owner's default account of a currency."""
        item = self._table.get(keys.default(owner_id, currency))
        return item["account_id"] if item else None

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
            else Check(default_key, PRESENT)
        )
        others = [Put({"pk": link[0], "sk": link[1]}), mark]
        return write_once(self._table, Put(_head(account, opened), ABSENT), others, key, answer)


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
