"""A statement as a document: JSON, CSV or PDF, all of them text."""

from typing import NamedTuple

from common.idempotency import JSON
from common.idempotency import render as to_json

from functions.accounts.domain.journal import Statement
from functions.accounts.models.statements import Format, StatementResource


class Document(NamedTuple):
    """What goes on the wire; `file_name` is empty for what nobody saves."""

    content_type: str
    text: str
    file_name: str


def render(statement: Statement, format: Format) -> Document:
    """The document of a statement. What a format needs is loaded when it is asked for."""
    if format == "json":
        return Document(JSON, to_json(StatementResource.of(statement)), "")
    file_name = f"statement_{statement.account_id}_{statement.since[:10]}_{statement.until[:10]}.{format}"
    if format == "csv":
        from functions.accounts.formats.csv import to_csv

        return Document("text/csv; charset=utf-8; header=present", to_csv(statement), file_name)
    from functions.accounts.formats.pdf import to_pdf

    return Document("application/pdf", to_pdf(statement), file_name)
