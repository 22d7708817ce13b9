"""A transfer's story names what happened, and its bill follows from the sizes of its items."""

import pytest

from localstack.story import Life, steps, tell
from localstack.story.price import PRICES, Step, size, write_units
from tests.unit.localstack.books import ADA, ADAS, BOB, BOBS, DECLINED, DEPOSIT, PENDING, RAIL, TRANSFER, books

NAMES = {"display_name": "Ada L.", "alias": None}


def life(transfer: str) -> Life:
    tables = books()
    for item in tables.transfers:
        if item["sk"] == "R":
            item.update(initiated_by=ADA, sequence=2, payer=ADA, payee=BOB)
            item["source"].update(NAMES)
            item["destination"].update(NAMES)
    for item in tables.accounts:
        if item["pk"].startswith("S#"):
            item["at"] = "2026-11-21T09:40:00.000Z"
    for item in tables.notifications:
        item.update(title="Money sent", created_at="2026-11-21T09:41:00.000Z")
    for item in tables.mail:
        kind, _, user = item["sk"].partition("#")
        item.update(kind=kind, user_id=user, subject="You sent money", sent_at="2026-11-21T09:42:00.000Z")
    for item in tables.transfers:
        if item["sk"] == "R" and "outbox" in item:
            item["outbox"] = item["outbox"].replace('"type"', '"sequence": 2, "type"')
    return Life.of(transfer, tables)


def test_a_completed_transfer_is_told_from_request_to_mail() -> None:
    text = tell(life(TRANSFER))
    assert f"{TRANSFER}: transfer of 4.00 USD, completed" in text
    assert f"{ADAS} -400, {BOBS} +400" in text
    assert "-> 600" in text  # the balance after the line
    assert "answered 201" in text
    assert [line for line in text.splitlines() if "transfer_received" in line and BOB in line]
    assert "09:42:00.000" in text
    assert text.index("requested") < text.index("in one transaction") < text.index("answered 201")


def test_a_deposit_is_found_in_the_page_of_the_rail() -> None:
    text = tell(life(DEPOSIT))
    assert RAIL in text
    assert "-1,000" in text
    assert "+1,000" in text


def test_a_declined_transfer_moved_nothing() -> None:
    text = tell(life(DECLINED))
    assert "nothing was posted" in text
    assert "refused: insufficient_funds" in text
    assert "answered 422" in text


def test_a_pending_transfer_says_when_recovery_looks() -> None:
    text = tell(life(PENDING))
    assert "pending" in text.splitlines()[0]
    assert "recovery starts it again" in text
    assert [step.name for step in steps(life(PENDING))] == ["request"]


def test_an_unknown_transfer_is_a_lookup_error() -> None:
    with pytest.raises(LookupError, match="trf_NOBODY"):
        life("trf_NOBODY")


def test_an_internal_transfer_takes_nineteen_write_units_until_its_answer() -> None:
    units = {step.name: step.writes for step in steps(life(TRANSFER))}
    # Two items at twice the unit and three index entries; five items at twice the unit; one, and one index entry.
    assert (units["request"], units["post"], units["complete"]) == (7, 10, 2)


def test_sizes_are_counted_as_dynamodb_does() -> None:
    assert size({"pk": "ab"}) == 4
    assert size({"n": 12345}) == 1 + 4
    assert size({"e": "ä"}) == 3
    assert size({"m": {"a": True}, "l": [None, "x"]}) == (1 + 3 + 2 + 1) + (1 + 3 + 2 + 2)
    assert write_units({"pk": "x" * 1022}) == 1
    assert write_units({"pk": "x" * 1023}) == 2
    assert write_units({"pk": "x" * 1023}, transaction=True) == 4


def test_the_bill_adds_up() -> None:
    both = sum([Step("a", ("Put",), writes=2, lambdas=1), Step("b", ("Get",), reads=4)], Step("in all"))
    assert both.calls == ("Put", "Get")
    assert both.dollars_a_million == pytest.approx(
        2 * PRICES.write_units + PRICES.lambda_requests + 4 * PRICES.read_units
    )
