"""Requests and responses about sessions and tokens."""

from typing import Annotated, Literal

from common.http.fields import Body, Resource
from common.http.request import Principal
from pydantic import Field, StringConstraints

from functions.auth.domain.sessions import ACCESS_LIFETIME, GrantedTokens, Session
from functions.auth.models.fields import Password, SecondFactorCode
from functions.auth.models.users import UserResource


class RefreshTokenBody(Body):
    """A refresh token, sent by clients that do not use the cookie."""

    refresh_token: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = Field(
        default=None, repr=False
    )


class Reauthentication(Body):
    """The password, and a code of the second factor. Without a code, one is mailed to a user with a second factor."""

    password: Password = Field(repr=False)
    code: SecondFactorCode | None = Field(default=None, repr=False)


class GrantedTokensResource(Resource):
    """The tokens of a session, and its user."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 (the scheme's name)
    expires_in: int
    refresh_token: str
    user: UserResource

    @classmethod
    def of(cls, granted: GrantedTokens) -> "GrantedTokensResource":
        """Return the response for the tokens of a login or a refresh."""
        return cls(
            access_token=granted.access_token,
            expires_in=int(ACCESS_LIFETIME.total_seconds()),
            refresh_token=granted.refresh_token,
            user=UserResource.of(granted.user),
        )


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
        """Return the response for a session. `current` says that the request was made in it."""
        return cls(
            id=session.id,
            device=session.device,
            ip=session.ip,
            created_at=session.created_at,
            last_used_at=session.rotated_at,
            current=current,
        )


class ValidityResource(Resource):
    """Whom a valid token or API key stands for. An API key has no session and does not expire."""

    valid: Literal[True] = True
    user_id: str
    role: str
    session_id: str | None
    expires_at: str | None

    @classmethod
    def of(cls, who: Principal) -> "ValidityResource":
        """Return the response for a caller."""
        session_id, expires_at = (None, None) if who.is_key else (who.session_id, who.expires_at)
        return cls(user_id=who.user_id, role=who.role, session_id=session_id, expires_at=expires_at)
