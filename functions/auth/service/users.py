"""Reading users: for themselves, for admins and for other contexts."""

from typing import TYPE_CHECKING

from common.contracts.auth import FindUser, FoundUser
from common.errors import Refusal
from common.paging import Page

from functions.auth.domain.users import User, UserFilter
from functions.auth.service import signed_in_user

if TYPE_CHECKING:
    from functions.auth.store import AuthStore

_MAX_EXAMINED = 500
"""How many users are read for a page at most, so that a filter that few users match does not read all of them."""


class Users:
    """The users of the platform."""

    def __init__(self, store: "AuthStore") -> None:
        self._store = store

    def me(self, user_id: str) -> User:
        """Return the caller. Raises Refusal `unauthenticated` if they were deleted."""
        return signed_in_user(self._store.user(user_id))

    def seen_by(self, caller_id: str, user_id: str, *, admin: bool) -> User:
        """Return a user to themselves or an admin. Raises Refusal `not_found`, for other callers too."""
        user = self._store.user(user_id) if admin or caller_id == user_id else None
        if user is None:
            raise Refusal("not_found")
        return user

    def page(self, filters: UserFilter, limit: int, older_than: str | None) -> Page:
        """Return users, newest first. A page may have fewer than `limit` users and still not be the last."""
        if filters.email is not None:
            user = self._store.user_by_email(filters.email)
            return Page([user] if user is not None and filters.matches(user) else [], None)
        users: list[User] = []
        last = None
        for examined, (user_id, user) in enumerate(self._store.newest_users(older_than, limit + 1)):
            if len(users) == limit or examined == _MAX_EXAMINED:
                return Page(users, last)
            last = user_id
            if user is not None and filters.matches(user):
                users.append(user)
        return Page(users, None)

    def find(self, wanted: FindUser) -> FoundUser:
        """Return a user by exactly one of id, email and phone. An email or phone must be verified."""
        user = self._lookup(wanted)
        if user is None:
            return FoundUser("not_found")
        return FoundUser(
            outcome="found",
            user_id=user.id,
            email=user.email,
            email_verified=user.email_verified,
            phone=user.phone,
            phone_verified=user.phone_verified,
            first_name=user.first_name,
            last_name=user.last_name,
            status=user.status,
            sequence=user.sequence,
        )

    def _lookup(self, wanted: FindUser) -> User | None:
        match wanted:
            case FindUser(user_id=str(user_id), email=None, phone=None):
                return self._store.user(user_id)
            case FindUser(user_id=None, email=str(email), phone=None):
                user = self._store.user_by_email(email)
                return user if user is not None and user.email_verified else None
            case FindUser(user_id=None, email=None, phone=str(phone)):
                user = self._store.user_by_phone(phone)
                return user if user is not None and user.phone_verified else None
            case _:
                raise ValueError("exactly one of user_id, email and phone")
