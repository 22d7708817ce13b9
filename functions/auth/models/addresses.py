"""Requests that change an email address or a phone number."""

from common.http.fields import Body, Email, Phone
from pydantic import Field

from functions.auth.models.fields import Password


class EmailChange(Body):
    """The new email address, with the password."""

    new_email: Email
    password: Password = Field(repr=False)


class PhoneChange(Body):
    """The new phone number."""

    phone: Phone
