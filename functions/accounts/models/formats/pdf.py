"""A statement as PDF, in ASCII characters only.

Its streams are in ASCII85 (ISO 32000-1, 7.4.3), so that the gateway returns it as text, whatever the client accepts.
"""

import base64
import unicodedata
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path

from anyascii import anyascii
from common import clock
from common.money import format_amount
from fpdf import FPDF
from fpdf.enums import Align
from fpdf.fonts import TTFFont
from fpdf.output import OutputProducer
from fpdf.syntax import PDFArray, PDFContentStream, PDFObject

from functions.accounts.domain.journal import Statement
from functions.accounts.domain.ledger import JournalLine

_FONTS = Path(__file__).parent / "fonts"
_INK, _GREY, _ACCENT, _RULE, _TINT = (33, 37, 41), (108, 117, 125), (11, 83, 97), (206, 212, 218), (240, 245, 246)

# Positions and sizes are in millimetres on A4, 210 by 297.
_LEFT, _RIGHT, _TOP, _BOTTOM = 15.0, 195.0, 15.0, 277.0
_COLUMNS = (
    ("Date (UTC)", 15.0, Align.L),
    ("Description", 34.0, Align.L),
    ("Reference", 87.0, Align.L),
    ("Debit", 125.0, Align.R),
    ("Credit", 148.0, Align.R),
    ("Balance", 171.0, Align.R),
)
# A column ends 2 mm before the next begins.
_WIDTHS = [end - start - 2 for start, end in pairwise([*(start for _, start, _ in _COLUMNS), _RIGHT + 2])]
_LINE = 3.8
_BASELINE = 2.9
_ROW_GAP = 1.6
_MAX_WRAPPED_LINES = 3


def to_pdf(statement: Statement) -> str:
    """Return the document. The same statement gives the same document."""
    sheet = _Sheet(statement)
    sheet.draw()
    return bytes(sheet.output(output_producer_class=_AsciiProducer)).decode("ascii")


def grouped(amount: int, currency: str) -> str:
    """Return minor units as a person reads them, without the currency: `-1,234.50`."""
    return format_amount(amount, currency).removesuffix(f" {currency}")


class _Sheet(FPDF):
    """The pages of one statement."""

    def __init__(self, statement: Statement) -> None:
        super().__init__(format="A4")
        self._statement = statement
        self.set_auto_page_break(False)
        self.add_font("sans", "", _FONTS / "DejaVuSans.ttf")
        self.add_font("sans", "B", _FONTS / "DejaVuSans-Bold.ttf")
        self.set_title(f"Account statement {statement.account_id} {statement.since[:10]} to {statement.until[:10]}")
        self.set_author("Remit")
        self.set_creator("Remit")
        self.set_lang("en")
        self.set_creation_date(clock.parse(statement.closing_at))
        font = self.fonts["sans"]
        assert isinstance(font, TTFFont)
        self._known = font.cmap

    def draw(self) -> None:
        """Draw all pages."""
        self.add_page()
        self._details()
        self._summary()
        self._table_head()
        self._balance_row(self._statement.since, "Opening balance", self._statement.opening)
        for line in self._statement.lines:
            self._entry(line)
        self._balance_row(self._statement.closing_at, "Closing balance", self._statement.closing)
        self._totals()

    def header(self) -> None:
        """Draw the letterhead, which is on every page."""
        self._put(_LEFT, 15, 60, "Remit", size=20, bold=True, colour=_ACCENT)
        self._put(110, 16.5, 85, "Account statement", size=12, align=Align.R)
        self.set_draw_color(*_ACCENT)
        self.set_line_width(0.6)
        self.line(_LEFT, 25, _RIGHT, 25)
        self.set_y(31)

    def footer(self) -> None:
        """Draw the account id, the number of the page and the number of pages."""
        self._rule(283)
        self._put(_LEFT, 285, 130, self._statement.account_id, size=7, colour=_GREY)
        # FPDF replaces {nb} with the number of pages.
        self.set_xy(145, 285)
        self.cell(50 + self.c_margin, _LINE, f"page {self.page_no()} of {{nb}}", align=Align.R)

    def _details(self) -> None:
        statement = self._statement
        details = (
            ("Account holder", statement.holder or "-"),
            ("Account name", statement.account_name),
            ("Account", statement.account_id),
            ("Currency", statement.currency),
            ("Period", f"{_moment(statement.since)} to {_moment(statement.until)} (UTC)"),
        )
        y = self.get_y()
        for name, value in details:
            self._put(_LEFT, y, 35, name, size=8, colour=_GREY)
            for part in self._wrapped(value, 140, 9, 2):
                self._put(50, y, 145, part, size=9)
                y += 5.2
        self.set_y(y + 3)

    def _summary(self) -> None:
        statement, y = self._statement, self.get_y()
        boxes = (
            ("Opening balance", statement.opening),
            ("Money in", statement.credits),
            ("Money out", -statement.debits),
            ("Closing balance", statement.closing),
        )
        self.set_fill_color(*_TINT)
        self.rect(_LEFT, y, _RIGHT - _LEFT, 15, style="F")
        for number, (name, amount) in enumerate(boxes):
            x = _LEFT + 2 + 44.5 * number
            self._put(x, y + 2.2, 43, name, size=7, colour=_GREY)
            self._put(x, y + 8, 43, grouped(amount, statement.currency), size=11, bold=True)
        self.set_y(y + 21)

    def _table_head(self) -> None:
        y = self.get_y()
        for (name, x, align), width in zip(_COLUMNS, _WIDTHS, strict=True):
            self._put(x, y, width, name, size=7.5, bold=True, colour=_ACCENT, align=align)
        self._rule(y + 5.2)
        self.set_y(y + 6.4)

    def _entry(self, line: JournalLine) -> None:
        currency = self._statement.currency
        change = grouped(abs(line.posted_change), currency)
        debit, credit = (change, "") if line.posted_change < 0 else ("", change)
        texts = (_moment(line.at)[:10], "", line.transfer_id, debit, credit, grouped(line.posted, currency))
        self._row(texts, self._wrapped(line.description or "Transfer", _WIDTHS[1], 8, _MAX_WRAPPED_LINES))

    def _balance_row(self, at: str, name: str, balance: int) -> None:
        texts = (_moment(at)[:10], "", "", "", "", grouped(balance, self._statement.currency))
        self._row(texts, [name], bold=True)

    def _row(self, texts: tuple[str, ...], description: list[str], *, bold: bool = False) -> None:
        height = _LINE * len(description) + _ROW_GAP
        if self.get_y() + height > _BOTTOM:
            self.add_page()
            self._table_head()
        y = self.get_y()
        for (_, x, align), width, text in zip(_COLUMNS, _WIDTHS, texts, strict=True):
            if text:
                self._put(x, y, width, text, size=8, bold=bold, align=align)
        for number, part in enumerate(description):
            self._put(_COLUMNS[1][1], y + _LINE * number, _WIDTHS[1], part, size=8, bold=bold)
        self._rule(y + height - 0.4)
        self.set_y(y + height)

    def _totals(self) -> None:
        statement, count = self._statement, len(self._statement.lines)
        if self.get_y() + 14 > _BOTTOM:
            self.add_page()
        y = self.get_y() + 3
        self._put(_LEFT, y, 100, f"Totals: {count:,} {'entry' if count == 1 else 'entries'}", size=8, bold=True)
        totals = (statement.debits, statement.credits)
        for (_, x, align), width, amount in zip(_COLUMNS[3:5], _WIDTHS[3:5], totals, strict=True):
            self._put(x, y, width, grouped(amount, statement.currency), size=8, bold=True, align=align)
        note = "The opening balance and all entries add up to the closing balance."
        if statement.closing_at < statement.until:
            note += f" The period has not ended: as of {_moment(statement.closing_at)} (UTC)."
        self._put(_LEFT, y + 6, 180, note, size=7, colour=_GREY)

    def _put(
        self,
        x: float,
        y: float,
        width: float,
        text: str,
        *,
        size: float,
        bold: bool = False,
        colour: tuple[int, int, int] = _INK,
        align: Align = Align.L,
    ) -> None:
        """Draw one line of text, in a smaller size if it would not fit."""
        style = "B" if bold else ""
        needed = self._width(text, size, style)
        if needed > width:
            size, needed = size * width / needed, width
        self.set_font("sans", style, size)
        self.set_text_color(*colour)
        self.text(x + width - needed if align is Align.R else x, y + _BASELINE, text)

    def _width(self, text: str, size: float, style: str = "") -> float:
        """Return the width of a text in millimetres. FPDF.get_string_width is many times slower."""
        _, points = self.fonts[f"sans{style}"].get_text_width(text, size, None)
        return points / self.k

    def _wrapped(self, text: str, width: float, size: float, max_lines: int) -> list[str]:
        """Return a text in at most `max_lines` lines, with an ellipsis if it is longer."""
        lines = [""]
        for piece in self._pieces(text, width, size):
            longer = f"{lines[-1]} {piece}".strip()
            if self._width(longer, size) <= width:
                lines[-1] = longer
            elif len(lines) == max_lines:
                lines[-1] += "…"
                break
            else:
                lines.append(piece)
        return lines

    def _pieces(self, text: str, width: float, size: float) -> Iterator[str]:
        """Yield the words of a text. A word that is wider than a line comes in parts."""
        piece, taken = "", 0.0
        for char in chain(self._legible(text), " "):
            needed = self._width(char, size)
            if piece and (char.isspace() or taken + needed > width):
                yield piece
                piece, taken = "", 0.0
            if not char.isspace():
                piece, taken = piece + char, taken + needed

    def _legible(self, text: str) -> Iterator[str]:
        """Yield the characters of a text. What the font lacks comes in Latin letters, as in a SWIFT message."""
        for char in unicodedata.normalize("NFC", text):
            yield from char if ord(char) in self._known else anyascii(char)

    def _rule(self, y: float) -> None:
        self.set_draw_color(*_RULE)
        self.set_line_width(0.15)
        self.line(_LEFT, y, _RIGHT, y)


class _AsciiProducer(OutputProducer):
    """Writes no byte above 127."""

    def _add_pdf_obj(self, pdf_obj: PDFObject, trace_label: str | None = None) -> int:
        if isinstance(pdf_obj, PDFContentStream):
            pdf_obj._contents = base64.a85encode(pdf_obj.content_stream()) + b"~>"
            pdf_obj.length = len(pdf_obj._contents)
            pdf_obj.filter = PDFArray(["/ASCII85Decode", *(["/FlateDecode"] if pdf_obj.filter else [])])  # type: ignore[assignment]
        return super()._add_pdf_obj(pdf_obj, trace_label)

    def _out(self, data: bytes | bytearray | str) -> None:
        # The second line of the header only marks the file as binary.
        super()._out(data if self.buffer else str(data).partition("\n")[0])


def _moment(at: str) -> str:
    return at[:16].replace("T", " ")
