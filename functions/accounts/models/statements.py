"""Shapes of an account's statement."""

from typing import Literal

from common.http.fields import Query, Resource, Timestamp
from pydantic import ConfigDict, Field

from functions.accounts.domain.journal import Statement
from functions.accounts.models.entries import Entry

Format = Literal["json", "csv", "pdf"]

MEDIA_TYPES: dict[str, Format] = {"application/json": "json", "text/csv": "csv", "application/pdf": "pdf"}


class StatementQuery(Query):
    """Which period: `from` is inclusive, `to` exclusive; `format` wins over the Accept header."""

    since: Timestamp = Field(alias="from")
    until: Timestamp = Field(alias="to")
    format: Format | None = None


class StatementResource(Resource):
    """A statement: `opening` and the lines, oldest first, lead to `closing`, the balance at `closing_at`."""

    model_config = ConfigDict(serialize_by_alias=True)

    account_id: str
    account_name: str
    holder: str
    currency: str
    since: str = Field(serialization_alias="from")
    until: str = Field(serialization_alias="to")
    opening: int
    total_credits: int
    total_debits: int
    closing: int
    closing_at: str
    lines: list[Entry]

    @classmethod
    def of(cls, statement: Statement) -> "StatementResource":
        """A statement as a client sees it."""
        return cls(
            account_id=statement.account_id,
            account_name=statement.account_name,
            holder=statement.holder,
            currency=statement.currency,
            since=statement.since,
            until=statement.until,
            opening=statement.opening,
            total_credits=statement.credits,
            total_debits=statement.debits,
            closing=statement.closing,
            closing_at=statement.closing_at,
            lines=[Entry.of(line) for line in statement.lines],
        )


def format_for(accept: str) -> Format:
    """The format that an Accept header (RFC 9110, 12.5.1) prefers; JSON where it names none that there is."""
    best: Format = "json"
    best_quality = 0.0
    for choice in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in choice.split(";"))
        named = MEDIA_TYPES.get(media_type)
        quality = _quality(parameters)
        if named and quality > best_quality:
            best, best_quality = named, quality
    return best


def _quality(parameters: list[str]) -> float:
    weights = [value.strip() for name, _, value in (each.partition("=") for each in parameters) if name.strip() == "q"]
    try:
        return float(weights[0]) if weights else 1.0
    except ValueError:
        return 0.0
