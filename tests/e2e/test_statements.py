"""Balances at a point in time, and statements in three formats."""

import csv
import io
import time
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from pypdf import PdfReader

from tests.e2e.client import Person, expect, until
from tests.e2e.platform import Platform
from tools.http import Answer

BEGIN, END = "2026-01-01T00:00:00Z", "2026-12-31T00:00:00Z"


@pytest.fixture(scope="module")
def payer(platform: Platform) -> Person:
    """A user who received 100.00, then sent 12.50, 0.05 and 20.00."""
    payer, payee = platform.person(funds=10_000), platform.person()
    for amount, description in ((1250, "=lunch"), (5, "深圳"), (2000, "Zoë")):
        time.sleep(0.005)  # so that no two have the same millisecond
        expect(payer.transfer({"user_id": payee.user_id}, amount, description=description), 201)
    return payer


def entries(person: Person) -> list[Any]:
    """Return the entries, oldest first."""
    return list(person.pages(f"/accounts/{person.accounts['USD']}/entries", limit=2))[::-1]


def period(person: Person) -> dict[str, str]:
    """Return the year of the first entry as a period."""
    year = int(entries(person)[0]["created_at"][:4])
    return {"from": f"{year}-01-01T00:00:00Z", "to": f"{year + 1}-01-01T00:00:00Z"}


def get(person: Person, *, accept: str = "*/*", **query: Any) -> Answer:
    path = f"/accounts/{person.accounts['USD']}/statement"
    return person.request("GET", path, query={**period(person), **query}, headers={"Accept": accept})


def test_the_balance_at_the_time_of_each_entry(payer: Person) -> None:
    path = f"/accounts/{payer.accounts['USD']}/balance"
    now = payer.get(path)
    assert (now["posted"], now["held"], now["available"], now["currency"]) == (6745, 0, 6745, "USD")
    for entry in entries(payer):
        assert payer.get(path, at=entry["created_at"])["posted"] == entry["balance_after"]
    assert payer.get(path, at="2020-01-01T00:00:00Z")["available"] == 0
    to_come = payer.request("GET", path, query={"at": "2999-01-01T00:00:00Z"})
    assert expect(to_come, 400)["code"] == "validation_failed"


def test_the_three_formats_of_a_statement_agree(payer: Person) -> None:
    as_json = expect(get(payer), 200)
    assert (as_json["opening"], as_json["closing"]) == (0, 6745)
    assert as_json["lines"] == entries(payer)

    as_csv = get(payer, format="csv")
    assert (as_csv.status, (as_csv.header("content-type") or "").split(";")[0]) == (200, "text/csv")
    assert (as_csv.header("content-disposition") or "").startswith("attachment;")
    opening, *rows, closing = csv.DictReader(io.StringIO(as_csv.content.decode()))
    assert Decimal(opening["balance"]) + sum(Decimal(row["amount"]) for row in rows) == Decimal(closing["balance"])
    assert [row["id"] for row in rows] == [line["id"] for line in as_json["lines"]]
    assert closing["balance"] == "67.45"
    assert "'=lunch" in [row["description"] for row in rows]

    until(lambda: get(payer).json["holder"], what="the holder is known")
    as_pdf = get(payer, format="pdf")
    assert (as_pdf.status, as_pdf.header("content-type")) == (200, "application/pdf")
    assert as_pdf.content.startswith(b"%PDF-")
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(as_pdf.content)).pages)
    for wanted in (
        "Remit",
        payer.accounts["USD"],
        payer.last_name,
        "67.45",
        "=lunch",
        "ShenZhen",
        "Zoë",
        "page 1 of 1",
    ):
        assert wanted in text, wanted


def test_the_format_comes_from_the_query_then_from_the_accept_header(payer: Person) -> None:
    for accept, asked, content_type in (
        ("application/pdf", {}, "application/pdf"),
        ("text/csv", {}, "text/csv"),
        ("image/png", {}, "application/json"),
        ("application/pdf", {"format": "json"}, "application/json"),
    ):
        answer = get(payer, accept=accept, **asked)
        assert (answer.header("content-type") or "").split(";")[0] == content_type


def test_a_statement_opens_with_the_closing_balance_of_the_one_before(payer: Person) -> None:
    whole = period(payer)
    cuts = [whole["from"], *(entry["created_at"] for entry in entries(payer)), whole["to"]]
    parts = [
        expect(get(payer, **{"from": since, "to": before}), 200)
        for since, before in pairwise(cuts)
    ]  # fmt: skip
    assert parts[0]["opening"] == 0 and parts[-1]["closing"] == 6745
    assert [part["closing"] for part in parts[:-1]] == [part["opening"] for part in parts[1:]]
    for part in parts:
        signed = [line["amount"] * (-1 if line["direction"] == "debit" else 1) for line in part["lines"]]
        assert part["opening"] + sum(signed) == part["closing"]


def test_statements_of_others_are_not_found(payer: Person, bob: Person) -> None:
    account = payer.accounts["USD"]
    for what, query in (("balance", {}), ("statement", {**period(payer), "format": "pdf"})):
        answer = bob.request("GET", f"/accounts/{account}/{what}", query=query)
        assert expect(answer, 404)["code"] == "not_found"


def test_invalid_periods_are_rejected(payer: Person) -> None:
    path = f"/accounts/{payer.accounts['USD']}/statement"
    for query in ({}, {"from": BEGIN}, {"from": END, "to": BEGIN}, {"from": "2020-01-01T00:00:00Z", "to": END}):
        assert expect(payer.request("GET", path, query=query), 400)["code"] == "validation_failed"
