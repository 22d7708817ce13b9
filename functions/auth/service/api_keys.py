"""API keys: created, listed, revoked, and checked by the authorizer."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from common.clock import Clock
from common.contracts.events import Actor
from common.errors import Refusal
from common.paging import Page, take
from common.retry import retry_on_conflict

from functions.auth.domain.api_keys import MAX_API_KEYS, ApiKey, CreatedApiKey, parts_of, text_of
from functions.auth.domain.sessions import Claims
from functions.auth.domain.users import User
from functions.auth.service import ATTEMPTS, signed_in_user

if TYPE_CHECKING:
    from functions.auth.store import AuthStore


class ApiKeys:
    """The API keys of users."""

    def __init__(
        self, store: "AuthStore", now: Clock, new_id: Callable[[str, datetime], str], new_secret: Callable[[], str]
    ) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id
        self._new_secret = new_secret

    def create(self, actor: Actor, user_id: str, name: str, scopes: set[str]) -> CreatedApiKey:
        """Create a key for a user. Raises Refusal `limit_reached` if they have 20 already."""
        return retry_on_conflict(lambda: self._create(actor, user_id, name, scopes), attempts=ATTEMPTS)

    def _create(self, actor: Actor, user_id: str, name: str, scopes: set[str]) -> CreatedApiKey:
        now = self._now()
        user = self._owner(user_id).revised(now)
        ids = self._store.api_key_ids(user_id)
        if len(ids) >= MAX_API_KEYS:
            raise Refusal("limit_reached", f"You already have {MAX_API_KEYS} API keys. Revoke one first.")
        secret = self._new_secret()
        key = ApiKey.new(self._new_id("key", now), secret, user, name, scopes, now)
        self._store.add_api_key(key, (*ids, key.id), user, user.event("user.updated", now, actor, ("api_key_created",)))
        return CreatedApiKey(key, text_of(key.id, secret))

    def page(self, user_id: str, limit: int, older_than: str | None) -> Page:
        """Return the keys of a user, newest first."""
        ids = (each for each in reversed(self._store.api_key_ids(user_id)) if older_than is None or each < older_than)
        page = take(((each, each) for each in ids), limit)
        return Page(self._store.api_keys(tuple(page.items)), page.next_position)

    def revoke(self, actor: Actor, user_id: str, key_id: str) -> None:
        """Revoke a key of a user. Raises Refusal `not_found`."""
        retry_on_conflict(lambda: self._revoke(actor, user_id, key_id), attempts=ATTEMPTS)

    def _revoke(self, actor: Actor, user_id: str, key_id: str) -> None:
        now = self._now()
        user = self._owner(user_id).revised(now)
        ids = self._store.api_key_ids(user_id)
        if key_id not in ids:
            raise Refusal("not_found")
        left = tuple(each for each in ids if each != key_id)
        self._store.remove_api_key(key_id, left, user, user.event("user.updated", now, actor, ("api_key_revoked",)))

    def authorize(self, text: str) -> Claims:
        """Return what a key allows. Raises Refusal `unauthenticated` if it is invalid, revoked, or its user is gone."""
        parts = parts_of(text)
        key = self._store.api_key(parts[0]) if parts else None
        if parts is None or key is None or not key.matches(parts[1]):
            raise Refusal("unauthenticated")
        user = self._owner(key.user_id)
        used = key.used(self._now())
        if used is not None:
            self._store.record_use(used)
        return key.claims(user)

    def _owner(self, user_id: str) -> User:
        user = signed_in_user(self._store.user(user_id))
        if user.status != "active":
            raise Refusal("unauthenticated")
        return user
