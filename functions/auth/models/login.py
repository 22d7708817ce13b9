"""Requests and responses of the two steps of a login."""

from common.http.fields import Body, Email, Resource
from pydantic import Field

from functions.auth.domain.codes import LoginChallenge
from functions.auth.models.fields import ChallengeId, Password, SecondFactorCode


class LoginCredentials(Body):
    """Email and password."""

    email: Email
    password: Password = Field(repr=False)


class LoginVerification(Body):
    """The answer to a challenge: a mailed code, a code of an authenticator app, or a recovery code."""

    challenge_id: ChallengeId
    code: SecondFactorCode = Field(repr=False)


class LoginChallengeResource(Resource):
    """A login whose password was correct, and the methods that can complete it."""

    challenge_id: str
    methods: tuple[str, ...]

    @classmethod
    def of(cls, challenge: LoginChallenge) -> "LoginChallengeResource":
        """Return the response for a challenge."""
        return cls(challenge_id=challenge.challenge_id, methods=challenge.methods)
