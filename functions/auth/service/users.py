"""Users, as they see themselves and as other rooms may."""

from typing import Protocol

from common.errors import Problem
from common.tasks import FindUser, FoundUser

from functions.auth.domain.users import User


class Store(Protocol):
    """What looking up users needs of the table."""

    def user(self, user_id: str) -> User | None:
        """A user by id."""

    def user_by_email(self, email: str) -> User | None:
        """A user by email, verified or not."""

    def user_by_phone(self, phone: str) -> User | None:
        """A user by phone, verified or not."""


class Users:
    """Who is here."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def me(self, user_id: str) -> User:
        """The caller. Raises Problem `unauthenticated` where they are gone."""
        user = self._store.user(user_id)
        if user is None:
            raise Problem("unauthenticated")
        return user

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
