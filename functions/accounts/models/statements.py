"""The wire format of an account's statements."""

from typing import Literal, NamedTuple

from common.http.fields import Query, Resource, Timestamp
from common.idempotency import JSON, render
from pydantic import ConfigDict, Field

from functions.accounts.domain.journal import Statement
from functions.accounts.models.entries import EntryResource

Format = Literal["json", "csv", "pdf"]

_MEDIA_TYPES: dict[str, Format] = {"application/json": "json", "text/csv": "csv", "application/pdf": "pdf"}


class StatementQuery(Query):
    """The query of a statement: `from` is inclusive, `to` exclusive; `format` overrides the Accept header.

    `bom` begins a CSV file with a byte order mark, by which spreadsheets know that it is UTF-8.
    """

    since: Timestamp = Field(alias="from")
    until: Timestamp = Field(alias="to")
    format: Format | None = None
    bom: Literal["true", "false"] = "false"


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
    lines: list[EntryResource]

    @classmethod
    def of(cls, statement: Statement) -> "StatementResource":
        """Return the resource of a statement."""
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
            lines=[EntryResource.of(line) for line in statement.lines],
        )


class StatementDocument(NamedTuple):
    """A statement in one format. `file_name` is empty if clients do not save it as a file."""

    content_type: str
    text: str
    file_name: str

    @classmethod
    def of(cls, statement: Statement, format: Format, *, bom: bool = False) -> "StatementDocument":
        """Return the document of a statement. All formats are text; `bom` is for CSV."""
        if format == "json":
            return cls(JSON, render(StatementResource.of(statement)), "")
        file_name = f"statement_{statement.account_id}_{statement.since[:10]}_{statement.until[:10]}.{format}"
        if format == "csv":
            from functions.accounts.models.formats.csv import to_csv

            text = ("\ufeff" if bom else "") + to_csv(statement)
            return cls("text/csv; charset=utf-8; header=present", text, file_name)
        from functions.accounts.models.formats.pdf import to_pdf

        return cls("application/pdf", to_pdf(statement), file_name)


def preferred_format(accept: str) -> Format:
    """Return the format that an Accept header (RFC 9110, 12.5.1) prefers; JSON if it names no known format."""
    best: Format = "json"
    best_quality = 0.0
    for choice in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in choice.split(";"))
        named = _MEDIA_TYPES.get(media_type)
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
