"""Accounts in the accounts table."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from common.answers import Answers
from common.contracts.events import Event
from common.dynamo import (
    ABSENT,
    PRESENT,
    Cancelled,
    Check,
    ConditionFailed,
    Delete,
    Put,
    Table,
    Term,
    Update,
    Write,
)
from common.errors import Refusal, Stale
from common.events import OUTBOX, outbox
from common.idempotency import Answer, IdempotencyKey

from functions.accounts.domain.accounts import Account, Default
from functions.accounts.domain.ledger import PENDING_SHARDS
from functions.accounts.store import keys
from functions.accounts.store.heads import as_read
from functions.accounts.store.items import account_of
from functions.accounts.store.ledger import line_item
from functions.accounts.store.listing import newest

_BATCH = 100
# The fields of a new account. The others are written when they first change.
_NEW = (
    "owner_id",
    "name",
    "type",
    "currency",
    "status",
    "posted",
    "held",
    "available",
    "credit_limit",
    "version",
    "line_at",
    "created_at",
)


class AccountStore:
    """The accounts of the table. `answers` are the stored answers."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.answers = Answers(table)

    def get(self, account_id: str) -> Account | None:
        """Return an account."""
        item = self._table.get(keys.head(account_id))
        return account_of(item) if item else None

    def ids_of(self, owner_id: str, before: str | None, limit: int) -> list[str]:
        """Return at most `limit` ids of an owner's accounts, newest first, after the id `before`."""
        links = newest(self._table, keys.user(owner_id), keys.LINK, before, limit)
        return [link["sk"].removeprefix(keys.LINK) for link in links]

    def many(self, account_ids: Sequence[str]) -> list[Account]:
        """Return accounts by at most 100 ids, in the order of the ids."""
        heads = self._table.batch_get(map(keys.head, account_ids))
        return [account_of(heads[keys.head(account_id)]) for account_id in account_ids]

    def all_of(self, owner_id: str) -> list[Account]:
        """Return all accounts of an owner, oldest first."""
        links = self._table.query(keys.user(owner_id), begins=keys.LINK)
        ids = [link["sk"].removeprefix(keys.LINK) for link in links]
        return [each for start in range(0, len(ids), _BATCH) for each in self.many(ids[start : start + _BATCH])]

    def default_of(self, owner_id: str, currency: str) -> Default:
        """Return an owner's default of a currency."""
        item = self._table.get(keys.default(owner_id, currency))
        return Default(item["account_id"], item.get("opened", 0)) if item else Default()

    def default_ids_of(self, owner_id: str) -> set[str]:
        """Return the ids of all default accounts of an owner."""
        return {item["account_id"] for item in self._table.query(keys.user(owner_id), begins=keys.DEFAULT)}

    def openings(self, owner_id: str) -> int:
        """Return how many accounts an owner has opened, those that are closed included."""
        item = self._table.get(keys.links(owner_id, keys.LINK))
        return item["count"] if item else 0

    def open(
        self,
        account: Account,
        opened: Event,
        key: IdempotencyKey | None,
        answer: Answer,
        *,
        is_default: bool,
        most_openings: int,
    ) -> Answer:
        """Write a new account with its event, and store its answer; `common.answers.Answers.create`.

        Raises Stale if `is_default` is no longer right or the owner has opened `most_openings` accounts by now, and
        Refusal `unauthenticated` if the owner is being deleted.
        """
        default = keys.default(account.owner_id, account.currency)
        head = {
            **keys.keyed(keys.head(account.id)),
            "account_id": account.id,
            **{name: getattr(account, name) for name in _NEW},
            **outbox(opened),
        }
        others: list[Write] = [
            Check(keys.deletion(account.owner_id), ABSENT),
            Put(keys.keyed(keys.link(account.owner_id, account.id))),
            Put({**keys.keyed(default), "account_id": account.id}, ABSENT)
            if is_default
            else Update(default, add={"opened": 1}, where=PRESENT),
            Update(
                keys.links(account.owner_id, keys.LINK),
                add={"count": 1},
                where=[("count", "absent or <", most_openings)],
            ),
        ]
        try:
            return self.answers.create(Put(head, ABSENT), others, key, answer)
        except Cancelled as cancelled:
            if cancelled.reasons[1].failed:
                raise Refusal("unauthenticated") from cancelled
            raise Stale from cancelled

    def update(self, account: Account, changed: Account, event: Event, replaces: Default | None) -> None:
        """Write the changes of an open account with their event, and the journal line of a new credit limit.

        The account becomes the default in place of `replaces`. Raises Stale if anything changed since it was read.
        """
        writes: list[Write] = [head_update(account, changed, event)]
        if changed.version > account.version:
            writes.append(Put(line_item(changed.credit_limit_line), ABSENT))
        if replaces:
            was = as_read("account_id", replaces.account_id)
            default = keys.default(account.owner_id, account.currency)
            writes.append(Update(default, set={"account_id": account.id}, where=[was]))
        transact(self._table, writes)

    def close(
        self, account: Account, closed: Account, event: Event, default: Default, next_default: str | None
    ) -> None:
        """Write an empty account as closed. If it is the `default`, the open account `next_default` replaces it.

        Raises Stale if anything changed since it was read.
        """
        head = head_update(account, closed, event)
        # An expectation changes nothing that the other conditions check.
        writes: list[Write] = [replace(head, where=[*head.where, ("incoming", "absent or =", 0)])]
        key = keys.default(account.owner_id, account.currency)
        was = as_read("account_id", default.account_id)
        if default.account_id != account.id:
            # Another request that closes the default may be about to make this account the default.
            writes.append(Check(key, [was]))
        elif next_default:
            writes.append(Update(key, set={"account_id": next_default}, where=[was]))
            writes.append(Check(keys.head(next_default), [("status", "<>", "closed")]))
        else:
            # No account was opened since the search for the next default.
            writes.append(Delete(key, [was, ("opened", "absent or =", default.opened)]))
        transact(self._table, writes)

    def has_pending_credits(self, account_id: str) -> bool:
        """Return whether a credit of an account is pending."""
        shards = (keys.pending_credits(account_id, shard) for shard in range(PENDING_SHARDS))
        return any(next(self._table.query(shard, limit=1), None) for shard in shards)

    def block_new_accounts(self, owner_id: str) -> None:
        """Let nothing be opened or linked for an owner, because they are being deleted."""
        try:
            self._table.put({**keys.keyed(keys.deletion(owner_id)), "kept": False}, ABSENT)
        except ConditionFailed:
            # The owner is being deleted already, or has been.
            return

    def allow_new_accounts(self, owner_id: str) -> bool:
        """Undo `block_new_accounts`. Returns False if the owner has been deleted."""
        try:
            self._table.delete(keys.deletion(owner_id), [("kept", "absent or =", False)])
        except ConditionFailed:
            return False
        return True

    def mark_deleted(self, owner_id: str) -> bool:
        """Make `block_new_accounts` permanent. Returns False if it was undone."""
        try:
            self._table.update(Update(keys.deletion(owner_id), set={"kept": True}, where=PRESENT))
        except ConditionFailed:
            return False
        return True

    def rename(self, account_id: str, name: str) -> None:
        """Rename an account without an event, and remove its events, which hold the former name."""
        self._table.update(Update(keys.head(account_id), set={"name": name}, remove=[OUTBOX], where=PRESENT))


def transact(table: Table, writes: Sequence[Write]) -> None:
    """Do all of `writes`. Raises Stale, and does none, if a condition failed."""
    try:
        table.transact(writes)
    except Cancelled as cancelled:
        raise Stale from cancelled


def head_update(account: Account, changed: Account, *events: Event) -> Update:
    """Return the write of what changed in an open account, with its events. Its condition is that it is as read."""
    before = asdict(account)
    changes = {name: value for name, value in asdict(changed).items() if value != before[name]}
    where: list[Term] = [
        ("version", "=", account.version),
        ("changes", "absent or =", account.changes),
        ("posted", "=", account.posted),
        ("held", "=", account.held),
        ("status", "<>", "closed"),
    ]
    if changed.available < account.available:
        where.append(("available", ">=", account.available - changed.available))
    return Update(
        keys.head(account.id),
        set={name: value for name, value in changes.items() if value is not None} | outbox(*events),
        remove=[name for name, value in changes.items() if value is None],
        where=where,
    )
