"""Users, as they see themselves, as admins see them and as other rooms may."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from common.errors import Problem
from common.http.lists import Page
from common.tasks import FindUser, FoundUser

from functions.auth.domain.users import Role, Status, User
from functions.auth.service import present

_EXAMINED = 500
"""How many users are looked at for a page, so that a filter that few pass does not make one request read them all."""


class Store(Protocol):
    """What looking up users needs of the table."""

    def user(self, user_id: str) -> User | None:
        """A user by id."""

    def user_by_email(self, email: str) -> User | None:
        """A user by email, verified or not."""

    def user_by_phone(self, phone: str) -> User | None:
        """A user by phone, verified or not."""

    def newest_users(self, older_than: str | None, at_least: int) -> Iterator[tuple[str, User | None]]:
        """Ids and users, newest first, from the one after `older_than`; None for one who was deleted just now."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which users to list; None is any."""

    role: Role | None = None
    status: Status | None = None
    email: str | None = None

    def admit(self, user: User) -> bool:
        """Whether `user` is to be listed."""
        return (
            self.role in (None, user.role) and self.status in (None, user.status) and self.email in (None, user.email)
        )


class Users:
    """Who is here."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def me(self, user_id: str) -> User:
        """The caller. Raises Problem `unauthenticated` where they are gone."""
        return present(self._store.user(user_id))

    def seen_by(self, caller_id: str, user_id: str, *, admin: bool) -> User:
        """A user, for themselves or an admin. Raises Problem `not_found`, for anybody else too."""
        user = self._store.user(user_id) if admin or caller_id == user_id else None
        if user is None:
            raise Problem("not_found")
        return user

    def page(self, filters: Filters, limit: int, older_than: str | None) -> Page:
        """Users, newest first. A page may hold fewer than `limit` and still not be the last."""
        if filters.email is not None:
            user = self._store.user_by_email(filters.email)
            return Page([user] if user is not None and filters.admit(user) else [], None)
        users: list[User] = []
        last = None
        for examined, (user_id, user) in enumerate(self._store.newest_users(older_than, limit + 1)):
            if len(users) == limit or examined == _EXAMINED:
                return Page(users, last)
            last = user_id
            if user is not None and filters.admit(user):
                users.append(user)
        return Page(users, None)

    def find(self, wanted: FindUser) -> FoundUser:
        """A user by exactly one of id, email and phone; by email or phone only where that is verified."""
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
