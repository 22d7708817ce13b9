"""Every kind of violation of an invariant is found and named, and nothing else is."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from common.contracts.events import Event

from tests.unit.tools.books import (
    ADA,
    ADAS,
    BOB,
    BOBS,
    DECLINED,
    DEPOSIT,
    NOW,
    PENDING,
    RAIL,
    TRANSFER,
    at,
    books,
    expectation,
    key,
    line,
    mail,
    notification,
    record,
    step_outcome,
    terminal_id,
)
from tools.tables import Tables
from tools.verify import check, show

Break = Callable[[Tables], None]


def broken(tables: Tables, *, drained: bool = True) -> dict[int, set[str]]:
    """Return the numbers of the violated invariants, with the ids of the violations."""
    findings = check(tables, NOW, drained=drained)
    return {each.number: {violation.id for violation in each.violations} for each in findings if each.violations}


def item(items: list[Any], pk: str, sk: str = "") -> Any:
    (found,) = [each for each in items if each["pk"] == pk and each["sk"].startswith(sk)]
    return found


def test_consistent_books_have_no_violations() -> None:
    findings = check(books(), NOW, drained=True)
    assert [each.number for each in findings] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert broken(books()) == {}
    assert findings[5].waiting == 1  # the transfer that has just begun
    assert findings[0].counted.startswith("1 currencies, 3 accounts")


def test_empty_tables_have_no_violations() -> None:
    assert broken(Tables()) == {}


def drift(tables: Tables) -> None:
    ada = item(tables.accounts, f"A#{ADAS}")
    ada["posted"] += 1
    ada["available"] += 1


def unbalanced_outcome(tables: Tables) -> None:
    item(tables.accounts, f"S#{TRANSFER}")["legs"][1]["change"] = 401


def lost_pending_credit(tables: Tables) -> None:
    tables.accounts.remove(item(tables.accounts, f"E#{RAIL}"))
    tables.accounts.remove(item(tables.accounts, f"A#{RAIL}"))


def gap(tables: Tables) -> None:
    item(tables.accounts, f"E#{ADAS}", at(20))["version"] = 3
    item(tables.accounts, f"A#{ADAS}")["version"] = 3


def missing_line(tables: Tables) -> None:
    tables.accounts.remove(item(tables.accounts, f"E#{BOBS}"))


def wrong_running_balance(tables: Tables) -> None:
    item(tables.accounts, f"E#{ADAS}", at(30))["posted"] = 999


def head_behind_its_lines(tables: Tables) -> None:
    item(tables.accounts, f"A#{ADAS}")["version"] = 1


def out_of_order(tables: Tables) -> None:
    item(tables.accounts, f"E#{ADAS}", at(20))["at"] = at(40)


def journal_without_head(tables: Tables) -> None:
    tables.accounts.append(line("acc_GHOST", 1, 0, 0, TRANSFER, 5))


def batch_with_wrong_opening(tables: Tables) -> None:
    item(tables.accounts, f"E#{RAIL}")["opening_posted"] = 5


def batch_with_wrong_total(tables: Tables) -> None:
    item(tables.accounts, f"E#{RAIL}")["posted"] = -999


def folded_twice(tables: Tables) -> None:
    batch = copy.deepcopy(item(tables.accounts, f"E#{RAIL}"))
    batch |= {"sk": f"{at(29)}#{2:012}", "page": 2, "opening_version": 1, "opening_posted": -1000}
    batch |= {"version": 2, "posted": -2000}
    tables.accounts.append(batch)
    item(tables.accounts, f"A#{RAIL}").update(posted=-2000, version=2)


def hold_that_does_not_add_up(tables: Tables) -> None:
    tables.accounts.append(
        {
            "pk": f"S#{PENDING}",
            "sk": "hold",
            "transfer_id": PENDING,
            "account_id": ADAS,
            "amount": 100,
            "status": "open",
            "at": at(10),
        }
    )


def held_without_hold(tables: Tables) -> None:
    item(tables.accounts, f"A#{ADAS}").update(held=100, available=500)


def overdrawn(tables: Tables) -> None:
    item(tables.accounts, f"A#{BOBS}").update(posted=-5, available=-5)


def overdrawn_on_the_way(tables: Tables) -> None:
    """Money was sent before it was deposited: the sums are right, but the balance was negative in between."""
    first, second = item(tables.accounts, f"E#{ADAS}", at(30)), item(tables.accounts, f"E#{ADAS}", at(20))
    first.update(posted_change=-400, posted=-400, transfer_id=TRANSFER)
    second.update(posted_change=1000, posted=600, transfer_id=DEPOSIT)


def wrong_available(tables: Tables) -> None:
    item(tables.accounts, f"A#{BOBS}")["available"] = 401


def expectation_that_is_not_counted(tables: Tables) -> None:
    tables.accounts.append(expectation(PENDING))


def counted_without_expectation(tables: Tables) -> None:
    item(tables.accounts, f"A#{BOBS}")["incoming"] = 1


def posted_twice(tables: Tables) -> None:
    tables.accounts.append(
        step_outcome(TRANSFER, "posted", (ADAS, -400), (BOBS, 400)) | {"sk": "again", "step": "again"}
    )


def journal_twice(tables: Tables) -> None:
    tables.accounts.extend([line(ADAS, 3, -400, 200, TRANSFER, 19), line(BOBS, 2, 400, 800, TRANSFER, 19)])
    item(tables.accounts, f"A#{ADAS}").update(posted=200, available=200, version=3)
    item(tables.accounts, f"A#{BOBS}").update(posted=800, available=800, version=2)


def outcome_without_lines(tables: Tables) -> None:
    tables.accounts.append(step_outcome(PENDING, "posted", (ADAS, -100), (BOBS, 100)))


def another_amount(tables: Tables) -> None:
    item(tables.transfers, f"T#{TRANSFER}")["amount"] = 399


def posting_without_record(tables: Tables) -> None:
    tables.transfers.remove(item(tables.transfers, f"T#{DEPOSIT}"))


def completed_without_posting(tables: Tables) -> None:
    tables.accounts.remove(item(tables.accounts, f"S#{TRANSFER}"))


def hold_resolved_twice(tables: Tables) -> None:
    """A hold was released, but its lines returned the money twice."""
    tables.accounts.append(
        {
            "pk": f"S#{PENDING}",
            "sk": "hold",
            "transfer_id": PENDING,
            "account_id": BOBS,
            "amount": 5,
            "status": "released",
            "at": at(18),
            "resolved_at": at(17),
        }
    )
    for version, change in ((2, 5), (3, -5), (4, -5)):
        held = line(BOBS, version, 0, 400, PENDING, 20 - version)
        tables.accounts.append(held | {"held_change": change, "held": {2: 5, 3: 0, 4: -5}[version]})
    item(tables.accounts, f"A#{BOBS}").update(version=4, held=-5, available=405)


def declined_with_legs(tables: Tables) -> None:
    item(tables.accounts, f"S#{DECLINED}")["legs"] = [
        {"account_id": ADAS, "change": -1},
        {"account_id": BOBS, "change": 1},
    ]


def declined_that_moved(tables: Tables) -> None:
    tables.accounts.extend([line(ADAS, 3, -1, 599, DECLINED, 10), line(BOBS, 2, 1, 401, DECLINED, 10)])
    item(tables.accounts, f"A#{ADAS}").update(posted=599, available=599, version=3)
    item(tables.accounts, f"A#{BOBS}").update(posted=401, available=401, version=2)


def declined_that_holds(tables: Tables) -> None:
    tables.accounts.append(
        {
            "pk": f"S#{DECLINED}",
            "sk": "hold",
            "transfer_id": DECLINED,
            "account_id": ADAS,
            "amount": 7,
            "status": "open",
            "at": at(10),
        }
    )
    tables.accounts.append(line(ADAS, 3, 0, 600, DECLINED, 10) | {"held_change": 7, "held": 7})
    item(tables.accounts, f"A#{ADAS}").update(held=7, available=593, version=3)


def overdue(tables: Tables) -> None:
    item(tables.transfers, f"T#{PENDING}")["due_at"] = at(10)


def missing_in_the_due_index(tables: Tables) -> None:
    del item(tables.transfers, f"T#{PENDING}")["due_shard"]


def ended_and_due(tables: Tables) -> None:
    item(tables.transfers, f"T#{TRANSFER}")["due_at"] = at(19)


def returned_and_not_due(tables: Tables) -> None:
    item(tables.transfers, f"T#{DECLINED}")["rail_outcome"] = "confirmed"


def returned_too_late(tables: Tables) -> None:
    item(tables.transfers, f"T#{DECLINED}").update(rail_outcome="confirmed", due_at=at(10), due_shard="07")


def returned_and_still_due(tables: Tables) -> None:
    item(tables.transfers, f"T#{DECLINED}").update(rail_outcome="refunded", due_at=at(-1), due_shard="07")


def not_notified(tables: Tables) -> None:
    tables.notifications.remove(item(tables.notifications, f"U#{BOB}", "N#"))


def notified_twice(tables: Tables) -> None:
    tables.notifications.append(notification(BOB, "transfer_received", TRANSFER, "completed") | {"sk": "N#ntf_again"})


def notified_to_another(tables: Tables) -> None:
    tables.notifications.append(notification("usr_EVE", "transfer_received", TRANSFER, "completed"))


def not_mailed(tables: Tables) -> None:
    tables.mail.remove(item(tables.mail, f"M#{terminal_id(TRANSFER, 'completed')}", "transfer_received"))


def half_mailed(tables: Tables) -> None:
    item(tables.mail, f"M#{terminal_id(TRANSFER, 'completed')}", "transfer_sent")["status"] = "sending"


def mailed_to_another(tables: Tables) -> None:
    tables.mail.append(mail("usr_EVE", "transfer_sent", TRANSFER))


def never_merged(tables: Tables) -> None:
    tables.mail.append({"pk": f"W#{ADA}#transfer_sent", "sk": f"P#{at(19)}#{terminal_id(TRANSFER, 'completed')}"})


def key_without_record(tables: Tables) -> None:
    tables.transfers.append(key("trf_GHOST"))


def shared_record(tables: Tables) -> None:
    tables.transfers.append(key(TRANSFER) | {"pk": "K#another"})


def record_without_key(tables: Tables) -> None:
    tables.transfers.remove(item(tables.transfers, f"K#scope-{TRANSFER}"))


def no_fingerprint(tables: Tables) -> None:
    item(tables.transfers, f"K#scope-{TRANSFER}")["fingerprint"] = ""


def no_answer(tables: Tables) -> None:
    item(tables.transfers, f"T#{TRANSFER}")["answer"] = None


def answer_of_another(tables: Tables) -> None:
    item(tables.transfers, f"T#{TRANSFER}")["answer"]["body"] = json.dumps({"id": DEPOSIT, "amount": 400})


def answer_that_disagrees(tables: Tables) -> None:
    item(tables.transfers, f"T#{TRANSFER}")["answer"] = record(TRANSFER, "transfer", "declined", 400, 1)["answer"]


def declined_answered_completed(tables: Tables) -> None:
    body = {"id": DECLINED, "amount": 9000, "status": "completed"}
    item(tables.transfers, f"T#{DECLINED}")["answer"] = {"status": 201, "body": json.dumps(body)}


@pytest.mark.parametrize(
    ("break_tables", "number", "named"),
    [
        (drift, 1, "USD"),
        (unbalanced_outcome, 1, TRANSFER),
        (lost_pending_credit, 1, "USD"),
        (gap, 2, ADAS),
        (missing_line, 2, BOBS),
        (wrong_running_balance, 2, ADAS),
        (head_behind_its_lines, 2, ADAS),
        (out_of_order, 2, ADAS),
        (journal_without_head, 2, "acc_GHOST"),
        (batch_with_wrong_opening, 2, RAIL),
        (batch_with_wrong_total, 2, RAIL),
        (folded_twice, 4, DEPOSIT),
        (hold_that_does_not_add_up, 3, ADAS),
        (held_without_hold, 3, ADAS),
        (overdrawn, 3, BOBS),
        (overdrawn_on_the_way, 3, ADAS),
        (wrong_available, 3, BOBS),
        (expectation_that_is_not_counted, 3, ADAS),
        (counted_without_expectation, 3, BOBS),
        (posted_twice, 4, TRANSFER),
        (journal_twice, 4, TRANSFER),
        (outcome_without_lines, 4, PENDING),
        (another_amount, 4, TRANSFER),
        (posting_without_record, 4, DEPOSIT),
        (completed_without_posting, 4, TRANSFER),
        (hold_resolved_twice, 4, PENDING),
        (declined_with_legs, 5, DECLINED),
        (declined_that_moved, 5, DECLINED),
        (declined_that_holds, 5, DECLINED),
        (overdue, 6, PENDING),
        (missing_in_the_due_index, 6, PENDING),
        (ended_and_due, 6, TRANSFER),
        (returned_and_not_due, 6, DECLINED),
        (returned_too_late, 6, DECLINED),
        (returned_and_still_due, 6, DECLINED),
        (not_notified, 6, TRANSFER),
        (notified_twice, 6, TRANSFER),
        (notified_to_another, 6, TRANSFER),
        (not_mailed, 6, TRANSFER),
        (half_mailed, 6, TRANSFER),
        (mailed_to_another, 6, TRANSFER),
        (never_merged, 6, TRANSFER),
        (key_without_record, 7, "trf_GHOST"),
        (shared_record, 7, TRANSFER),
        (record_without_key, 7, TRANSFER),
        (no_fingerprint, 7, f"K#scope-{TRANSFER}"),
        (no_answer, 7, TRANSFER),
        (answer_of_another, 7, TRANSFER),
        (answer_that_disagrees, 7, TRANSFER),
        (declined_answered_completed, 7, DECLINED),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_each_violation_is_found(break_tables: Break, number: int, named: str) -> None:
    tables = books()
    break_tables(tables)
    assert named in broken(tables).get(number, set())


def test_a_transfer_is_due_until_the_money_that_the_rail_took_is_back() -> None:
    tables = books()
    item(tables.transfers, f"T#{DECLINED}").update(rail_outcome="confirmed", due_at=at(-1), due_shard="07")
    assert broken(tables) == {}
    assert check(tables, NOW, drained=True)[5].waiting == 2


def test_a_credit_that_is_folded_but_not_deleted_counts_once() -> None:
    tables = books()
    tables.accounts.append(
        {
            "pk": f"I#{RAIL}#03",
            "sk": f"{DEPOSIT}#post",
            "account_id": RAIL,
            "transfer_id": DEPOSIT,
            "step": "post",
            "change": -1000,
            "currency": "USD",
            "at": at(30),
        }
    )
    item(tables.accounts, f"A#{RAIL}")["clean"] = 0
    assert broken(tables) == {}


def test_a_pending_credit_counts() -> None:
    tables = books()
    lost_pending_credit(tables)
    tables.accounts.append(
        {
            "pk": f"I#{RAIL}#03",
            "sk": f"{DEPOSIT}#post",
            "account_id": RAIL,
            "transfer_id": DEPOSIT,
            "step": "post",
            "change": -1000,
            "currency": "USD",
            "at": at(30),
        }
    )
    assert broken(tables) == {}


def test_a_settled_hold_counts_as_posted() -> None:
    tables = books()
    tables.accounts.remove(item(tables.accounts, f"S#{TRANSFER}"))
    tables.accounts.remove(item(tables.accounts, f"E#{ADAS}", at(20)))
    tables.accounts.extend(
        [
            {
                "pk": f"S#{TRANSFER}",
                "sk": "hold",
                "transfer_id": TRANSFER,
                "account_id": ADAS,
                "amount": 500,
                "status": "settled",
                "at": at(21),
                "resolved_at": at(20),
                "settled_amount": 400,
                "destination_account_id": BOBS,
            },
            line(ADAS, 2, 0, 1000, TRANSFER, 21) | {"held_change": 500, "held": 500},
            line(ADAS, 3, -400, 600, TRANSFER, 20) | {"held_change": -500},
        ]
    )
    item(tables.accounts, f"A#{ADAS}")["version"] = 3
    assert broken(tables) == {}


def test_a_notification_may_still_be_on_its_way_unless_the_queues_are_drained() -> None:
    tables = books()
    tables.transfers.remove(item(tables.transfers, f"T#{TRANSFER}"))
    tables.transfers.append(record(TRANSFER, "transfer", "completed", 400, 0.2))
    not_notified(tables)
    assert broken(tables, drained=False) == {}
    assert broken(tables, drained=True) == {6: {TRANSFER}}


def test_a_deleted_user_has_no_notifications_and_the_other_party_has() -> None:
    tables = books()
    forgotten = item(tables.transfers, f"T#{TRANSFER}")
    del forgotten["outbox"]
    forgotten["sequence"] = 2
    event, before = Event.new("transfer.completed", TRANSFER, 2, NOW, {}).id, terminal_id(TRANSFER, "completed")
    for each in tables.notifications:
        if each.get("event_id") == before:
            each["event_id"] = event
    for each in tables.mail:
        each["pk"] = each["pk"].replace(before, event)
    tables.notifications[:] = [each for each in tables.notifications if each["pk"] != f"U#{BOB}"]
    tables.notifications.append({"pk": f"U#{BOB}", "sk": "U", "gone": True, "expires_at": 1})
    assert broken(tables) == {}
    adas = next(each for each in tables.notifications if each.get("event_id") == event)
    tables.notifications.remove(adas)
    assert broken(tables) == {6: {TRANSFER}}


def test_findings_are_printed_one_line_each_with_their_violations(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(check(books(), NOW)) is True
    assert len(capsys.readouterr().out.splitlines()) == 8
    tables = books()
    drift(tables)
    assert show(check(tables, NOW)) is False
    printed = capsys.readouterr().out
    assert "1  BROKEN" in printed
    assert "USD: all accounts together" in printed
    assert "+1 minor units" in printed
    assert "3  holds" in printed
