"""Every kind of violation of what must hold is found, and named, and nothing else is."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from common.events import Event

from localstack.tables import Tables
from localstack.verify import check, show
from tests.unit.localstack.books import (
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
    key,
    line,
    mail,
    marker,
    notice,
    record,
    terminal_id,
)

Plant = Callable[[Tables], None]


def broken(tables: Tables, *, drained: bool = True) -> dict[int, set[str]]:
    """The numbers of the invariants that do not hold, with the ids they name."""
    findings = check(tables, NOW, drained=drained)
    return {each.number: {violation.id for violation in each.violations} for each in findings if each.violations}


def item(items: list[Any], pk: str, sk: str = "") -> Any:
    (found,) = [each for each in items if each["pk"] == pk and each["sk"].startswith(sk)]
    return found


def test_right_books_are_right() -> None:
    findings = check(books(), NOW, drained=True)
    assert [each.number for each in findings] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert broken(books()) == {}
    assert findings[5].waiting == 1  # the transfer that has just begun
    assert findings[0].counted.startswith("1 currencies, 3 accounts")


def test_empty_tables_are_right() -> None:
    assert broken(Tables()) == {}


def drift(tables: Tables) -> None:
    ada = item(tables.accounts, f"A#{ADAS}")
    ada["posted"] += 1
    ada["available"] += 1


def unbalanced_marker(tables: Tables) -> None:
    item(tables.accounts, f"S#{TRANSFER}")["legs"][1]["change"] = 401


def lost_inbox_entry(tables: Tables) -> None:
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


def headless_journal(tables: Tables) -> None:
    tables.accounts.append(line("acc_GHOST", 1, 0, 0, TRANSFER, 5))


def torn_page(tables: Tables) -> None:
    item(tables.accounts, f"E#{RAIL}")["opening_posted"] = 5


def wrong_page_total(tables: Tables) -> None:
    item(tables.accounts, f"E#{RAIL}")["posted"] = -999


def folded_twice(tables: Tables) -> None:
    page = copy.deepcopy(item(tables.accounts, f"E#{RAIL}"))
    page |= {"sk": f"{at(29)}#{2:012}", "page": 2, "opening_version": 1, "opening_posted": -1000}
    page |= {"version": 2, "posted": -2000}
    tables.accounts.append(page)
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
    """Sent before it was brought in: in the end all adds up, in between the balance was negative."""
    first, second = item(tables.accounts, f"E#{ADAS}", at(30)), item(tables.accounts, f"E#{ADAS}", at(20))
    first.update(posted_change=-400, posted=-400, transfer_id=TRANSFER)
    second.update(posted_change=1000, posted=600, transfer_id=DEPOSIT)


def wrong_available(tables: Tables) -> None:
    item(tables.accounts, f"A#{BOBS}")["available"] = 401


def posted_twice(tables: Tables) -> None:
    tables.accounts.append(marker(TRANSFER, "posted", (ADAS, -400), (BOBS, 400)) | {"sk": "again", "step": "again"})


def journal_twice(tables: Tables) -> None:
    tables.accounts.extend([line(ADAS, 3, -400, 200, TRANSFER, 19), line(BOBS, 2, 400, 800, TRANSFER, 19)])
    item(tables.accounts, f"A#{ADAS}").update(posted=200, available=200, version=3)
    item(tables.accounts, f"A#{BOBS}").update(posted=800, available=800, version=2)


def marker_without_lines(tables: Tables) -> None:
    tables.accounts.append(marker(PENDING, "posted", (ADAS, -100), (BOBS, 100)))


def another_amount(tables: Tables) -> None:
    item(tables.transfers, f"T#{TRANSFER}")["amount"] = 399


def posting_without_record(tables: Tables) -> None:
    tables.transfers.remove(item(tables.transfers, f"T#{DEPOSIT}"))


def completed_without_posting(tables: Tables) -> None:
    tables.accounts.remove(item(tables.accounts, f"S#{TRANSFER}"))


def hold_resolved_twice(tables: Tables) -> None:
    """A hold that was released, and whose lines gave the money back twice."""
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


def long_past_its_time(tables: Tables) -> None:
    item(tables.transfers, f"T#{PENDING}")["due_at"] = at(10)


def lost_to_recovery(tables: Tables) -> None:
    del item(tables.transfers, f"T#{PENDING}")["due_shard"]


def terminal_and_due(tables: Tables) -> None:
    item(tables.transfers, f"T#{TRANSFER}")["due_at"] = at(19)


def not_told(tables: Tables) -> None:
    tables.notifications.remove(item(tables.notifications, f"U#{BOB}", "N#"))


def told_twice(tables: Tables) -> None:
    tables.notifications.append(notice(BOB, "transfer_received", TRANSFER, "completed") | {"sk": "N#ntf_again"})


def told_to_another(tables: Tables) -> None:
    tables.notifications.append(notice("usr_EVE", "transfer_received", TRANSFER, "completed"))


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
    ("plant", "number", "named"),
    [
        (drift, 1, "USD"),
        (unbalanced_marker, 1, TRANSFER),
        (lost_inbox_entry, 1, "USD"),
        (gap, 2, ADAS),
        (missing_line, 2, BOBS),
        (wrong_running_balance, 2, ADAS),
        (head_behind_its_lines, 2, ADAS),
        (out_of_order, 2, ADAS),
        (headless_journal, 2, "acc_GHOST"),
        (torn_page, 2, RAIL),
        (wrong_page_total, 2, RAIL),
        (folded_twice, 4, DEPOSIT),
        (hold_that_does_not_add_up, 3, ADAS),
        (held_without_hold, 3, ADAS),
        (overdrawn, 3, BOBS),
        (overdrawn_on_the_way, 3, ADAS),
        (wrong_available, 3, BOBS),
        (posted_twice, 4, TRANSFER),
        (journal_twice, 4, TRANSFER),
        (marker_without_lines, 4, PENDING),
        (another_amount, 4, TRANSFER),
        (posting_without_record, 4, DEPOSIT),
        (completed_without_posting, 4, TRANSFER),
        (hold_resolved_twice, 4, PENDING),
        (declined_with_legs, 5, DECLINED),
        (declined_that_moved, 5, DECLINED),
        (declined_that_holds, 5, DECLINED),
        (long_past_its_time, 6, PENDING),
        (lost_to_recovery, 6, PENDING),
        (terminal_and_due, 6, TRANSFER),
        (not_told, 6, TRANSFER),
        (told_twice, 6, TRANSFER),
        (told_to_another, 6, TRANSFER),
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
def test_each_violation_is_found(plant: Plant, number: int, named: str) -> None:
    tables = books()
    plant(tables)
    assert named in broken(tables).get(number, set())


def test_an_entry_that_is_folded_but_not_removed_counts_once() -> None:
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


def test_an_entry_that_is_not_folded_yet_counts() -> None:
    tables = books()
    lost_inbox_entry(tables)
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


def test_a_settled_hold_is_a_posting() -> None:
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


def test_who_was_just_paid_may_still_wait_to_be_told() -> None:
    tables = books()
    tables.transfers.remove(item(tables.transfers, f"T#{TRANSFER}"))
    tables.transfers.append(record(TRANSFER, "transfer", "completed", 400, 0.2))
    not_told(tables)
    assert broken(tables, drained=False) == {}
    assert broken(tables, drained=True) == {6: {TRANSFER}}


def test_of_whoever_is_deleted_no_inbox_is_left_and_the_others_were_told() -> None:
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


def test_the_findings_are_a_line_each_and_name_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(check(books(), NOW)) is True
    assert len(capsys.readouterr().out.splitlines()) == 8
    tables = books()
    drift(tables)
    assert show(check(tables, NOW)) is False
    printed = capsys.readouterr().out
    assert "1  BROKEN" in printed
    assert "USD: all accounts together hold +1 minor units" in printed
    assert "3  holds" in printed
