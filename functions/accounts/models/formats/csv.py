"""A statement as CSV (RFC 4180): a row per entry, between a row for the opening and one for the closing balance."""

import csv
import io
import unicodedata

from common.money import exponent

from functions.accounts.domain.journal import Statement

_HEADER = ("type", "created_at", "id", "version", "transfer_id", "description", "amount", "balance", "currency")
# What spreadsheets read as the start of a formula (OWASP, "CSV Injection"). Full-width forms count too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def to_csv(statement: Statement) -> str:
    """Return the text of the file. Amounts are signed decimals; a debit is negative."""
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
                _safe(line.description),
                decimal(line.posted_change, currency),
                decimal(line.posted, currency),
                currency,
            )
        )
    rows.writerow(("closing", statement.closing_at, "", "", "", "Closing balance", "", closing, currency))
    return file.getvalue()


def decimal(amount: int, currency: str) -> str:
    """Return minor units in plain decimal notation: `-1234.50` for USD, `-1234` for JPY, `-1.234` for BHD."""
    digits = exponent(currency)
    sign, units = ("-" if amount < 0 else ""), str(abs(amount)).zfill(digits + 1)
    return f"{sign}{units[:-digits]}.{units[-digits:]}" if digits else sign + units


def _safe(text: str) -> str:
    """Return a text that no spreadsheet runs: a formula gets a quote in front."""
    return f"'{text}" if unicodedata.normalize("NFKC", text[:1]).startswith(_FORMULA) else text
