"""Requests that change or reset a password."""

from common.http.fields import Body, Code, Email
from pydantic import Field

from functions.auth.models.fields import Password


class PasswordChange(Body):
    """The current password and the new one."""

    current_password: Password = Field(repr=False)
    new_password: Password = Field(repr=False)


class ForgottenPassword(Body):
    """The email of a user who has forgotten their password."""

    email: Email


class PasswordReset(Body):
    """The mailed code and the new password."""

    email: Email
    code: Code = Field(repr=False)
    new_password: Password = Field(repr=False)
