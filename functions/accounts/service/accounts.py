"""Opening accounts and looking at them."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from common.clock import Clock, timestamp
from common.errors import Problem
from common.events import Actor, Event
from common.http.lists import Page, take
from common.idempotency import Answer, Idempotency, render

from functions.accounts.domain.accounts import Account
from functions.accounts.models.accounts import AccountResource, OpenAccount

_TRIES = 3


class AccountStore(Protocol):
    """What opening and reading accounts needs of a store."""

    def get(self, account_id: str) -> Account | None:
        """An account by its id."""

    def ids_of(self, owner_id: str, before: str | None, limit: int) -> list[str]:
        """At most `limit` ids of an owner's accounts, newest first, beginning after the id `before`."""

    def many(self, account_ids: Sequence[str]) -> list[Account]:
        """Accounts by at most 100 ids, in the order of the ids."""

    def default_of(self, owner_id: str, currency: str) -> str | None:
        """The id of an owner's default account of a currency."""

    def defaults_of(self, owner_id: str) -> set[str]:
        """The ids of all default accounts of an owner."""

    def open(
        self, account: Account, opened: Event, key: Idempotency | None, answer: Answer, *, default: bool
    ) -> Answer | None:
        """Writes a new account with its event and, under `key`, its answer.

        Answers what stands: `answer`, or what the key was answered before; None, and nothing is written, where
        `default` is not true any more. Raises Problem `idempotency_key_reused`.
        """


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

        Raises Problem `idempotency_key_reused`, and `unavailable` where the default keeps changing meanwhile.
        """
        now = self._clock()
        account = Account.new(
            self._new_id("acc", now), owner_id, wanted.currency, wanted.type, wanted.name, timestamp(now)
        )
        opened = Event.new("account.opened", account.id, 0, now, _told(account), actor)
        for _ in range(_TRIES):
            default = self._store.default_of(owner_id, account.currency) is None
            body = render(AccountResource.of(account, default=default))
            answer = Answer(201, body, location=f"/v1/accounts/{account.id}")
            standing = self._store.open(account, opened, key, answer, default=default)
            if standing is not None:
                return Opened(standing, replayed=standing != answer)
        raise Problem("unavailable", retry_after=1)

    def get(self, account_id: str, caller_id: str, *, is_admin: bool) -> AccountResource:
        """An account, for its owner or an admin. Raises Problem `not_found` for anyone else."""
        account = self._store.get(account_id)
        if account is None or not (is_admin or account.owner_id == caller_id):
            raise Problem("not_found")
        default = self._store.default_of(account.owner_id, account.currency) == account.id
        return AccountResource.of(account, default=default)

    def page(self, owner_id: str, after: str | None, limit: int) -> Page:
        """A page of an owner's accounts, newest first; positions are account ids."""
        ids = take(((each, each) for each in self._store.ids_of(owner_id, after, limit + 1)), limit)
        if not ids.items:
            return ids
        defaults = self._store.defaults_of(owner_id)
        accounts = self._store.many(ids.items)
        return Page([AccountResource.of(each, default=each.id in defaults) for each in accounts], ids.next_position)


def _told(account: Account) -> dict[str, str]:
    return {
        "account_id": account.id,
        "owner_id": account.owner_id,
        "currency": account.currency,
        "type": account.type,
        "name": account.name,
    }
