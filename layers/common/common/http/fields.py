"""The fields that requests share. Bodies are strict: nothing is coerced, unknown fields are refused."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from common import clock, ids
from common.http.text import imitates_product, person_name, visible
from common.money import MAX_AMOUNT, is_currency

# RFC 5321's dot-atom in ASCII, with a dot required in the domain: what mail servers accept.
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+")
# datetime.fromisoformat reads more of ISO 8601 than RFC 3339 has.
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)


class Body(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NoFields(Body):
    """The body of a request that has no fields."""


class Query(BaseModel):
    """A query string: every value arrives as text."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _limit(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}", value) is None:
        raise ValueError("must be a whole number from 1 to 100")
    return value


Limit = Annotated[int, BeforeValidator(_limit), Field(ge=1, le=100)]
Cursor = str


class ListQuery(Query):
    """The query of a list."""

    limit: Limit = 25
    cursor: Cursor | None = None


class Resource(BaseModel):
    """A response body."""

    model_config = ConfigDict(frozen=True)


def _currency(code: str) -> str:
    if not is_currency(code):
        raise ValueError("must be an ISO 4217 currency code")
    return code


def _email(text: str) -> str:
    address = text.strip().lower()
    local, _, domain = address.partition("@")
    # Checked before lower(), which turns a few letters of other scripts into ASCII.
    if not text.strip().isascii() or not _EMAIL.fullmatch(address) or len(local) > 64 or len(domain) > 189:
        raise ValueError("must be an email address")
    return address


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text.strip()


def _not_the_products(name: str) -> str:
    if imitates_product(name):
        raise ValueError("must not imitate the name of this service")
    return name


def _timestamp(text: object) -> object:
    if not isinstance(text, str) or not _RFC_3339.fullmatch(text):
        raise ValueError("must be an RFC 3339 time")
    return clock.timestamp(clock.parse(text.upper()))


def _id(prefix: str) -> AfterValidator:
    def check(text: str) -> str:
        if not ids.is_id(text, prefix):
            raise ValueError(f"must be an id that starts with {prefix}_")
        return text

    return AfterValidator(check)


def _matches(pattern: str, message: str) -> AfterValidator:
    compiled = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(message)
        return text

    return AfterValidator(check)


Amount = Annotated[int, Field(strict=True, ge=1, le=MAX_AMOUNT)]
Currency = Annotated[str, AfterValidator(_currency)]
Email = Annotated[str, StringConstraints(max_length=512), AfterValidator(_email)]
Phone = Annotated[str, _matches(r"\+[1-9][0-9]{6,14}", "must be a phone number in E.164 form, such as +14155550123")]
PersonName = Annotated[
    str, StringConstraints(max_length=60), AfterValidator(person_name), AfterValidator(_not_the_products)
]
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=100), AfterValidator(visible), AfterValidator(_not_blank)
]
Description = Annotated[str, StringConstraints(max_length=500), AfterValidator(visible)]
Code = Annotated[str, _matches(r"[0-9]{6}", "must be the six digits of the code")]
Pin = Annotated[str, _matches(r"[0-9]{6}", "must be six digits")]
Timestamp = Annotated[str, BeforeValidator(_timestamp)]
UserId = Annotated[str, _id("usr")]
AccountId = Annotated[str, _id("acc")]
CardId = Annotated[str, _id("crd")]
BankAccountId = Annotated[str, _id("bka")]
TransferId = Annotated[str, _id("trf")]
_MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=40), AfterValidator(visible)]
_MetadataValue = Annotated[str, StringConstraints(max_length=500), AfterValidator(visible)]
Metadata = Annotated[dict[_MetadataKey, _MetadataValue], Field(max_length=50)]


def pointer(location: tuple[Any, ...]) -> str:
    """Return the JSON Pointer (RFC 6901) of a location in pydantic's errors."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


_EXPLANATIONS: dict[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this request; remove it",
    "string_type": "must be a string",
    "string_unicode": "must be valid Unicode text",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_from_float": "must be an integer",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be greater than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "literal_error": "must be {expected}",
}


def explain(fault: Mapping[str, Any]) -> str:
    """Return what is wrong with a field, in our words, for one of pydantic's errors.

    A validator of ours has said it already. An error that is not in the table has no text of pydantic's either.
    """
    context = fault.get("ctx") or {}
    if fault["type"] == "value_error":
        return str(context["error"])
    return _EXPLANATIONS.get(fault["type"], "is not valid").format(**context)
