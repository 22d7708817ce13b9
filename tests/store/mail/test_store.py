"""The mail room's conditions and queries, on DynamoDB as moto has it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import moto
import pytest
from common.dynamo import Cancelled, Reason, Table

from functions.mail.domain import NOTICE_KINDS, Entry, MailId, Marker, Notice, Window
from functions.mail.store import DynamoStore
from tests.support.tables import create_table
from tests.unit.mail.fakes import ADA, GRACE, World, transfer

MAIL = MailId("evt_1", "transfer_sent", ADA)
WINDOW = Window("2026-11-21T09:31:00.000Z")
LATER = Window("2026-11-21T09:32:00.000Z")
MERGED = replace(MAIL, cause=WINDOW.ends_at)
ENTRY = Entry("2026-11-21T09:30:00.000Z", 1050, "USD", "Grace")


@pytest.fixture
def table() -> Iterator[Table]:
    with moto.mock_aws():
        dynamodb = boto3.client("dynamodb")
        yield Table(dynamodb, create_table(dynamodb, "mail"))


@pytest.fixture
def store(table: Table) -> DynamoStore:
    return DynamoStore(table)


def _opened(store: DynamoStore, cause: str = "evt_0") -> None:
    assert store.claim(replace(MAIL, cause=cause), "lease", seen=None, opens=WINDOW)


def test_nothing_is_there_at_first(store: DynamoStore) -> None:
    assert store.look(MAIL) == (None, None)


def test_a_claim_marks_and_opens_in_one_write(store: DynamoStore) -> None:
    assert store.claim(MAIL, "lease", seen=None, opens=WINDOW)
    assert store.look(MAIL) == (Marker("sending", "lease"), WINDOW)


def test_a_claim_without_a_window_opens_none(store: DynamoStore) -> None:
    assert store.claim(MAIL, "lease", seen=None, opens=None)
    assert store.look(MAIL) == (Marker("sending", "lease"), None)


def test_a_marked_mail_is_not_claimed_and_no_window_changes(store: DynamoStore) -> None:
    _opened(store, MAIL.cause)
    assert not store.claim(MAIL, "other", seen=WINDOW, opens=LATER)
    assert store.look(MAIL) == (Marker("sending", "lease"), WINDOW)


@pytest.mark.parametrize("seen", [None, LATER, replace(WINDOW, held=True)])
def test_a_window_that_is_not_what_was_seen_refuses_a_claim(store: DynamoStore, seen: Window | None) -> None:
    _opened(store)
    assert not store.claim(MAIL, "lease", seen=seen, opens=LATER)
    assert store.look(MAIL) == (None, WINDOW)


def test_a_window_that_is_what_was_seen_is_replaced(store: DynamoStore) -> None:
    _opened(store)
    assert store.claim(MAIL, "lease", seen=WINDOW, opens=LATER)
    assert store.look(MAIL) == (Marker("sending", "lease"), LATER)


def test_a_lapsed_claim_is_taken_over_once(store: DynamoStore) -> None:
    _opened(store, MAIL.cause)
    assert store.claim_again(MAIL, "lease", "mine")
    assert not store.claim_again(MAIL, "lease", "theirs")
    assert store.look(MAIL)[0] == Marker("sending", "mine")


def test_only_the_claimant_settles(store: DynamoStore, table: Table) -> None:
    _opened(store, MAIL.cause)
    store.settle(MAIL, "another", "sent", "subject", "at")
    assert store.look(MAIL)[0] == Marker("sending", "lease")
    store.settle(MAIL, "lease", "sent", "subject", "at")
    assert table.get((f"M#{MAIL.cause}", f"{MAIL.kind}#{ADA}")) == {
        "pk": f"M#{MAIL.cause}",
        "sk": f"{MAIL.kind}#{ADA}",
        "kind": MAIL.kind,
        "user_id": ADA,
        "status": "sent",
        "subject": "subject",
        "sent_at": "at",
    }
    assert not store.claim_again(MAIL, "lease", "mine")


def test_what_is_held_is_held_once_and_comes_out_by_window(store: DynamoStore) -> None:
    _opened(store)
    notice = Notice(MAIL, ENTRY)
    assert store.hold(notice, WINDOW)
    assert not store.hold(notice, WINDOW)
    assert store.hold(Notice(replace(MAIL, cause="evt_2"), ENTRY), WINDOW), "others may have been held meanwhile"
    assert store.look(MAIL) == (Marker("merged"), replace(WINDOW, held=True))
    assert list(store.held(MERGED)) == [ENTRY, ENTRY]
    for other in (replace(MERGED, cause=LATER.ends_at), replace(MERGED, user_id=GRACE)):
        assert list(store.held(other)) == []
    store.forget(MERGED)
    store.forget(MERGED)
    assert list(store.held(MERGED)) == []


@pytest.mark.parametrize("window", [WINDOW, LATER])
def test_nothing_is_held_in_a_window_that_is_gone(store: DynamoStore, window: Window) -> None:
    if window is LATER:
        _opened(store)
    assert not store.hold(Notice(MAIL, ENTRY), window)
    assert store.look(MAIL)[0] is None
    assert list(store.held(replace(MAIL, cause=window.ends_at))) == []


def test_a_window_is_closed_only_while_it_holds_nothing(store: DynamoStore) -> None:
    assert not store.close(MERGED, WINDOW)
    _opened(store)
    assert store.close(MERGED, WINDOW)
    assert store.look(MAIL) == (None, None)
    _opened(store, "evt_3")
    store.hold(Notice(MAIL, ENTRY), WINDOW)
    assert not store.close(MERGED, WINDOW)
    assert store.look(MAIL)[1] == replace(WINDOW, held=True)


def test_a_flush_takes_the_window_with_what_it_holds(store: DynamoStore) -> None:
    _opened(store)
    store.hold(Notice(MAIL, ENTRY), WINDOW)
    assert not store.claim(MERGED, "lease", seen=WINDOW, opens=LATER)
    assert store.claim(MERGED, "lease", seen=replace(WINDOW, held=True), opens=LATER)
    assert not store.hold(Notice(replace(MAIL, cause="evt_9"), ENTRY), WINDOW)
    assert list(store.held(MERGED)) == [ENTRY]


def test_a_story_reads_the_same_as_on_the_fake(store: DynamoStore, table: Table) -> None:
    world = World()
    world.service = world.serve(store)
    for number in range(5):
        world.arrive(transfer(number, 100 * (number + 1)), transfer(number, 100 * (number + 1)), after=number * 20)
    world.drain()
    assert world.mails("ada@example.com") == ["You sent 1.00 USD", "You sent 3 transfers", "You sent 5.00 USD"]
    assert len(world.mails("grace@example.com")) == 3
    assert not [item for item in table.scan() if item["sk"].startswith("P#")]


def test_nothing_of_a_person_is_kept_but_markers(store: DynamoStore, table: Table) -> None:
    for user_id in (ADA, GRACE):
        for kind in NOTICE_KINDS:
            mail = MailId("evt_1", kind, user_id)
            store.claim(mail, "lease", seen=None, opens=WINDOW)
            store.hold(Notice(replace(mail, cause="evt_2"), ENTRY), WINDOW)
    for _ in range(2):
        store.forget_person(ADA)
    left = [item["pk"] for item in table.scan() if ADA in item["pk"] + item["sk"]]
    assert left and all(pk.startswith("M#") for pk in left)
    theirs = [item for item in table.scan() if item["pk"].startswith(f"W#{GRACE}#")]
    assert len(theirs) == 2 * len(NOTICE_KINDS)


def test_nobody_joins_a_minute_that_is_forgotten(store: DynamoStore, table: Table) -> None:
    _opened(store)
    store.forget_person(ADA)
    assert not store.hold(Notice(MAIL, ENTRY), WINDOW)
    assert not [item for item in table.scan() if item["pk"].startswith("W#")]


class _Refusing(Table):
    """Cancels every transaction, though no condition failed."""

    def __init__(self) -> None:
        super().__init__(None, "mail")

    def transact(self, writes: Any) -> None:
        raise Cancelled([Reason("ValidationError", None) for _ in writes])


def test_a_cancellation_of_another_kind_is_not_taken_for_a_condition() -> None:
    with pytest.raises(Cancelled):
        DynamoStore(_Refusing()).hold(Notice(MAIL, ENTRY), WINDOW)
