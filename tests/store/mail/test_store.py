"""The conditions and queries of the mail context, on moto or DynamoDB."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import moto
import pytest
from common.dynamo import Cancelled, Reason, Table
from common.errors import Stale

from functions.mail.domain.mails import MERGED_KINDS, MailEntry, MailId, MailRequest, MailState, MergeWindow
from functions.mail.store import MailStore
from tests.support.tables import create_table
from tests.unit.mail.world import ADA, GRACE, World, transfer

MAIL = MailId("evt_1", "transfer_sent", ADA)
WINDOW = MergeWindow("2026-11-21T09:31:00.000Z")
LATER = MergeWindow("2026-11-21T09:32:00.000Z")
MERGED = replace(MAIL, cause=WINDOW.ends_at)
ENTRY = MailEntry("2026-11-21T09:30:00.000Z", 1050, "USD", "Grace")


@pytest.fixture
def table() -> Iterator[Table]:
    with moto.mock_aws():
        dynamodb = boto3.client("dynamodb")
        yield Table(dynamodb, create_table(dynamodb, "mail"))


@pytest.fixture
def store(table: Table) -> MailStore:
    return MailStore(table)


def _opened(store: MailStore, cause: str = "evt_0") -> None:
    store.claim(replace(MAIL, cause=cause), "lease", old=None, new=WINDOW)


def test_a_new_mail_has_no_state_and_no_window(store: MailStore) -> None:
    assert store.find(MAIL) == (None, None)


def test_a_claim_writes_the_state_and_opens_a_window(store: MailStore) -> None:
    store.claim(MAIL, "lease", old=None, new=WINDOW)
    assert store.find(MAIL) == (MailState("sending", "lease"), WINDOW)


def test_a_claim_without_a_window_opens_none(store: MailStore) -> None:
    store.claim(MAIL, "lease", old=None, new=None)
    assert store.find(MAIL) == (MailState("sending", "lease"), None)


def test_a_mail_with_a_state_is_not_claimed_and_no_window_changes(store: MailStore) -> None:
    _opened(store, MAIL.cause)
    with pytest.raises(Stale):
        store.claim(MAIL, "other", old=WINDOW, new=LATER)
    assert store.find(MAIL) == (MailState("sending", "lease"), WINDOW)


@pytest.mark.parametrize("old", [None, LATER, replace(WINDOW, has_entries=True)])
def test_a_claim_fails_if_the_window_has_changed(store: MailStore, old: MergeWindow | None) -> None:
    _opened(store)
    with pytest.raises(Stale):
        store.claim(MAIL, "lease", old=old, new=LATER)
    assert store.find(MAIL) == (None, WINDOW)


def test_a_claim_replaces_the_window_that_was_read(store: MailStore) -> None:
    _opened(store)
    store.claim(MAIL, "lease", old=WINDOW, new=LATER)
    assert store.find(MAIL) == (MailState("sending", "lease"), LATER)


def test_an_expired_claim_is_taken_over_once(store: MailStore) -> None:
    _opened(store, MAIL.cause)
    store.take_over(MAIL, "lease", "mine")
    with pytest.raises(Stale):
        store.take_over(MAIL, "lease", "theirs")
    assert store.find(MAIL)[0] == MailState("sending", "mine")


def test_only_the_owner_of_the_claim_marks_the_mail_sent(store: MailStore, table: Table) -> None:
    _opened(store, MAIL.cause)
    assert store.mark_sent(MAIL, "another", "subject", "at") is False
    store.mark_dropped(MAIL, "another", "at")
    assert store.find(MAIL)[0] == MailState("sending", "lease")
    assert store.mark_sent(MAIL, "lease", "subject", "at") is True
    assert table.get((f"M#{MAIL.cause}", f"{MAIL.kind}#{ADA}")) == {
        "pk": f"M#{MAIL.cause}",
        "sk": f"{MAIL.kind}#{ADA}",
        "kind": MAIL.kind,
        "user_id": ADA,
        "status": "sent",
        "subject": "subject",
        "sent_at": "at",
    }
    with pytest.raises(Stale):
        store.take_over(MAIL, "lease", "mine")


def test_the_mail_to_a_previous_address_has_a_state_of_its_own(store: MailStore, table: Table) -> None:
    current = MailId("evt_1", "email_changed", ADA)
    previous = replace(current, to_previous=True)
    store.claim(previous, "lease", old=None, new=None)
    assert store.find(current) == (None, None)
    store.claim(current, "lease", old=None, new=None)
    store.mark_sent(previous, "lease", "subject", "at")
    assert [store.find(mail)[0] for mail in (previous, current)] == [MailState("sent"), MailState("sending", "lease")]
    assert {(item["pk"], item["sk"]) for item in table.scan()} == {
        ("M#evt_1", f"email_changed#{ADA}"),
        ("M#evt_1", f"email_changed#{ADA}#previous"),
    }


def test_an_entry_is_added_once_and_listed_by_window(store: MailStore) -> None:
    _opened(store)
    notice = MailRequest(MAIL, ENTRY)
    store.merge(notice, WINDOW)
    with pytest.raises(Stale):
        store.merge(notice, WINDOW)
    store.merge(MailRequest(replace(MAIL, cause="evt_2"), ENTRY), WINDOW)
    assert store.find(MAIL) == (MailState("merged"), replace(WINDOW, has_entries=True))
    assert list(store.entries(MERGED)) == [ENTRY, ENTRY]
    for other in (replace(MERGED, cause=LATER.ends_at), replace(MERGED, user_id=GRACE)):
        assert list(store.entries(other)) == []
    store.delete_entries(MERGED)
    store.delete_entries(MERGED)
    assert list(store.entries(MERGED)) == []


@pytest.mark.parametrize("window", [WINDOW, LATER])
def test_no_entry_is_added_to_a_window_that_is_gone(store: MailStore, window: MergeWindow) -> None:
    if window is LATER:
        _opened(store)
    with pytest.raises(Stale):
        store.merge(MailRequest(MAIL, ENTRY), window)
    assert store.find(MAIL)[0] is None
    assert list(store.entries(replace(MAIL, cause=window.ends_at))) == []


def test_a_window_is_closed_only_without_entries(store: MailStore) -> None:
    with pytest.raises(Stale):
        store.close_window(MERGED, WINDOW)
    _opened(store)
    store.close_window(MERGED, WINDOW)
    assert store.find(MAIL) == (None, None)
    _opened(store, "evt_3")
    store.merge(MailRequest(MAIL, ENTRY), WINDOW)
    with pytest.raises(Stale):
        store.close_window(MERGED, WINDOW)
    assert store.find(MAIL)[1] == replace(WINDOW, has_entries=True)


def test_a_flush_replaces_the_window_so_that_no_entry_is_added(store: MailStore) -> None:
    _opened(store)
    store.merge(MailRequest(MAIL, ENTRY), WINDOW)
    with pytest.raises(Stale):
        store.claim(MERGED, "lease", old=WINDOW, new=LATER)
    store.claim(MERGED, "lease", old=replace(WINDOW, has_entries=True), new=LATER)
    with pytest.raises(Stale):
        store.merge(MailRequest(replace(MAIL, cause="evt_9"), ENTRY), WINDOW)
    assert list(store.entries(MERGED)) == [ENTRY]


def test_merging_on_a_real_table(table: Table) -> None:
    world = World(table)
    for number in range(5):
        world.arrive(transfer(number, 100 * (number + 1)), transfer(number, 100 * (number + 1)), after=number * 20)
    world.drain()
    assert world.subjects("ada@example.com") == ["You sent 1.00 USD", "You sent 3 transfers", "You sent 5.00 USD"]
    assert len(world.subjects("grace@example.com")) == 3
    assert not [item for item in table.scan() if item["sk"].startswith("P#")]


def test_only_the_states_of_a_deleted_user_s_mails_are_kept(store: MailStore, table: Table) -> None:
    for user_id in (ADA, GRACE):
        for kind in MERGED_KINDS:
            mail = MailId("evt_1", kind, user_id)
            store.claim(mail, "lease", old=None, new=WINDOW)
            store.merge(MailRequest(replace(mail, cause="evt_2"), ENTRY), WINDOW)
    for _ in range(2):
        store.delete_user(ADA)
    left = [item["pk"] for item in table.scan() if ADA in item["pk"] + item["sk"]]
    assert left and all(pk.startswith("M#") for pk in left)
    theirs = [item for item in table.scan() if item["pk"].startswith(f"W#{GRACE}#")]
    assert len(theirs) == 2 * len(MERGED_KINDS)


def test_no_entry_is_added_to_a_deleted_window(store: MailStore, table: Table) -> None:
    _opened(store)
    store.delete_user(ADA)
    with pytest.raises(Stale):
        store.merge(MailRequest(MAIL, ENTRY), WINDOW)
    assert not [item for item in table.scan() if item["pk"].startswith("W#")]


class _Refusing(Table):
    """A table that cancels every transaction although no condition failed."""

    def __init__(self) -> None:
        super().__init__(None, "mail")

    def transact(self, writes: Any) -> None:
        raise Cancelled([Reason("ValidationError", None) for _ in writes])


def test_a_cancellation_without_a_failed_condition_is_raised() -> None:
    with pytest.raises(Cancelled):
        MailStore(_Refusing()).merge(MailRequest(MAIL, ENTRY), WINDOW)
