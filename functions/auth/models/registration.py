"""Requests of registration and email verification."""

from common.http.fields import Body, Code, Email, Name, Phone
from pydantic import Field, model_validator

from functions.auth.models.fields import ChallengeId, Password


class RegistrationRequest(Body):
    """A registration."""

    email: Email
    password: Password = Field(repr=False)
    first_name: Name
    last_name: Name
    phone: Phone | None = None


class EmailVerification(Body):
    """The code that was mailed to an email address."""

    email: Email
    code: Code = Field(repr=False)


class CodeResend(Body):
    """Which code to send again: of an email verification, or of a login's challenge."""

    email: Email | None = None
    challenge_id: ChallengeId | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "CodeResend":
        if (self.email is None) == (self.challenge_id is None):
            raise ValueError("must have exactly one of email and challenge_id")
        return self
