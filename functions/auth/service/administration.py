"""What is done to users: roles and suspension by admins, deletion by themselves too, the first admin by operators."""

from collections.abc import Callable
from typing import Any, Protocol

from common.clock import Clock
from common.errors import Problem
from common.events import SYSTEM, Actor, Event
from common.tasks import CloseAccounts, ClosedAccounts, GrantedRole, GrantRole

from functions.auth.domain.users import Role, Status, User
from functions.auth.service import settled


class Store(Protocol):
    """What changing users needs of the table."""

    def user(self, user_id: str) -> User | None:
        """A user by id; one who was deleted is none."""

    def user_by_email(self, email: str) -> User | None:
        """A user by email, verified or not."""

    def admins(self) -> int:
        """How many there are."""

    def change_user(self, user: User, event: Event, admins: int) -> None:
        """Writes a changed user and how many more (+1) or fewer (-1) admins that makes, never none. Raises Stale."""

    def bury(self, user: User, event: Event) -> None:
        """Leaves nothing of the user's item but the fact, and frees email and phone. Raises Stale, as `change_user`."""

    def is_buried(self, user_id: str) -> bool:
        """Whether there was such a user, who is deleted."""

    def clear(self, user_id: str) -> None:
        """Removes all that a deleted user left; may be repeated wherever it died."""


class Administration:
    """Who may what, and who leaves. `close_accounts` is the accounts room's."""

    def __init__(self, store: Store, close_accounts: Callable[[CloseAccounts], ClosedAccounts], now: Clock) -> None:
        self._store = store
        self._close_accounts = close_accounts
        self._now = now

    def change(self, actor: Actor, user_id: str, role: Role | None, status: Status | None) -> User:
        """A user with another role or status, None meaning as it is; what changes ends their sessions.

        Raises Problem `forbidden` for one's own, `not_found`, and `invalid_state` where the last admin would go or an
        admin would be suspended.
        """
        if actor.user_id == user_id:
            raise Problem("forbidden", "Nobody changes their own role or status.")
        return settled(lambda: self._change(actor, user_id, role, status))

    def _change(self, actor: Actor, user_id: str, role: Role | None, status: Status | None) -> User:
        user = self._store.user(user_id)
        if user is None:
            raise Problem("not_found")
        return self._become(actor, user, role or user.role, status or user.status)

    def _become(self, actor: Actor, user: User, role: Role, status: Status) -> User:
        wanted: dict[str, Any] = {"role": role, "status": status}
        changed = tuple(name for name, value in wanted.items() if getattr(user, name) != value)
        if not changed:
            return user
        if role == "admin" and status == "suspended":
            raise Problem("invalid_state", "An admin is given another role before being suspended.")
        if role != "admin" and self._is_last_admin(user):
            raise _last_admin()
        now = self._now()
        revised = user.revised(now, **wanted, generation=user.generation + 1)
        suspended = "status" in changed and status == "suspended"
        event = revised.event("user.suspended" if suspended else "user.updated", now, actor, changed)
        self._store.change_user(revised, event, (role == "admin") - (user.role == "admin"))
        return revised

    def grant(self, request: GrantRole) -> GrantedRole:
        """Gives the user of a verified email a role, in the platform's own name; giving it again changes nothing."""
        return settled(lambda: self._grant(request))

    def _grant(self, request: GrantRole) -> GrantedRole:
        user = self._store.user_by_email(request.email)
        if user is None or not user.email_verified:
            return GrantedRole("not_found")
        if user.status == "suspended":
            return GrantedRole("suspended", user.id)
        if request.role != "admin" and self._is_last_admin(user):
            return GrantedRole("last_admin", user.id)
        self._become(SYSTEM, user, request.role, user.status)
        return GrantedRole("granted", user.id)

    def delete(self, actor: Actor, user_id: str, *, admin: bool) -> None:
        """Removes a user and all their personal data, by themselves or an `admin`; an admin may repeat it.

        Raises Problem `not_found`, `account_not_empty` where they have money here, and `invalid_state` for the last
        admin.
        """
        if not admin and actor.user_id != user_id:
            raise Problem("not_found")
        settled(lambda: self._delete(actor, user_id))
        # Nothing can be added any more: whoever writes for the user holds to their being there.
        self._store.clear(user_id)

    def _delete(self, actor: Actor, user_id: str) -> None:
        user = self._store.user(user_id)
        if user is None:
            if self._store.is_buried(user_id):
                return
            raise Problem("not_found")
        if self._is_last_admin(user):
            raise _last_admin()
        if self._close_accounts(CloseAccounts(user_id, actor)).outcome == "not_empty":
            raise Problem("account_not_empty")
        self._store.bury(user, user.deletion(self._now(), actor))

    def _is_last_admin(self, user: User) -> bool:
        return user.role == "admin" and self._store.admins() <= 1


def _last_admin() -> Problem:
    return Problem("invalid_state", "The last admin stays one.")
