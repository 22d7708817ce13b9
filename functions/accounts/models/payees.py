"""Payees as requests and responses."""

from typing import Annotated

from common.http.fields import Email, Phone, Query, Resource
from pydantic import AfterValidator, StringConstraints, TypeAdapter, ValidationError

from functions.accounts.domain.payees import Payee

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_PHONE: TypeAdapter[str] = TypeAdapter(Phone)


def _alias(text: str) -> str:
    try:
        return (_EMAIL if "@" in text else _PHONE).validate_python(text)
    except ValidationError:
        # The original message quotes the input.
        raise ValueError("must be an email address or an E.164 phone number") from None


class PayeeQuery(Query):
    """The query of GET /payees."""

    alias: Annotated[str, StringConstraints(max_length=512), AfterValidator(_alias)]

    @property
    def email(self) -> str | None:
        """The alias if it is an email address."""
        return self.alias if "@" in self.alias else None

    @property
    def phone(self) -> str | None:
        """The alias if it is a phone number."""
        return None if "@" in self.alias else self.alias


class PayeeResource(Resource):
    """Who has an alias, as shown to a caller who knows only the alias."""

    alias: str
    display_name: str

    @classmethod
    def of(cls, alias: str, payee: Payee) -> "PayeeResource":
        """Return a payee with the name masked."""
        return cls(alias=alias, display_name=payee.masked_name)
