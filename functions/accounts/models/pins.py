"""PINs on the wire: they come in and never go out."""

from common.http.fields import Body, Code
from common.http.fields import Pin as PinText
from pydantic import Field


class SetPin(Body):
    """PUT /accounts/{account_id}/pin; `current_pin` where there is one."""

    pin: PinText = Field(repr=False)
    current_pin: PinText | None = Field(None, repr=False)


class ConfirmPin(Body):
    """POST /accounts/{account_id}/pin/confirm: the code that was mailed."""

    code: Code = Field(repr=False)
    new_pin: PinText = Field(repr=False)
