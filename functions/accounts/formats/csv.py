"""A statement as CSV (RFC 4180): a row a line, between one for the opening and one for the closing balance."""

import csv
import io
import unicodedata

from functions.accounts.domain.journal import Statement
from functions.accounts.formats.amounts import decimal

_HEADER = ("type", "created_at", "id", "version", "transfer_id", "description", "amount", "balance", "currency")
# What spreadsheets take for a formula, as OWASP lists it ("CSV Injection"); full-width forms count too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def to_csv(statement: Statement) -> str:
    """The text of the file. Amounts are signed and decimal; a debit is negative."""
    currency = statement.currency
    opening, closing = (decimal(each, currency) for each in (statement.opening, statement.closing))
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\r\n")
    rows.writerow(_HEADER)
    rows.writerow(("opening", statement.since, "", "", "", "Opening balance", "", opening, currency))
    for line in statement.lines:
        rows.writerow(
            (
                "debit" if line.posted_change < 0 else "credit",
                line.at,
                line.entry_id,
                line.version,
                line.transfer_id,
                _text(line.description),
                decimal(line.posted_change, currency),
                decimal(line.posted, currency),
                currency,
            )
        )
    rows.writerow(("closing", statement.closing_at, "", "", "", "Closing balance", "", closing, currency))
    return file.getvalue()


def _text(text: str) -> str:
    """A text that no spreadsheet runs: a quote before what would begin a formula."""
    return f"'{text}" if unicodedata.normalize("NFKC", text[:1]).startswith(_FORMULA) else text
