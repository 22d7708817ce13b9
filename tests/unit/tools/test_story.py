"""The history of a transfer, and its costs."""

import pytest

from tests.unit.tools.books import ADA, ADAS, BOB, BOBS, DECLINED, DEPOSIT, PENDING, RAIL, TRANSFER, books
from tools.story import History, report, steps
from tools.story.price import PRICES, Step, size, write_units

NAMES = {"display_name": "Ada L.", "alias": None}


def history(transfer: str) -> History:
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
    return History.of(transfer, tables)


def test_the_report_covers_a_transfer_from_request_to_mail() -> None:
    text = report(history(TRANSFER))
    assert f"{TRANSFER}: transfer of 4.00 USD, completed" in text
    assert f"{ADAS} -400, {BOBS} +400" in text
    assert "-> 600" in text  # the balance after the entry
    assert "answered 201" in text
    assert [line for line in text.splitlines() if "transfer_received" in line and BOB in line]
    assert "09:42:00.000" in text
    assert text.index("requested") < text.index("in one transaction") < text.index("answered 201")


def test_a_deposit_is_found_in_a_folded_batch_of_the_rail() -> None:
    text = report(history(DEPOSIT))
    assert RAIL in text
    assert "-1,000" in text
    assert "+1,000" in text


def test_a_declined_transfer_moved_no_money() -> None:
    text = report(history(DECLINED))
    assert "nothing was posted" in text
    assert "declined: insufficient_funds" in text
    assert "answered 422" in text


def test_a_pending_transfer_shows_when_recovery_starts_it() -> None:
    text = report(history(PENDING))
    assert "pending" in text.splitlines()[0]
    assert "recovery starts it again" in text
    assert [step.name for step in steps(history(PENDING))] == ["request"]


def test_an_unknown_transfer_is_a_lookup_error() -> None:
    with pytest.raises(LookupError, match="trf_NOBODY"):
        history("trf_NOBODY")


def test_a_transfer_takes_nineteen_write_units_until_its_answer() -> None:
    units = {step.name: step.writes for step in steps(history(TRANSFER))}
    # Two items in a transaction and two index entries; five items in a transaction; one item and two index entries.
    assert (units["request"], units["post"], units["complete"]) == (6, 10, 3)


def test_the_outbox_of_the_end_costs_the_request_nothing() -> None:
    plain, long = history(TRANSFER), history(TRANSFER)
    long.record["outbox"] = "x" * 3000
    before, after = steps(plain), steps(long)
    assert before[0].name == after[0].name == "request"
    assert before[0].writes == after[0].writes
    ends = [step.writes for path in (before, after) for step in path if step.name == "complete"]
    assert ends[0] < ends[1]


@pytest.mark.parametrize(("status", "shown"), [("sent", "mailed"), ("dropped", "mail dropped")])
def test_a_mail_that_was_dropped_was_not_mailed(status: str, shown: str) -> None:
    found = history(TRANSFER)
    for mail in found.mails:
        mail["status"] = status
    kinds = {moment.what for moment in found.moments() if moment.what.startswith("mail")}
    assert kinds == {shown}


def test_a_deposit_is_expected_before_its_rail_is_asked() -> None:
    deposit = history(DEPOSIT)
    deposit.record.update(payee=ADA)
    del deposit.record["payer"]
    assert f"{ADAS} stays open for the money" in report(deposit)
    units = {step.name: step.writes for step in steps(deposit)}
    # As of a transfer, but three items to expect it, and the rail's answer on the record.
    assert list(units)[:4] == ["request", "expect", "post", "complete"]
    assert (units["request"], units["expect"], units["post"], units["complete"]) == (6, 6, 9, 2)


def test_sizes_are_counted_as_dynamodb_counts_them() -> None:
    assert size({"pk": "ab"}) == 4
    assert size({"n": 12345}) == 1 + 4
    assert size({"e": "ä"}) == 3
    assert size({"m": {"a": True}, "l": [None, "x"]}) == (1 + 3 + 2 + 1) + (1 + 3 + 2 + 2)
    assert write_units({"pk": "x" * 1022}) == 1
    assert write_units({"pk": "x" * 1023}) == 2
    assert write_units({"pk": "x" * 1023}, transaction=True) == 4


def test_costs_add_up() -> None:
    both = sum([Step("a", ("Put",), writes=2, lambdas=1), Step("b", ("Get",), reads=4)], Step("total"))
    assert both.calls == ("Put", "Get")
    assert both.dollars_per_million == pytest.approx(
        2 * PRICES.write_units + PRICES.lambda_requests + 4 * PRICES.read_units
    )
