"""The fields that requests share. Bodies are strict: nothing is coerced, unknown fields are refused."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from common import clock, ids
from common.money import MAX_AMOUNT, is_currency

# RFC 5321's dot-atom in ASCII, with a dot required in the domain: what mail servers accept.
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+")
# Control characters, line separators, and bidirectional overrides (CVE-2021-42574).
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


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


def _printable(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must not hold control characters")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text.strip()


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


Amount = Annotated[int, Field(strict=True, ge=1, le=MAX_AMOUNT)]
Currency = Annotated[str, StringConstraints(min_length=3, max_length=3), AfterValidator(_currency)]
Email = Annotated[str, StringConstraints(max_length=512), AfterValidator(_email)]
Phone = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$", max_length=16)]
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=100), AfterValidator(_printable), AfterValidator(_not_blank)
]
Description = Annotated[str, StringConstraints(max_length=500), AfterValidator(_printable)]
Code = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$", max_length=6)]
Pin = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$", max_length=6)]
Timestamp = Annotated[str, BeforeValidator(_timestamp)]
UserId = Annotated[str, _id("usr")]
AccountId = Annotated[str, _id("acc")]
CardId = Annotated[str, _id("crd")]
BankAccountId = Annotated[str, _id("bka")]
TransferId = Annotated[str, _id("trf")]
_MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=40), AfterValidator(_printable)]
_MetadataValue = Annotated[str, StringConstraints(max_length=500), AfterValidator(_printable)]
Metadata = Annotated[dict[_MetadataKey, _MetadataValue], Field(max_length=50)]


def pointer(location: tuple[Any, ...]) -> str:
    """Return the JSON Pointer (RFC 6901) of a location in pydantic's errors."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)
