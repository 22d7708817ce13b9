"""What people are mailed, and how often."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from common.events import Event
from common.tasks import FoundUser

from functions.mail.domain import MINUTE, MailId, Marker, Window
from functions.mail.service import Busy
from tests.unit.mail.fakes import (
    ADA,
    GRACE,
    START,
    World,
    code_requested,
    deleted,
    pin_locked,
    transfer,
    user,
    verified,
)


@pytest.fixture
def world() -> World:
    return World()


def test_a_transfer_is_mailed_to_both_sides(world: World) -> None:
    world.service.hear(transfer(1))
    assert [(to, letter.subject) for _, to, letter in world.outbox] == [
        ("ada@example.com", "You sent 10.50 USD"),
        ("grace@example.com", "You received 10.50 USD"),
    ]
    (_, _, sent), (_, _, received) = world.outbox
    assert "10.50 USD to Grace Hopper, 2026-11-21 09:30 UTC" in sent.text
    assert "10.50 USD from Ada Lovelace, 2026-11-21 09:30 UTC" in received.html


def test_an_event_heard_again_is_mailed_once(world: World) -> None:
    for event in (transfer(1), verified(), code_requested()):
        world.service.hear(event)
        world.service.hear(event)
        world.clock.advance(days=1)
        world.service.hear(event)
    assert len(world.outbox) == 4


def test_a_transfer_between_ones_own_accounts_is_mailed_once_a_side(world: World) -> None:
    world.service.hear(transfer(1, payee=ADA))
    assert world.mails("ada@example.com") == ["You sent 10.50 USD", "You received 10.50 USD"]


@pytest.mark.parametrize("person", [FoundUser("not_found"), FoundUser("found", GRACE, "g@example.com", False)])
def test_only_verified_addresses_are_mailed(world: World, person: FoundUser) -> None:
    world.people[GRACE] = person
    event = transfer(1)
    world.service.hear(event)
    world.people[GRACE] = FoundUser("found", GRACE, "grace@example.com", True)
    world.service.hear(event)
    assert [to for _, to, _ in world.outbox] == ["ada@example.com"]


def test_one_person_s_fault_costs_nobody_else_their_mail(world: World) -> None:
    del world.people[ADA]
    find = world.find_user
    world.service._find_user = lambda request: find(request) if request.user_id == GRACE else 1 / 0  # type: ignore
    with pytest.raises(ExceptionGroup):
        world.service.hear(transfer(1))
    assert world.mails("grace@example.com") == ["You received 10.50 USD"]


def test_welcome(world: World) -> None:
    world.service.hear(verified())
    assert world.mails("ada@example.com") == ["Welcome to Remit"]


@pytest.mark.parametrize(
    "event",
    [
        Event.new("transfer.declined", "trf_1", 2, START, {"kind": "transfer"}),
        Event.new("transfer.completed", "dep_1", 2, START, {"kind": "deposit"}),
        code_requested(purpose="another"),
        user("user.updated", 1, "first_name", "status", status="suspended"),
        user("user.updated", 1, "email"),
    ],
)
def test_other_events_are_nobody_s_mail(world: World, event: Event) -> None:
    world.service.hear(event)
    assert world.line.calls == []


# --- codes


def test_a_code_goes_to_the_address_that_came_with_it(world: World) -> None:
    world.service.hear(code_requested())
    ((_, to, letter),) = world.outbox
    assert to == "new@example.com"
    assert "000001" in letter.text and "000001" in letter.html and "15 minutes" in letter.text


@pytest.mark.parametrize(
    ("purpose", "kind", "subject"),
    [
        ("verify_email", "verify_email", "Confirm your email address"),
        ("login", "login_code", "Your code to sign in"),
        ("reset_password", "reset_password", "Reset your password"),
        ("change_email", "email_change", "Confirm your new email address"),
        ("pin_reset", "pin_reset", "Reset your PIN"),
    ],
)
def test_each_purpose_has_its_mail(world: World, purpose: str, kind: str, subject: str) -> None:
    event = code_requested(purpose=purpose)
    for _ in range(2):
        world.service.hear(event)
    assert world.mails("new@example.com") == [subject]
    assert world.outbox[-1][2].text.count("000001") == 1
    assert world.store.markers[MailId(event.id, kind, ADA)] == Marker("sent")  # type: ignore[arg-type]
    assert world.codes == 1


def test_another_address_is_told_to_the_one_before_it_first_and_once(world: World) -> None:
    event = code_requested(purpose="change_email")
    for _ in range(2):
        world.service.hear(event)
    assert [(to, letter.subject) for _, to, letter in world.outbox] == [
        ("ada@example.com", "Your email address is about to change"),
        ("new@example.com", "Confirm your new email address"),
    ]
    assert "000001" not in world.outbox[0][2].text + world.outbox[0][2].html
    assert "new@example.com" not in world.outbox[0][2].text


@pytest.mark.parametrize("number", [2, 7])
def test_the_code_and_the_notice_do_not_cost_each_other(world: World, number: int) -> None:
    """Looking up who is noticed, or minting, fails."""
    event = code_requested(purpose="change_email")
    world.line.die_before = number
    with pytest.raises(ExceptionGroup):
        world.service.hear(event)
    assert world.line.calls[number] in ("find_user", "mint_code")
    assert len(world.outbox) == 1
    world.arrive(event, after=90)
    world.drain()
    assert sorted(to for _, to, _ in world.outbox) == ["ada@example.com", "new@example.com"]


def test_a_phone_is_sent_one_text_message(world: World) -> None:
    world.code_goes_to = "+4915112345678"
    event = code_requested(purpose="verify_phone")
    for _ in range(2):
        world.service.hear(event)
    ((phone, text),) = world.texts
    assert phone == "+4915112345678"
    assert "000001" in text
    assert (world.outbox, world.codes) == ([], 1)
    assert world.store.markers[MailId(event.id, "verify_phone", ADA)] == Marker("sent")
    assert "000001" not in repr((world.store.markers, world.store.subjects))


def test_codes_go_at_once_however_many(world: World) -> None:
    for times in (1, 2, 3):
        world.service.hear(code_requested(times))
    assert [letter.text.count(f"{number:06}") for number, (_, _, letter) in enumerate(world.outbox, 1)] == [1, 1, 1]


def test_a_code_stands_in_no_subject_and_no_marker(world: World) -> None:
    world.service.hear(code_requested())
    assert "000001" not in repr((world.store.markers, world.store.subjects, world.outbox[0][2].subject))


def test_a_challenge_that_is_over_is_not_mailed(world: World) -> None:
    world.challenge_open = False
    event = code_requested()
    world.service.hear(event)
    world.challenge_open = True
    world.service.hear(event)
    assert world.outbox == []


def test_a_duplicate_in_flight_waits_and_mints_nothing(world: World) -> None:
    event = code_requested()

    def duplicate() -> None:
        with pytest.RaisesGroup(Busy):
            world.service.hear(event)

    world.line.meanwhile[3] = duplicate  # the code is minted, its mail is being sent
    world.service.hear(event)
    assert (world.codes, len(world.outbox)) == (1, 1)


def test_a_duplicate_that_lost_the_race_to_claim_waits(world: World) -> None:
    event = code_requested()
    world.line.meanwhile[1] = lambda: world.service.hear(event)
    with pytest.RaisesGroup(Busy):
        world.service.hear(event)
    assert (world.codes, len(world.outbox)) == (1, 1)


def test_a_claim_left_by_the_dead_lapses(world: World) -> None:
    event = code_requested()
    world.line.die_before = 3  # the mail never left
    world.arrive(event)
    world.drain()
    assert len(world.outbox) == 1
    assert "000002" in world.outbox[0][2].text, "the code minted for the mail that never left is void"
    assert world.clock() - START == timedelta(seconds=90)


# --- what was done to an account


@pytest.mark.parametrize(
    ("event", "subjects"),
    [
        (user("user.password_changed"), ["Your password was changed"]),
        (user("user.suspended", 1, "status", status="suspended"), ["Your account was suspended"]),
        (user("user.updated", 1, "status"), ["Your account is active again"]),
        (user("user.updated", 1, "role", role="arbiter"), ["Your role was changed"]),
        (
            user("user.suspended", 1, "role", "status", status="suspended"),
            ["Your account was suspended", "Your role was changed"],
        ),
        (pin_locked(), ["Your PIN is locked"]),
    ],
)
def test_what_was_done_is_mailed_once(world: World, event: Event, subjects: list[str]) -> None:
    for _ in range(3):
        world.service.hear(event)
        world.clock.advance(days=1)
    assert world.mails("ada@example.com") == subjects
    assert len(world.outbox) == len(subjects)


def test_a_suspended_person_is_mailed_that_they_are(world: World) -> None:
    world.people[ADA] = replace(world.people[ADA], status="suspended")
    world.service.hear(user("user.suspended", 1, "status", status="suspended"))
    assert world.mails("ada@example.com") == ["Your account was suspended"]


def test_whoever_is_deleted_gets_nothing_and_nothing_is_tried_again(world: World) -> None:
    del world.people[ADA]
    event = pin_locked()
    world.arrive(event)
    world.drain()
    assert (world.outbox, world.messages) == ([], [])
    assert world.store.markers[MailId(event.id, "pin_locked", ADA)] == Marker("dropped")


def test_a_second_of_a_kind_within_a_minute_waits_and_tells_each(world: World) -> None:
    for number in (1, 2, 3):
        world.arrive(pin_locked(number, f"Account {number}"))
    world.drain()
    assert world.mails("ada@example.com") == ["Your PIN is locked"] * 2
    (_, _, first), (at, _, merged) = world.outbox
    assert at - START == MINUTE
    assert "The PIN of Account 1 was locked after too many wrong tries, 2026-11-21 09:31 UTC." in first.text
    assert [f"of Account {number} " in merged.text for number in (1, 2, 3)] == [False, True, True]
    assert merged.html.count("<li>") == 2


def test_nothing_waits_for_whoever_is_deleted(world: World) -> None:
    for number in (1, 2):
        world.service.hear(pin_locked(number))
        world.service.hear(transfer(number))
    for _ in range(2):
        world.service.hear(deleted())
    assert {user for user, _ in world.store.windows} == {user for user, *_ in world.store.entries} == {GRACE}
    del world.people[ADA]
    world.drain()
    assert world.mails("ada@example.com") == ["Your PIN is locked", "You sent 10.50 USD"]
    assert len(world.mails("grace@example.com")) == 2


# --- merging


def test_what_follows_within_a_minute_goes_as_one(world: World) -> None:
    for number in range(4):
        world.arrive(transfer(number, 100 * (number + 1)), after=number * 10)
    world.drain()
    assert world.mails("ada@example.com") == ["You sent 1.00 USD", "You sent 3 transfers"]
    at, _, merged = world.outbox[-1]
    assert at - START == MINUTE
    assert [f"{amount}.00 USD" in merged.text for amount in (1, 2, 3, 4)] == [False, True, True, True]
    assert merged.html.count("<li>") == 3


def test_a_single_follower_reads_like_any_mail(world: World) -> None:
    world.arrive(transfer(1), transfer(2, 200))
    world.drain()
    assert world.mails("ada@example.com") == ["You sent 10.50 USD", "You sent 2.00 USD"]


def test_two_mails_of_a_kind_are_a_minute_apart_whatever_comes(world: World) -> None:
    for number in range(20):
        world.arrive(transfer(number), after=number * 13)
    world.drain()
    times = [at for at, to, _ in world.outbox if to == "ada@example.com"]
    assert all(later - earlier >= MINUTE for earlier, later in pairwise(times))
    assert len(times) == 6


def test_a_quiet_minute_later_mail_goes_at_once_again(world: World) -> None:
    world.service.hear(transfer(1))
    world.clock.advance(seconds=60)
    world.service.hear(transfer(2))
    assert world.mails("ada@example.com") == ["You sent 10.50 USD"] * 2
    assert world.messages == []


def test_kinds_and_people_do_not_share_a_minute(world: World) -> None:
    world.service.hear(transfer(1))
    world.service.hear(transfer(2, payer=GRACE, payee=ADA))
    assert len(world.outbox) == 4


def test_one_flush_is_asked_for_however_many_wait(world: World) -> None:
    for number in range(5):
        world.service.hear(transfer(number))
    assert len(world.messages) == 2  # one a side


def test_nobody_goes_at_once_while_others_wait_to_go(world: World) -> None:
    world.service.hear(transfer(1))
    world.service.hear(transfer(2))
    world.clock.advance(seconds=61)  # the flush is due, and late
    world.service.hear(transfer(3))
    assert len(world.messages) == 2, "the flush that is due is enough"
    world.drain()
    assert world.mails("ada@example.com") == ["You sent 10.50 USD", "You sent 2 transfers"]


def test_a_flush_that_never_came_is_asked_for_again(world: World) -> None:
    world.service.hear(transfer(1))
    world.service.hear(transfer(2))
    world.messages.clear()  # it went to the dead letters
    world.clock.advance(minutes=2)
    world.service.hear(transfer(3))
    world.drain()
    assert world.mails("ada@example.com") == ["You sent 10.50 USD", "You sent 2 transfers"]


def test_a_flush_that_comes_again_does_nothing(world: World) -> None:
    world.service.hear(transfer(1))
    world.service.hear(transfer(2))
    asked = [message for _, message in world.messages]
    world.drain()
    world.arrive(*asked)
    world.drain()
    assert len(world.outbox) == 4
    assert not any(world.store.entries.values())


def test_a_flush_of_nothing_closes_the_minute(world: World) -> None:
    world.service.hear(transfer(1))
    window = world.store.windows[ADA, "transfer_sent"]
    merged = MailId(window.ends_at, "transfer_sent", ADA)
    world.clock.advance(seconds=60)
    world.service.flush(merged)
    world.service.flush(merged)
    assert (ADA, "transfer_sent") not in world.store.windows
    assert len(world.outbox) == 2


def test_what_was_held_for_an_address_that_is_gone_is_dropped(world: World) -> None:
    world.service.hear(transfer(1))
    world.service.hear(transfer(2))
    del world.people[ADA]
    world.drain()
    assert world.mails("ada@example.com") == ["You sent 10.50 USD"]
    assert not any(world.store.entries.values())


def test_a_settled_claim_that_another_took_over_is_left_to_them(world: World) -> None:
    event = verified()
    mail = MailId(event.id, "welcome", ADA)

    def taken_over() -> None:
        world.store.markers[mail] = Marker("sending", "later")

    world.line.meanwhile[4] = taken_over
    world.service.hear(event)
    assert world.line.calls[4] == "settle"
    assert world.store.markers[mail] == Marker("sending", "later")


def test_endless_contention_is_left_to_the_queue(world: World) -> None:
    window = replace(Window.opened(START), held=True)
    world.store.windows[ADA, "welcome"] = window
    world.store.claim = lambda *_, **__: False  # type: ignore[method-assign]
    with pytest.raises(ExceptionGroup):
        world.service.hear(transfer(1))
    with pytest.raises(Busy):
        world.service.flush(MailId(window.ends_at, "welcome", ADA))
    assert world.outbox == []
