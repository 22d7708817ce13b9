"""Opening accounts, looking at them, changing and closing them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, Protocol

from common.clock import Clock, timestamp
from common.errors import Problem
from common.events import Actor, Event
from common.http.lists import Page, take
from common.idempotency import Answer, Idempotency, render
from common.tasks import CloseAccounts, ClosedAccounts

from functions.accounts.domain.accounts import Account, Default, default_name
from functions.accounts.models.accounts import AccountResource, OpenAccount, PatchAccount

_TRIES = 8
_TELLABLE = ("name", "low_balance_alert", "status", "credit_limit", "hot")


class AccountStore(Protocol):
    """What the use cases of accounts need of a store."""

    def get(self, account_id: str) -> Account | None:
        """An account by its id."""

    def ids_of(self, owner_id: str, before: str | None, limit: int) -> list[str]:
        """At most `limit` ids of an owner's accounts, newest first, beginning after the id `before`."""

    def many(self, account_ids: Sequence[str]) -> list[Account]:
        """Accounts by at most 100 ids, in the order of the ids."""

    def all_of(self, owner_id: str) -> list[Account]:
        """All accounts of an owner, oldest first."""

    def default_of(self, owner_id: str, currency: str) -> Default:
        """An owner's default of a currency."""

    def defaults_of(self, owner_id: str) -> set[str]:
        """The ids of all default accounts of an owner."""

    def open(
        self, account: Account, opened: Event, key: Idempotency | None, answer: Answer, *, default: bool
    ) -> Answer | None:
        """Writes a new account with its event and, under `key`, its answer.

        Answers what stands: `answer`, or what the key was answered before; None, and nothing is written, where
        `default` is not true any more, or the owner leaves. Raises Problem `idempotency_key_reused`.
        """

    def revise(self, account: Account, revised: Account, told: Event, replaces: Default | None) -> bool:
        """Writes an open account as revised, with its event, its journal line where its version rose, and as the
        default in the place of `replaces`; False, and nothing is written, where something moved on since it was
        read."""

    def close(self, account: Account, closed: Account, told: Event, default: Default, heir: str | None) -> bool:
        """Writes an empty account as closed; `heir`, an open account or none, follows it where it is the `default`.

        False, and nothing is written, where something moved on since it was read.
        """

    def has_waiting(self, account_id: str) -> bool:
        """Whether a credit waits in the inbox of an account."""

    def bar(self, owner_id: str) -> None:
        """Lets nothing be opened for an owner any more."""

    def is_barred(self, owner_id: str) -> bool:
        """Whether nothing is opened for an owner any more."""

    def unbar(self, owner_id: str) -> bool:
        """Takes `bar` back; False where it is for good."""

    def bar_for_good(self, owner_id: str) -> bool:
        """Keeps a bar from being taken back; False where that has happened."""

    def rename(self, account_id: str, name: str) -> None:
        """Calls an account so and forgets what was told of it, telling nobody."""


class Opened(NamedTuple):
    """The answer to an opening, and whether it was given before."""

    answer: Answer
    replayed: bool


class Accounts:
    """The accounts of users."""

    def __init__(self, store: AccountStore, clock: Clock, new_id: Callable[[str, datetime], str]) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id

    def open(self, owner_id: str, wanted: OpenAccount, key: Idempotency | None, actor: Actor) -> Opened:
        """Opens an account, the owner's default where it is the first of its currency.

        Raises Problem `idempotency_key_reused`, `unauthenticated` where the owner leaves, and `unavailable` where the
        default keeps changing meanwhile.
        """
        now = self._clock()
        account = Account.new(
            self._new_id("acc", now), owner_id, wanted.currency, wanted.type, wanted.name, timestamp(now)
        )
        opened = account.told("account.opened", now, actor)
        for _ in range(_TRIES):
            default = self._store.default_of(owner_id, account.currency).account_id is None
            body = render(AccountResource.of(account, default=default))
            answer = Answer(201, body, location=f"/v1/accounts/{account.id}")
            standing = self._store.open(account, opened, key, answer, default=default)
            if standing is not None:
                return Opened(standing, replayed=standing != answer)
            if self._store.is_barred(owner_id):
                raise Problem("unauthenticated")
        raise _busy()

    def get(self, account_id: str, caller_id: str, *, is_admin: bool) -> AccountResource:
        """An account, for its owner or an admin. Raises Problem `not_found` for anyone else."""
        account = self._seen(account_id, caller_id, is_admin=is_admin)
        return _shown(account, self._store.default_of(account.owner_id, account.currency))

    def page(self, owner_id: str, after: str | None, limit: int) -> Page:
        """A page of an owner's accounts, newest first; positions are account ids."""
        ids = take(((each, each) for each in self._store.ids_of(owner_id, after, limit + 1)), limit)
        if not ids.items:
            return ids
        defaults = self._store.defaults_of(owner_id)
        accounts = self._store.many(ids.items)
        return Page([AccountResource.of(each, default=each.id in defaults) for each in accounts], ids.next_position)

    def patch(
        self, account_id: str, caller_id: str, wanted: PatchAccount, actor: Actor, *, is_admin: bool
    ) -> AccountResource:
        """Changes what the owner, or an admin, decides; what is so already stays and is not told.

        Raises Problem: `not_found`; `forbidden` for what the caller does not decide, an admin's own credit limit
        included; `invalid_state` for a closed account, for credit on a debit account, or less of it than is used;
        `unavailable` where the account kept changing.
        """
        for _ in range(_TRIES):
            account = self._seen(account_id, caller_id, is_admin=is_admin)
            _check_decides(account, caller_id, wanted, is_admin=is_admin)
            now = self._clock()
            revised = _revised(account, wanted, timestamp(now))
            default = self._store.default_of(account.owner_id, account.currency)
            moves = "default" in wanted.model_fields_set and default.account_id != account.id
            changed = [name for name in _TELLABLE if getattr(revised, name) != getattr(account, name)]
            changed += ["default"] if moves else []
            if not changed:
                return _shown(account, default)
            if revised.version == account.version:
                revised = replace(revised, changes=account.changes + 1)
            froze = "status" in changed and revised.status == "frozen"
            told = revised.told("account.frozen" if froze else "account.updated", now, actor, changed=changed)
            if self._store.revise(account, revised, told, default if moves else None):
                return AccountResource.of(revised, default=moves or default.account_id == account.id)
        raise _busy()

    def close(self, account_id: str, caller_id: str, actor: Actor, *, is_admin: bool) -> None:
        """Closes an account for good; one that is closed stays so.

        Raises Problem: `not_found`; `account_not_empty` with money in it, owed on it or set aside; `invalid_state`
        while credits may still be on their way to its inbox; `unavailable` where the account kept changing.
        """
        obstacle = self._close(self._seen(account_id, caller_id, is_admin=is_admin), actor)
        if obstacle:
            raise Problem(obstacle)

    def close_all(self, request: CloseAccounts) -> ClosedAccounts:
        """Closes all accounts of a user who leaves, and lets none be opened any more; none where one holds money.

        Whatever dies in between, calling again repairs it. Raises Problem `unavailable` where they kept changing.
        """
        user_id = request.user_id
        for _ in range(_TRIES):
            if not any(map(self._obstacle, self._store.all_of(user_id))):
                self._store.bar(user_id)
                # Read anew: until the bar was there, one more could be opened.
                if not any(self._close(account, request.actor) for account in self._store.all_of(user_id)):
                    if self._store.bar_for_good(user_id):
                        return ClosedAccounts("closed")
                    continue
            if self._store.unbar(user_id):
                return ClosedAccounts("not_empty")
        raise _busy()

    def forget(self, owner_id: str) -> None:
        """Takes from the accounts of somebody who has left the names that they gave them."""
        for account in self._store.all_of(owner_id):
            self._store.rename(account.id, default_name(account.currency))

    def _seen(self, account_id: str, caller_id: str, *, is_admin: bool) -> Account:
        account = self._store.get(account_id)
        if account is None or not (is_admin or account.owner_id == caller_id):
            raise Problem("not_found")
        return account

    def _close(self, account: Account | None, actor: Actor) -> str:
        """The code of what keeps an account from being closed; empty where it is closed."""
        for _ in range(_TRIES):
            assert account is not None  # no account is ever removed
            if obstacle := self._obstacle(account):
                return obstacle
            if not account.is_open:
                return ""
            default = self._store.default_of(account.owner_id, account.currency)
            heir = self._heir(account) if default.account_id == account.id else None
            closed = replace(account, status="closed", changes=account.changes + 1)
            told = closed.told("account.closed", self._clock(), actor, changed=["status"])
            if self._store.close(account, closed, told, default, heir):
                return ""
            account = self._store.get(account.id)
        raise _busy()

    def _obstacle(self, account: Account) -> str:
        if not account.is_open:
            return ""
        if not account.is_empty:
            return "account_not_empty"
        if account.is_hot_at(self._clock()) or (account.hot_until and self._store.has_waiting(account.id)):
            return "invalid_state"
        return ""

    def _heir(self, account: Account) -> str | None:
        others = (each for each in self._store.all_of(account.owner_id) if each.id != account.id and each.is_open)
        return next((each.id for each in others if each.currency == account.currency), None)


def _check_decides(account: Account, caller_id: str, wanted: PatchAccount, *, is_admin: bool) -> None:
    is_own = account.owner_id == caller_id
    if (wanted.by_owner and not is_own) or (wanted.by_admin and not is_admin):
        raise Problem("forbidden")
    if is_own and "credit_limit" in wanted.by_admin:
        raise Problem("forbidden", "Nobody decides on their own credit.")


def _revised(account: Account, wanted: PatchAccount, at: str) -> Account:
    sent = wanted.model_fields_set
    if sent and not account.is_open:
        raise Problem("invalid_state", "The account is closed.")
    named = ("name", "low_balance_alert", "status")
    revised = replace(account, **{name: getattr(wanted, name) for name in named if name in sent})
    if "sharded_credits" in sent and wanted.sharded_credits != account.hot:
        revised = replace(revised, hot=wanted.sharded_credits, hot_until=None if wanted.sharded_credits else at)
    if "credit_limit" not in sent:
        return revised
    if account.type == "debit":
        raise Problem("invalid_state", "A debit account has no credit.")
    if wanted.credit_limit == account.credit_limit:
        return revised
    revised = revised.with_credit_limit(wanted.credit_limit, at)
    if revised.available < 0:
        raise Problem("invalid_state", "More than this credit limit is used.")
    return revised


def _shown(account: Account, default: Default) -> AccountResource:
    return AccountResource.of(account, default=default.account_id == account.id)


def _busy() -> Problem:
    return Problem("unavailable", retry_after=1)
