"""Opening, reading, changing and closing accounts."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from common.clock import Clock, timestamp
from common.contracts.accounts import CloseAccounts
from common.contracts.events import Actor
from common.contracts.task import Done
from common.errors import Refusal, Stale
from common.idempotency import Answer, IdempotencyKey, KeyedAnswer
from common.paging import Page, take
from common.retry import retry_on_conflict

from functions.accounts.domain.accounts import (
    MAX_OPEN_ACCOUNTS,
    Account,
    AccountPatch,
    AccountView,
    Default,
    NewAccount,
    default_name,
)

if TYPE_CHECKING:
    from functions.accounts.store.accounts import AccountStore

# Changes of other fields are not published.
_PUBLISHED = ("name", "low_balance_alert", "status", "credit_limit", "hot")
_EXPECTS_MONEY = "Money is on its way to this account. Wait until it has arrived."


class Accounts:
    """The accounts of users. `respond(view, is_admin)` makes the stored answer of a new account."""

    def __init__(
        self,
        store: "AccountStore",
        now: Clock,
        new_id: Callable[[str, datetime], str],
        respond: Callable[[AccountView, bool], Answer],
    ) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id
        self._respond = respond

    def open(
        self, owner_id: str, wanted: NewAccount, key: IdempotencyKey | None, actor: Actor, *, is_admin: bool
    ) -> KeyedAnswer:
        """Open an account. The first of a currency is its default.

        Raises Refusal `idempotency_key_reused`, `limit_reached` if the owner has as many as allowed, and
        `unauthenticated` if the owner is being deleted.
        """
        now = self._now()
        account = Account.new(self._new_id("acc", now), owner_id, wanted, timestamp(now))
        opened = account.event("account.opened", now, actor)

        def attempt() -> KeyedAnswer:
            # In this order: what is opened after the first read counts, whether or not the second one finds it.
            openings = self._store.openings(owner_id)
            open_accounts = sum(each.is_open for each in self._store.all_of(owner_id))
            if open_accounts >= MAX_OPEN_ACCOUNTS:
                if key and (first := self._store.answers.find(key)):
                    return KeyedAnswer(first, replayed=True)
                raise Refusal("limit_reached", f"You have {MAX_OPEN_ACCOUNTS} open accounts. Close one of them first.")
            is_default = self._store.default_of(owner_id, account.currency).account_id is None
            answer = self._respond(AccountView(account, is_default), is_admin)
            most_openings = openings + MAX_OPEN_ACCOUNTS - open_accounts
            stored = self._store.open(account, opened, key, answer, is_default=is_default, most_openings=most_openings)
            return KeyedAnswer(stored, replayed=stored != answer)

        return retry_on_conflict(attempt)

    def get(self, account_id: str, caller_id: str, *, is_admin: bool) -> AccountView:
        """Return an account. Raises Refusal `not_found` unless the caller is its owner or an admin."""
        account = self._visible(account_id, caller_id, is_admin=is_admin)
        return _view(account, self._store.default_of(account.owner_id, account.currency))

    def page(self, owner_id: str, after: str | None, limit: int) -> Page:
        """Return a page of an owner's accounts (`AccountView`), newest first. Positions are account ids."""
        ids = take(((each, each) for each in self._store.ids_of(owner_id, after, limit + 1)), limit)
        if not ids.items:
            return ids
        defaults = self._store.default_ids_of(owner_id)
        accounts = self._store.many(ids.items)
        return Page([AccountView(each, each.id in defaults) for each in accounts], ids.next_position)

    def patch(
        self, account_id: str, caller_id: str, patch: AccountPatch, actor: Actor, *, is_admin: bool
    ) -> AccountView:
        """Change an account. A value that is already set changes nothing and publishes nothing.

        Raises Refusal `not_found`, `forbidden` for fields that the caller may not change (an admin decides nothing of
        their own account), and `invalid_state` as `Account.patched`.
        """

        def attempt() -> AccountView:
            account = self._visible(account_id, caller_id, is_admin=is_admin)
            _check_may_patch(account, caller_id, patch, is_admin=is_admin)
            now = self._now()
            patched = account.patched(patch, timestamp(now))
            default = self._store.default_of(account.owner_id, account.currency)
            becomes_default = patch.makes_default and default.account_id != account.id
            changed = [name for name in _PUBLISHED if getattr(patched, name) != getattr(account, name)]
            changed += ["default"] if becomes_default else []
            if not changed:
                return _view(account, default)
            if patched.version == account.version:
                patched = patched.changed()
            is_frozen = "status" in changed and patched.status == "frozen"
            event = patched.event("account.frozen" if is_frozen else "account.updated", now, actor, changed=changed)
            self._store.update(account, patched, event, default if becomes_default else None)
            return AccountView(patched, becomes_default or default.account_id == account.id)

        return retry_on_conflict(attempt)

    def close(self, account_id: str, caller_id: str, actor: Actor, *, is_admin: bool) -> None:
        """Close an account for good. Closing it again changes nothing.

        Raises Refusal `not_found`, `account_not_empty` if it has money, debt or holds or expects money, and
        `invalid_state` while a pending credit may still arrive.
        """

        def attempt() -> Refusal | None:
            return self._close(self._visible(account_id, caller_id, is_admin=is_admin), actor)

        if obstacle := retry_on_conflict(attempt):
            raise obstacle

    def close_all(self, request: CloseAccounts) -> Done:
        """Close all accounts of a user who is being deleted, and let none be opened any more.

        Raises Refusal `account_not_empty` if one can't be closed; new accounts are allowed again then. After a crash,
        call it again: every step can be repeated.
        """
        user_id = request.user_id

        def attempt() -> Done:
            if not any(map(self._obstacle, self._store.all_of(user_id))):
                self._store.block_new_accounts(user_id)
                # Read again: until now, another account could be opened.
                if not any(self._close(account, request.actor) for account in self._store.all_of(user_id)):
                    if self._store.mark_deleted(user_id):
                        return Done()
                    raise Stale
            if self._store.allow_new_accounts(user_id):
                raise Refusal("account_not_empty")
            raise Stale

        return retry_on_conflict(attempt)

    def forget(self, owner_id: str) -> None:
        """Remove the names that a deleted user gave their accounts."""
        for account in self._store.all_of(owner_id):
            self._store.rename(account.id, default_name(account.currency))

    def _visible(self, account_id: str, caller_id: str, *, is_admin: bool) -> Account:
        account = self._store.get(account_id)
        if account is None or not (is_admin or account.owner_id == caller_id):
            raise Refusal("not_found")
        return account

    def _close(self, account: Account, actor: Actor) -> Refusal | None:
        """Close an account as it was read. Returns what prevents it, if anything. Raises Stale."""
        obstacle = self._obstacle(account)
        if obstacle or not account.is_open:
            return obstacle
        default = self._store.default_of(account.owner_id, account.currency)
        next_default = self._next_default(account) if default.account_id == account.id else None
        closed = replace(account, status="closed").changed()
        event = closed.event("account.closed", self._now(), actor, changed=["status"])
        self._store.close(account, closed, event, default, next_default)
        return None

    def _obstacle(self, account: Account) -> Refusal | None:
        if not account.is_open:
            return None
        if not account.is_empty:
            only_expects = account.posted == account.held == 0
            return Refusal("account_not_empty", _EXPECTS_MONEY if only_expects else "")
        if account.may_get_pending_credits(self._now()) or (
            account.hot_until and self._store.has_pending_credits(account.id)
        ):
            return Refusal("invalid_state")
        return None

    def _next_default(self, account: Account) -> str | None:
        others = (each for each in self._store.all_of(account.owner_id) if each.id != account.id and each.is_open)
        return next((each.id for each in others if each.currency == account.currency), None)


def _check_may_patch(account: Account, caller_id: str, patch: AccountPatch, *, is_admin: bool) -> None:
    is_owner = account.owner_id == caller_id
    if (patch.by_owner and not is_owner) or (patch.by_admin and not is_admin):
        raise Refusal("forbidden")
    if patch.by_admin and is_owner:
        raise Refusal("forbidden", "Another admin has to decide this: the account is your own.")


def _view(account: Account, default: Default) -> AccountView:
    return AccountView(account, default.account_id == account.id)
