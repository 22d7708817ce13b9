"""A statement as CSV (RFC 4180): a row per entry, between a row for the opening and one for the closing balance.

Texts are in quotes, numbers are not.
"""

import csv
import io
import re
import unicodedata
from decimal import Decimal

from common.http.text import visible
from common.money import exponent

from functions.accounts.domain.journal import Statement

_HEADER = ("type", "created_at", "id", "version", "transfer_id", "description", "amount", "balance", "currency")
# What spreadsheets read as the start of a formula (OWASP, "CSV Injection"). Full-width forms count too.
_FORMULA = ("=", "+", "-", "@")
# What spreadsheets may take for the end of a cell, whatever separator the file has.
_SEPARATOR = re.compile("([,;|\t\r\n])")


def to_csv(statement: Statement) -> str:
    """Return the text of the file. Amounts are signed decimals; a debit is negative."""
    currency = statement.currency
    opening, closing = (Decimal(decimal(each, currency)) for each in (statement.opening, statement.closing))
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\r\n", quoting=csv.QUOTE_NONNUMERIC)
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
                Decimal(decimal(line.posted_change, currency)),
                Decimal(decimal(line.posted, currency)),
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
    """Return a text that no spreadsheet runs: what may be read as a cell with a formula gets an apostrophe in front."""
    safe = "".join(f"'{cell}" if _is_formula(cell) else cell for cell in _SEPARATOR.split(text))
    return f"'{safe}" if safe.startswith(("\t", "\r", "\n")) else safe


def _is_formula(cell: str) -> bool:
    first = next((each for each in cell if not _is_skipped(each)), "")
    return unicodedata.normalize("NFKC", first).startswith(_FORMULA)


def _is_skipped(character: str) -> bool:
    """Return whether a spreadsheet may ignore a character at the start of a cell: blank, invisible or a quote."""
    if character.isspace() or character == '"':
        return True
    try:
        visible(character)
    except ValueError:
        return True
    return False
