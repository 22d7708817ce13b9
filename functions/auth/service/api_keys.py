"""API keys: made for a user's servers, listed, revoked; and who one stands for."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, Protocol

from common.clock import Clock
from common.errors import Problem
from common.events import Actor, Event
from common.http.lists import Page, take

from functions.auth.domain.api_keys import MOST_KEYS, ApiKey, parts_of, text_of
from functions.auth.domain.sessions import Claims
from functions.auth.domain.users import User
from functions.auth.service import present, settled


class Store(Protocol):
    """What API keys need of the table."""

    def user(self, user_id: str) -> User | None:
        """A user by id."""

    def api_key(self, key_id: str) -> ApiKey | None:
        """A key by id."""

    def keyring(self, user_id: str) -> tuple[str, ...]:
        """The ids of a user's keys, oldest first."""

    def api_keys(self, ids: tuple[str, ...]) -> list[ApiKey]:
        """Keys by their ids, in their order."""

    def add_api_key(self, key: ApiKey, keyring: tuple[str, ...], user: User, event: Event) -> None:
        """Writes a new key, its owner's keyring with it, and the owner changed. Raises Stale."""

    def remove_api_key(self, key_id: str, keyring: tuple[str, ...], user: User, event: Event) -> None:
        """Removes a key, writes its owner's keyring without it, and the owner changed. Raises Stale."""

    def note_use(self, key: ApiKey) -> None:
        """Writes when a key was last used, where it is still there and nobody else is writing it."""


class NewKey(NamedTuple):
    """A key, and the text of it that is shown this once."""

    key: ApiKey
    text: str


class ApiKeys:
    """What servers sign in with."""

    def __init__(
        self, store: Store, now: Clock, new_id: Callable[[str, datetime], str], new_secret: Callable[[], str]
    ) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id
        self._new_secret = new_secret

    def create(self, actor: Actor, user_id: str, name: str, scopes: set[str]) -> NewKey:
        """A new key of the user's. Raises Problem `invalid_state` where there are 20."""
        return settled(lambda: self._create(actor, user_id, name, scopes))

    def _create(self, actor: Actor, user_id: str, name: str, scopes: set[str]) -> NewKey:
        now = self._now()
        user = self._owner(user_id).revised(now)
        keyring = self._store.keyring(user_id)
        if len(keyring) >= MOST_KEYS:
            raise Problem("invalid_state", f"There are {MOST_KEYS} keys already; revoke one first.")
        secret = self._new_secret()
        key = ApiKey.new(self._new_id("key", now), secret, user, name, scopes, now)
        self._store.add_api_key(key, (*keyring, key.id), user, _told(user, now, actor))
        return NewKey(key, text_of(key.id, secret))

    def page(self, user_id: str, limit: int, older_than: str | None) -> Page:
        """The user's keys, newest first."""
        ids = (each for each in reversed(self._store.keyring(user_id)) if older_than is None or each < older_than)
        page = take(((each, each) for each in ids), limit)
        return Page(self._store.api_keys(tuple(page.items)), page.next_position)

    def revoke(self, actor: Actor, user_id: str, key_id: str) -> None:
        """Ends a key of the user's. Raises Problem `not_found`."""
        settled(lambda: self._revoke(actor, user_id, key_id))

    def _revoke(self, actor: Actor, user_id: str, key_id: str) -> None:
        now = self._now()
        user = self._owner(user_id).revised(now)
        keyring = self._store.keyring(user_id)
        if key_id not in keyring:
            raise Problem("not_found")
        left = tuple(each for each in keyring if each != key_id)
        self._store.remove_api_key(key_id, left, user, _told(user, now, actor))

    def authorize(self, text: str) -> Claims:
        """Who is asking. Raises Problem `unauthenticated` for what is no key, was revoked, or whose user is gone."""
        parts = parts_of(text)
        key = self._store.api_key(parts[0]) if parts else None
        if parts is None or key is None or not key.opens(parts[1]):
            raise Problem("unauthenticated")
        user = self._owner(key.user_id)
        if not key.is_live(user):
            raise Problem("unauthenticated")
        used = key.used(self._now())
        if used is not None:
            self._store.note_use(used)
        return key.claims(user)

    def _owner(self, user_id: str) -> User:
        user = present(self._store.user(user_id))
        if user.status != "active":
            raise Problem("unauthenticated")
        return user


def _told(user: User, at: datetime, actor: Actor) -> Event:
    return user.event("user.updated", at, actor, ("api_keys",))
