"""Request and response shapes of the auth routes."""

from typing import Annotated, Literal

from common.http.fields import Body, Code, Email, Name, Phone, Resource
from pydantic import Field, StringConstraints, model_validator

from functions.auth.domain.users import User

Password = Annotated[str, StringConstraints(min_length=1, max_length=128)]
GivenToken = Annotated[str, StringConstraints(min_length=1, max_length=512)]
ChallengeId = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Register(Body):
    """Who wants in."""

    email: Email
    password: Password = Field(repr=False)
    first_name: Name
    last_name: Name
    phone: Phone | None = None


class VerifyEmail(Body):
    """The mailed code."""

    email: Email
    code: Code = Field(repr=False)


class ResendCode(Body):
    """Whose code to send again: by email for the address's verification, by challenge for a login."""

    email: Email | None = None
    challenge_id: ChallengeId | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "ResendCode":
        if (self.email is None) == (self.challenge_id is None):
            raise ValueError("must have exactly one of email and challenge_id")
        return self


class Credentials(Body):
    """Who comes back."""

    email: Email
    password: Password = Field(repr=False)


class GivenRefreshToken(Body):
    """A refresh token, where the client keeps it itself."""

    refresh_token: GivenToken | None = Field(default=None, repr=False)


class UserResource(Resource):
    """A user, as they see themselves."""

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
        """What a client sees of `user`."""
        return cls(**{name: getattr(user, name) for name in cls.model_fields})


class Granted(Resource):
    """The tokens of a session, and whose it is."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 (the scheme's name)
    expires_in: int
    refresh_token: str
    user: UserResource
