"""PINs as requests. No response has one."""

from common.http.fields import Body, Code
from common.http.fields import Pin as PinText
from pydantic import Field


class SetPin(Body):
    """The body of PUT /accounts/{account_id}/pin. `current_pin` is needed if the account has a PIN."""

    pin: PinText = Field(repr=False)
    current_pin: PinText | None = Field(None, repr=False)


class ConfirmPin(Body):
    """The body of POST /accounts/{account_id}/pin/confirm. `code` is the mailed code."""

    code: Code = Field(repr=False)
    new_pin: PinText = Field(repr=False)
