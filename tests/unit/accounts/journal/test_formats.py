"""Statements as JSON, CSV and PDF."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from common.clock import parse, timestamp
from pypdf import PdfReader

from functions.accounts.domain.journal import JournalHead, Statement, make_statement
from functions.accounts.domain.ledger import JournalLine
from functions.accounts.models.formats.csv import decimal
from functions.accounts.models.formats.pdf import grouped
from functions.accounts.models.statements import StatementDocument, preferred_format

ACCOUNT = f"acc_{'0' * 25}A"
SINCE, UNTIL, NOW = "2026-10-01T00:00:00.000Z", "2026-11-01T00:00:00.000Z", "2026-11-21T09:30:00.000Z"
# Lambda's limit for a response.
MAX_RESPONSE_BYTES = 6 * 1024 * 1024


def statement(
    changes: Sequence[tuple[int, str]],
    currency: str = "USD",
    *,
    opening: int = 0,
    holder: str = "Ada Lovelace",
    now: str = NOW,
) -> Statement:
    lines, posted, at = [], opening, parse(SINCE)
    for number, (change, description) in enumerate(changes, 2):
        posted += change
        at += timedelta(minutes=4)
        lines.append(
            JournalLine(
                account_id=ACCOUNT,
                version=number,
                at=timestamp(at),
                currency=currency,
                posted_change=change,
                held_change=0,
                posted=posted,
                held=0,
                transfer_id=f"trf_{number:026}",
                step="post",
                entry_id=f"ent_{number:026}",
                description=description,
            )
        )
    first = JournalLine(ACCOUNT, 1, SINCE, currency, opening, 0, opening, 0, "", "post", "", "")
    head = JournalHead(ACCOUNT, "usr_1", "Household", currency, posted, 0, posted)
    return make_statement(head, holder, SINCE, UNTIL, now, first, lines)


def rows(found: Statement) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(StatementDocument.of(found, "csv").text, newline="")))


def read(found: Statement) -> PdfReader:
    return PdfReader(io.BytesIO(StatementDocument.of(found, "pdf").text.encode("ascii")), strict=True)


def text(found: Statement) -> str:
    return "\n".join(page.extract_text() for page in read(found).pages)


LUNCH = [(-1250, "lunch"), (20_000, "salary"), (-5, "")]


# --- amounts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "currency", "plain", "for_people"),
    [
        (123456, "USD", "1234.56", "1,234.56"),
        (-5, "USD", "-0.05", "-0.05"),
        (0, "USD", "0.00", "0.00"),
        (-1234, "JPY", "-1234", "-1,234"),
        (0, "JPY", "0", "0"),
        (1234567, "BHD", "1234.567", "1,234.567"),
        (-1, "BHD", "-0.001", "-0.001"),
        (-(10**15), "USD", "-10000000000000.00", "-10,000,000,000,000.00"),
    ],
)
def test_amounts_have_their_currencys_digits(amount: int, currency: str, plain: str, for_people: str) -> None:
    assert decimal(amount, currency) == plain
    assert grouped(amount, currency) == for_people


# --- which format -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "json"),
        ("application/pdf", "pdf"),
        ("Text/CSV", "csv"),
        ("text/csv;q=0.5, application/pdf;q=0.9", "pdf"),
        ("text/csv, application/pdf", "csv"),
        ("application/pdf;q=0", "json"),
        ("application/pdf;q=0.2, application/json", "json"),
        ("text/csv; header=present; q=0.7, application/json;q=0.6", "csv"),
        ("application/pdf;q=loud", "json"),
        ("application/pdf;q=nan", "json"),
        (";;,,q=1;=", "json"),
    ],
)
def test_accept_chooses_the_format(accept: str, format: str) -> None:
    assert preferred_format(accept) == format


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_json_has_opening_lines_and_closing() -> None:
    document = StatementDocument.of(statement(LUNCH, opening=1000), "json")
    body = json.loads(document.text)
    lines = body.pop("lines")
    assert (document.content_type, document.file_name) == ("application/json", "")
    assert body == {
        "account_id": ACCOUNT,
        "account_name": "Household",
        "holder": "Ada Lovelace",
        "currency": "USD",
        "from": SINCE,
        "to": UNTIL,
        "opening": 1000,
        "total_credits": 20_000,
        "total_debits": 1255,
        "closing": 19_745,
        "closing_at": UNTIL,
    }
    assert lines[0] == {
        "id": f"ent_{2:026}",
        "version": 2,
        "transfer_id": f"trf_{2:026}",
        "direction": "debit",
        "amount": 1250,
        "currency": "USD",
        "balance_after": -250,
        "description": "lunch",
        "created_at": "2026-10-01T00:04:00.000Z",
    }
    assert [line["balance_after"] for line in lines] == [-250, 19_750, 19_745]


# --- CSV --------------------------------------------------------------------------------------------------------------


def test_csv_has_rows_from_opening_to_closing() -> None:
    document = StatementDocument.of(statement(LUNCH, opening=1000), "csv")
    assert document.content_type.startswith("text/csv; charset=utf-8")
    assert document.file_name == f"statement_{ACCOUNT}_2026-10-01_2026-11-01.csv"
    assert document.text.count("\r\n") == 6 == document.text.count("\n")
    found = rows(statement(LUNCH, opening=1000))
    assert [row["type"] for row in found] == ["opening", "debit", "credit", "debit", "closing"]
    assert [row["balance"] for row in found] == ["10.00", "-2.50", "197.50", "197.45", "197.45"]
    assert [row["amount"] for row in found] == ["", "-12.50", "200.00", "-0.05", ""]
    assert found[1] == {
        "type": "debit",
        "created_at": "2026-10-01T00:04:00.000Z",
        "id": f"ent_{2:026}",
        "version": "2",
        "transfer_id": f"trf_{2:026}",
        "description": "lunch",
        "amount": "-12.50",
        "balance": "-2.50",
        "currency": "USD",
    }


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "-1250"), ("BHD", "-1.250")])
def test_csv_amounts_have_their_currencys_digits(currency: str, amount: str) -> None:
    assert rows(statement(LUNCH, currency))[1]["amount"] == amount


@pytest.mark.parametrize("text", ['a "quoted" text', "one, two", "two\r\nlines", "深圳, 🍕", ""])
def test_csv_keeps_every_text(text: str) -> None:
    assert rows(statement([(5, text)]))[1]["description"] == text


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"])  # noqa: RUF001
def test_csv_holds_no_formula(begin: str) -> None:
    text = f'{begin}HYPERLINK("http://evil.example","lunch")'
    assert rows(statement([(5, text)]))[1]["description"] == f"'{text}"


@pytest.mark.parametrize("skipped", ["", " ", "\u00a0", "\u200b", "\u3164", "\u2060\ufeff", "\u00ad", '"', ' "'])
@pytest.mark.parametrize("separator", ["", ",", ";", "\t", "|", "\n", "\r"])
@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "＝"])  # noqa: RUF001
def test_csv_holds_no_formula_after_any_separator(begin: str, separator: str, skipped: str) -> None:
    before, after = ("x" + separator, f"{skipped}{begin}1+1;y") if separator else ("", f"{skipped}{begin}1+1;y")
    assert rows(statement([(5, before + after)]))[1]["description"] == f"{before}'{after}"


@pytest.mark.parametrize("text", ["a=b", "1-2", "me@example.org", "x; y", "x;y=1", "tea & cake", "- "[1:], ";", ""])
def test_csv_leaves_other_texts_alone(text: str) -> None:
    assert rows(statement([(5, text)]))[1]["description"] == text


def test_csv_has_every_text_in_quotes_and_no_number() -> None:
    header, opening, line, closing, end = StatementDocument.of(statement([(-1250, "x;=1+1;y")]), "csv").text.split(
        "\r\n"
    )
    assert header == '"type","created_at","id","version","transfer_id","description","amount","balance","currency"'
    assert line == (
        f'"debit","2026-10-01T00:04:00.000Z","ent_{2:026}",2,"trf_{2:026}","x;\'=1+1;y",-12.50,-12.50,"USD"'
    )
    assert opening == f'"opening","{SINCE}","","","","Opening balance","",0.00,"USD"'
    assert closing.startswith('"closing",')
    assert end == ""


def test_csv_begins_with_a_byte_order_mark_on_request() -> None:
    plain, marked = (StatementDocument.of(statement(LUNCH), "csv", bom=bom).text for bom in (False, True))
    assert marked == "\ufeff" + plain
    assert not plain.startswith("\ufeff")
    for other in ("json", "pdf"):
        assert StatementDocument.of(statement(LUNCH), other, bom=True) == StatementDocument.of(statement(LUNCH), other)


# --- PDF --------------------------------------------------------------------------------------------------------------


def test_pdf_is_a_statement_that_a_reader_opens() -> None:
    found = statement(LUNCH, opening=1000)
    document, reader = StatementDocument.of(found, "pdf"), read(found)
    assert document.content_type == "application/pdf"
    assert document.file_name == f"statement_{ACCOUNT}_2026-10-01_2026-11-01.pdf"
    assert document.text.startswith("%PDF-1.")
    assert reader.metadata is not None
    assert reader.metadata.title == f"Account statement {ACCOUNT} 2026-10-01 to 2026-11-01"
    assert reader.metadata.author == "Remit"
    assert reader.metadata.creation_date == parse(UNTIL)
    assert str(reader.root_object["/Lang"]) == "en"
    assert (round(reader.pages[0].mediabox.width), round(reader.pages[0].mediabox.height)) == (595, 842)
    page = text(found)
    for wanted in (
        "Remit",
        "Account statement",
        "Ada Lovelace",
        "Household",
        ACCOUNT,
        "USD",
        "2026-10-01 00:00 to 2026-11-01 00:00 (UTC)",
        "Opening balance",
        "Closing balance",
        "lunch",
        "salary",
        "Transfer",
        f"trf_{2:026}",
        "12.50",
        "200.00",
        "-2.50",
        "197.45",
        "Totals: 3 entries",
        "page 1 of 1",
    ):
        assert wanted in page, wanted


def test_pdf_is_ascii_with_correct_cross_references() -> None:
    document = StatementDocument.of(statement([(5, "Zoë")]), "pdf").text
    assert document.isascii()
    start = int(re.findall(r"startxref\n(\d+)", document)[-1])
    assert document[start:].startswith("xref")
    offsets = [int(each) for each in re.findall(r"(\d{10}) \d{5} n", document[start:])]
    assert len(offsets) > 5
    for number, offset in enumerate(offsets, 1):
        assert document[offset:].startswith(f"{number} 0 obj")
    for length, stream in re.findall(r"/Length (\d+)\n.*?stream\n(.*?)\nendstream", document, re.DOTALL):
        assert len(stream) == int(length)


def test_pdf_is_the_same_for_the_same_statement() -> None:
    assert StatementDocument.of(statement(LUNCH), "pdf") == StatementDocument.of(statement(LUNCH), "pdf")
    assert StatementDocument.of(statement(LUNCH), "pdf").text != StatementDocument.of(statement(LUNCH[:2]), "pdf").text


def test_pdf_of_a_period_that_has_not_ended_says_so() -> None:
    running = "2026-10-20T12:00:00.000Z"
    assert "The period has not ended: as of 2026-10-20 12:00 (UTC)" in text(statement(LUNCH, now=running))
    assert "has not ended" not in text(statement(LUNCH))


def test_pdf_repeats_its_table_header_and_counts_its_pages() -> None:
    reader = read(statement([(5, f"entry-{number}") for number in range(120)]))
    texts = [page.extract_text() for page in reader.pages]
    assert len(texts) == 4
    for number, page in enumerate(texts, 1):
        assert f"page {number} of 4" in page
        assert "Account statement" in page
        assert ("Description" in page) == ("entry-" in page)
    # The reader finds the reference, which begins with a letter, right after the description.
    assert re.findall(r"entry-(\d+)", "".join(texts)) == [str(number) for number in range(120)]


def test_pdf_totals_move_to_a_new_page_if_they_do_not_fit() -> None:
    for count in range(30, 45):
        pages = [page.extract_text() for page in read(statement([(5, "lunch")] * count)).pages]
        assert sum(page.count("Totals:") for page in pages) == 1
        assert "Totals:" in pages[-1]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Zoë Ünal, café", "Zoë Ünal, café"),
        ("e\u0301te\u0301", "été"),
        ("Αθήνα", "Αθήνα"),
        ("Москва", "Москва"),
        ("5 € – 3 £", "5 € – 3 £"),  # noqa: RUF001
        ("深圳", "ShenZhen"),
        ("김철수", "GimCheolSu"),
        ("नमस्ते", "nmste"),
        ("pizza 🍕", "pizza :pizza:"),
        ("x\U000f0000y", "xy"),
        ("(paren) \\ back", "(paren) \\ back"),
    ],
)
def test_pdf_shows_every_script(written: str, shown: str) -> None:
    page = text(statement([(5, written)], holder=written))
    assert page.count(shown) == 2
    assert "?" not in page


@pytest.mark.parametrize("description", ["word " * 100, "x" * 500, "\u200b" * 500, "\U000f0000", "﷽" * 500, "W" * 29])
def test_pdf_wraps_long_descriptions_in_three_lines_at_most(description: str) -> None:
    reader = read(statement([(5, description)] * 40))
    assert len(reader.pages) <= 3


def test_pdf_marks_omitted_text() -> None:
    assert "…" in text(statement([(5, "x" * 500)]))
    assert "…" not in text(statement([(5, "x" * 60)]))


def test_pdf_has_columns_for_debits_credits_and_balances() -> None:
    places: dict[str, float] = {}

    def visit(shown: str, _: object, matrix: Sequence[float], *rest: object) -> None:
        places[shown.strip()] = matrix[4] / 72 * 25.4

    read(statement(LUNCH, opening=1000)).pages[0].extract_text(visitor_text=visit)
    assert 125 < places["12.50"] < 146 < 148 < places["200.00"] < 169 < 171 < places["-2.50"]


def test_pdf_amounts_stay_in_their_columns() -> None:
    page = text(statement([(10**15, "much")], "BHD", opening=10**15))
    assert page.count("1,000,000,000,000.000") >= 3


# --- ten thousand lines -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("description", ["Invoice 4711, thank you", "🍕" * 500, 'say "hello"\\ ' * 40])
@pytest.mark.parametrize("format", ["json", "csv"])
def test_ten_thousand_lines_fit_into_a_response(format: str, description: str) -> None:
    document = StatementDocument.of(statement([(-(10**14), description)] * 10_000), format)  # type: ignore[arg-type]
    assert len(json.dumps({"statusCode": 200, "body": document.text}).encode()) < MAX_RESPONSE_BYTES


def test_ten_thousand_lines_of_pdf_fit_into_a_response() -> None:
    changes = [
        (10**10 + 7919 * number % 10**9, f"{number} Invoice, thank you very much, 深圳") for number in range(10_000)
    ]
    document = StatementDocument.of(statement(changes), "pdf").text
    assert len(json.dumps({"statusCode": 200, "body": document}).encode()) < MAX_RESPONSE_BYTES
    assert len(PdfReader(io.BytesIO(document.encode())).pages) > 200


def test_the_memory_of_ten_thousand_lines_of_pdf() -> None:
    found = statement([(10**10 + number, "深圳 invoice " * 20) for number in range(500)])
    StatementDocument.of(found, "pdf")
    tracemalloc.start()
    StatementDocument.of(found, "pdf")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Twenty times as many lines take at most twenty times as much. The function has 1769 MB.
    assert peak * 20 < 300 * 2**20


@pytest.mark.parametrize("description", ["lunch", "word " * 100, "x" * 500, "深" * 500, "﷽" * 500])
def test_the_work_of_a_line_of_pdf_is_bounded(description: str) -> None:
    """Ten thousand lines have to take a few seconds at most, whatever their descriptions are."""
    few, many = (calls_of(statement([(5, description)] * count)) for count in (20, 120))
    assert (many - few) / 100 < 6_000


def calls_of(found: Statement) -> int:
    """Return the number of function calls for a PDF."""
    calls = 0

    def count(frame: object, event: str, arg: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        StatementDocument.of(found, "pdf")
    finally:
        sys.setprofile(None)
    return calls


def test_rendering_does_not_change_the_statement() -> None:
    found = statement(LUNCH)
    kept = replace(found)
    for each in ("json", "csv", "pdf"):
        StatementDocument.of(found, each)
    assert found == kept


@pytest.mark.parametrize(("format", "imported"), [("json", []), ("csv", ["csv"]), ("pdf", ["fpdf", "pdf"])])
def test_only_the_modules_of_the_requested_format_are_imported(format: str, imported: list[str]) -> None:
    code = """
import sys
from functions.accounts.domain.journal import Statement
from functions.accounts.models.statements import StatementDocument
at = "2026-10-01T00:00:00.000Z"
StatementDocument.of(Statement("acc_1", "Main", "", "USD", at, at, at, 0, 0, ()), sys.argv[1])
formats = "functions.accounts.models.formats."
print(*sorted(name.removeprefix(formats) for name in sys.modules if name.startswith(formats) or name == "fpdf"))
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", code, format], capture_output=True, text=True, check=True, env=environment
    )
    assert run.stdout.split() == imported
