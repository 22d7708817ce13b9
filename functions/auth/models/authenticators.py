"""Requests and responses about authenticator apps."""

from common.http.fields import Body, Resource
from pydantic import Field

from functions.auth.domain.authenticators import TotpEnrolment
from functions.auth.models.fields import Password, SecondFactorCode


class TotpRemoval(Body):
    """The password and a code, which are needed to disable an authenticator app."""

    password: Password = Field(repr=False)
    code: SecondFactorCode = Field(repr=False)


class TotpEnrolmentResource(Resource):
    """The secret and URI for an authenticator app, and the recovery codes. Shown only once."""

    secret: str = Field(repr=False)
    otpauth_uri: str = Field(repr=False)
    recovery_codes: tuple[str, ...] = Field(repr=False)

    @classmethod
    def of(cls, enrolment: TotpEnrolment) -> "TotpEnrolmentResource":
        """Return the response for an enrolment."""
        return cls(**{name: getattr(enrolment, name) for name in cls.model_fields})
