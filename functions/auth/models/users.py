"""Requests and responses about users."""

from typing import Annotated, Literal

from common.http.fields import Body, Email, ListQuery, PersonName, Resource
from pydantic import Field

from functions.auth.domain.users import Role, User, UserFilter
from functions.auth.models.fields import NotNull, Password


class UserResource(Resource):
    """A user."""

    id: str
    email: str
    email_verified: bool
    phone: str | None
    phone_verified: bool
    first_name: str
    last_name: str
    role: str
    status: str
    second_factor: str
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, user: User) -> "UserResource":
        """Return the response for a user."""
        return cls(**{name: getattr(user, name) for name in cls.model_fields})


class ProfileChange(Body):
    """Changes that users make to themselves. A field that is left out stays."""

    first_name: Annotated[PersonName | None, NotNull] = None
    last_name: Annotated[PersonName | None, NotNull] = None
    password: Annotated[Password | None, NotNull] = Field(default=None, repr=False)
    second_factor: Annotated[Literal["none", "email"] | None, NotNull] = None


class UserChange(Body):
    """Changes that an admin makes to a user. A field that is left out stays."""

    role: Annotated[Role | None, NotNull] = None
    status: Annotated[Literal["active", "suspended"] | None, NotNull] = None


class UsersQuery(ListQuery):
    """The filters of the list of users."""

    role: Role | None = None
    status: Literal["active", "suspended"] | None = None
    email: Email | None = None

    def filter(self) -> UserFilter:
        """Return the filter for the service."""
        return UserFilter(self.role, self.status, self.email)
