"""Requests of registration and email verification."""

from common.http.fields import Body, Code, Email, PersonName, Phone
from common.http.text import imitates_product
from pydantic import Field, ValidationInfo, field_validator, model_validator

from functions.auth.models.fields import ChallengeId, Password


class RegistrationRequest(Body):
    """A registration."""

    email: Email
    password: Password = Field(repr=False)
    first_name: PersonName
    last_name: PersonName
    phone: Phone | None = None

    @field_validator("last_name")
    @classmethod
    def _not_the_products_with_the_first(cls, last_name: str, info: ValidationInfo) -> str:
        if imitates_product(f"{info.data.get('first_name', '')} {last_name}"):
            raise ValueError("must not imitate the name of this service together with the first name")
        return last_name


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
