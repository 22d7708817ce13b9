"""Roles and suspension by admins, the first admin by operators, and the deletion of users."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from common.clock import Clock
from common.contracts.accounts import CloseAccounts
from common.contracts.auth import GrantedRole, GrantRole
from common.contracts.events import SYSTEM, Actor
from common.contracts.task import Done
from common.errors import Refusal
from common.retry import retry_on_conflict

from functions.auth.domain.users import Role, Status, User
from functions.auth.service import ATTEMPTS

if TYPE_CHECKING:
    from functions.auth.store import AuthStore


class Administration:
    """Roles, suspension and deletion of users. `close_accounts` is a task of the accounts context."""

    def __init__(self, store: "AuthStore", close_accounts: Callable[[CloseAccounts], Done], now: Clock) -> None:
        self._store = store
        self._close_accounts = close_accounts
        self._now = now

    def change(self, actor: Actor, user_id: str, role: Role | None, status: Status | None) -> User:
        """Return the user with another role or status; None keeps it. A change ends the user's sessions.

        Raises Refusal `forbidden` if the actor is the user, `not_found`, and `invalid_state` if there would be no
        admin left or an admin would be suspended.
        """
        if actor.user_id == user_id:
            raise Refusal("forbidden", "You can't change your own role or status.")
        return retry_on_conflict(lambda: self._change(actor, user_id, role, status), attempts=ATTEMPTS)

    def _change(self, actor: Actor, user_id: str, role: Role | None, status: Status | None) -> User:
        user = self._store.user(user_id)
        if user is None:
            raise Refusal("not_found")
        return self._update(actor, user, role or user.role, status or user.status)

    def _update(self, actor: Actor, user: User, role: Role, status: Status) -> User:
        wanted: dict[str, Any] = {"role": role, "status": status}
        changed = tuple(name for name, value in wanted.items() if getattr(user, name) != value)
        if not changed:
            return user
        if role == "admin" and status == "suspended":
            raise Refusal("invalid_state", "An admin can't be suspended. Change the role first.")
        if role != "admin" and self._is_last_admin(user):
            raise _last_admin()
        now = self._now()
        revised = user.revised(now, **wanted, generation=user.generation + 1)
        suspended = "status" in changed and status == "suspended"
        event = revised.event("user.suspended" if suspended else "user.updated", now, actor, changed)
        self._store.update_user(revised, event, admins=(role == "admin") - (user.role == "admin"))
        return revised

    def remove_second_factor(self, actor: Actor, user_id: str) -> None:
        """Remove a lost or hostile second factor, and end the user's sessions. Without one, nothing changes.

        Raises Refusal `forbidden` if the actor is the user, and `not_found`.
        """
        if actor.user_id == user_id:
            raise Refusal("forbidden", "You can't remove your own second factor this way. Ask another admin.")
        retry_on_conflict(lambda: self._remove_second_factor(actor, user_id), attempts=ATTEMPTS)

    def _remove_second_factor(self, actor: Actor, user_id: str) -> None:
        user = self._store.user(user_id)
        if user is None:
            raise Refusal("not_found")
        if not user.has_second_factor:
            return
        now = self._now()
        revised = user.revised(now, second_factor="none", generation=user.generation + 1)
        self._store.change_second_factor(revised, revised.event("user.updated", now, actor, ("second_factor",)), None)

    def grant(self, request: GrantRole) -> GrantedRole:
        """Give the user of a verified email a role, with the platform as actor. Granting it again changes nothing."""
        return retry_on_conflict(lambda: self._grant(request), attempts=ATTEMPTS)

    def _grant(self, request: GrantRole) -> GrantedRole:
        user = self._store.user_by_email(request.email)
        if user is None or not user.email_verified:
            return GrantedRole("not_found")
        if user.status == "suspended":
            return GrantedRole("suspended", user.id)
        if request.role != "admin" and self._is_last_admin(user):
            return GrantedRole("last_admin", user.id)
        self._update(SYSTEM, user, request.role, user.status)
        return GrantedRole("granted", user.id)

    def delete(self, actor: Actor, user_id: str, *, admin: bool) -> None:
        """Delete a user with all their personal data. The caller is the user or an `admin`; an admin may repeat it.

        Raises Refusal `not_found`, `account_not_empty` if the user has money here, and `invalid_state` for the last
        admin.
        """
        if not admin and actor.user_id != user_id:
            raise Refusal("not_found")
        retry_on_conflict(lambda: self._delete(actor, user_id), attempts=ATTEMPTS)
        # Every write for a user requires that they exist, so nothing is added from now on.
        self._store.delete_user_data(user_id)

    def _delete(self, actor: Actor, user_id: str) -> None:
        user = self._store.user(user_id)
        if user is None:
            if self._store.is_deleted(user_id):
                return
            raise Refusal("not_found")
        if self._is_last_admin(user):
            raise _last_admin()
        self._close_accounts(CloseAccounts(user_id, actor))
        self._store.delete_user(user, user.deleted_event(self._now(), actor))

    def _is_last_admin(self, user: User) -> bool:
        return user.role == "admin" and self._store.admin_count() <= 1


def _last_admin() -> Refusal:
    return Refusal("invalid_state", "This is the last admin. Make another user an admin first.")
