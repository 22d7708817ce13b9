"""Request and response shapes of the auth routes."""

from typing import Annotated, Literal

from common.http.fields import Body, Code, Email, ListQuery, Name, Phone, Resource
from pydantic import Field, StringConstraints, field_validator, model_validator

from functions.auth.domain.api_keys import ApiKey
from functions.auth.domain.sessions import Session
from functions.auth.domain.users import Role, User

Password = Annotated[str, StringConstraints(min_length=1, max_length=128)]
GivenToken = Annotated[str, StringConstraints(min_length=1, max_length=512)]
ChallengeId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
SecondFactorCode = Annotated[str, StringConstraints(min_length=1, max_length=64)]


def _kept(value: str | None) -> str:
    if value is None:
        raise ValueError("can't be removed")
    return value


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


class LoginAnswer(Body):
    """What answers the challenge of a login: a mailed code, one of an authenticator app, or a recovery code."""

    challenge_id: ChallengeId
    code: SecondFactorCode = Field(repr=False)


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


class ChallengedResource(Resource):
    """A login whose password was right, and what it waits for."""

    challenge_id: str
    methods: tuple[str, ...]


class ProfileChange(Body):
    """What a user changes about themselves; what is left out stays."""

    first_name: Name | None = None
    last_name: Name | None = None
    password: Password | None = Field(default=None, repr=False)
    second_factor: Literal["none", "email"] | None = None

    @field_validator("*")
    @classmethod
    def _not_removed(cls, value: str | None) -> str:
        return _kept(value)


class PasswordChange(Body):
    """The password as it is and as it is to be."""

    current_password: Password = Field(repr=False)
    new_password: Password = Field(repr=False)


class ForgottenPassword(Body):
    """Whose password is forgotten."""

    email: Email


class PasswordReset(Body):
    """The mailed code, and the password that is to be."""

    email: Email
    code: Code = Field(repr=False)
    new_password: Password = Field(repr=False)


class EmailChange(Body):
    """The address that is to be."""

    new_email: Email
    password: Password = Field(repr=False)


class PhoneChange(Body):
    """The number that is to be."""

    phone: Phone


class GivenCode(Body):
    """A code of six digits."""

    code: Code = Field(repr=False)


class TotpDisabling(Body):
    """What it takes to give an authenticator app up."""

    password: Password = Field(repr=False)
    code: SecondFactorCode = Field(repr=False)


class EnrolmentResource(Resource):
    """What an authenticator app has to know, and the codes for when it is lost; shown once."""

    secret: str = Field(repr=False)
    otpauth_uri: str = Field(repr=False)
    recovery_codes: tuple[str, ...] = Field(repr=False)


class NewApiKey(Body):
    """What a server is to be let in for."""

    name: Name
    scopes: Annotated[list[Literal["read", "write", "payments"]], Field(min_length=1, max_length=3)]


class UserChange(Body):
    """Another role or status; what is left out stays."""

    role: Role | None = None
    status: Literal["active", "suspended"] | None = None

    @field_validator("role", "status")
    @classmethod
    def _not_removed(cls, value: str | None) -> str:
        return _kept(value)


class UsersQuery(ListQuery):
    """Which users to list."""

    role: Role | None = None
    status: Literal["active", "suspended"] | None = None
    email: Email | None = None


class Validity(Resource):
    """Whom a token or key stands for; only a session's token has a session and an end."""

    valid: Literal[True] = True
    user_id: str
    role: str
    session_id: str | None
    expires_at: str | None


class SessionResource(Resource):
    """A signed-in device."""

    id: str
    device: str
    ip: str
    created_at: str
    last_used_at: str
    current: bool

    @classmethod
    def of(cls, session: Session, *, current: bool) -> "SessionResource":
        """What its user sees of `session`."""
        return cls(
            id=session.id,
            device=session.device,
            ip=session.ip,
            created_at=session.created_at,
            last_used_at=session.rotated_at,
            current=current,
        )


class ApiKeyResource(Resource):
    """An API key, without what it is used with."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: str
    last_used_at: str | None

    @classmethod
    def of(cls, key: ApiKey) -> "ApiKeyResource":
        """What its user sees of `key`."""
        return cls(**{name: getattr(key, name) for name in ApiKeyResource.model_fields})


class NewApiKeyResource(ApiKeyResource):
    """An API key with its text, shown once."""

    key: str = Field(repr=False)

    @classmethod
    def shown(cls, key: ApiKey, text: str) -> "NewApiKeyResource":
        """What the answer that makes `key` holds."""
        return cls(**ApiKeyResource.of(key).model_dump(), key=text)
