"""Who is mailed what, and how often."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any, get_args

import pytest
from common import clock
from common.contracts.auth import FoundUser
from common.contracts.events import Event
from common.dynamo import CONDITION, Cancelled, Reason
from common.errors import Contended

from functions.mail.domain.mails import WINDOW_LENGTH, MailId, MailState, SecurityKind
from functions.mail.service import Busy
from functions.mail.store import MailStore
from tests.support.memory_table import Call
from tests.unit.mail.world import (
    ADA,
    GRACE,
    START,
    World,
    code_requested,
    deleted,
    login,
    pin_locked,
    transfer,
    user,
    verified,
)


@pytest.fixture
def world() -> World:
    return World()


def test_a_transfer_is_mailed_to_both_sides(world: World) -> None:
    world.mailer.handle(transfer(1))
    assert [(to, mail.subject) for _, to, mail in world.sent] == [
        ("ada@example.com", "You sent 10.50 USD"),
        ("grace@example.com", "You received 10.50 USD"),
    ]
    (_, _, sent), (_, _, received) = world.sent
    assert "10.50 USD to Grace Hopper on 2026-11-21 at 09:30 UTC" in sent.text
    assert "10.50 USD from Ada Lovelace on 2026-11-21 at 09:30 UTC" in received.html


def test_an_event_delivered_again_is_mailed_once(world: World) -> None:
    for event in (transfer(1), verified(), code_requested()):
        world.mailer.handle(event)
        world.mailer.handle(event)
        world.clock.advance(days=1)
        world.mailer.handle(event)
    assert len(world.sent) == 4


def test_a_transfer_between_own_accounts_is_mailed_once_a_side(world: World) -> None:
    world.mailer.handle(transfer(1, payee=ADA))
    assert world.subjects("ada@example.com") == ["You sent 10.50 USD", "You received 10.50 USD"]


@pytest.mark.parametrize("found", [FoundUser("not_found"), FoundUser("found", GRACE, "g@example.com", False)])
def test_only_verified_addresses_are_mailed(world: World, found: FoundUser) -> None:
    world.users[GRACE] = found
    event = transfer(1)
    world.mailer.handle(event)
    world.users[GRACE] = FoundUser("found", GRACE, "grace@example.com", True)
    world.mailer.handle(event)
    assert [to for _, to, _ in world.sent] == ["ada@example.com"]


def test_a_failed_mail_does_not_stop_another_user_s_mail(world: World) -> None:
    del world.users[ADA]
    find = world.find_user
    world.mailer._find_user = lambda request: find(request) if request.user_id == GRACE else 1 / 0  # type: ignore
    with pytest.raises(ExceptionGroup):
        world.mailer.handle(transfer(1))
    assert world.subjects("grace@example.com") == ["You received 10.50 USD"]


def test_a_verified_user_is_welcomed(world: World) -> None:
    world.mailer.handle(verified())
    assert world.subjects("ada@example.com") == ["Welcome to Remit"]


@pytest.mark.parametrize(
    "event",
    [
        Event.new("transfer.declined", "trf_1", 2, START, {"kind": "transfer"}),
        Event.new("transfer.completed", "dep_1", 2, START, {"kind": "deposit"}),
        code_requested(purpose="another"),
        user("user.updated", 1, "name", "status", status="suspended"),
        login(new_device=False),
    ],
)
def test_other_events_ask_for_no_mail(world: World, event: Event) -> None:
    world.mailer.handle(event)
    assert world.calls.made == []


# --- codes


def test_a_code_is_mailed_to_the_address_that_it_was_minted_for(world: World) -> None:
    world.mailer.handle(code_requested())
    ((_, to, mail),) = world.sent
    assert to == "new@example.com"
    assert "000001" in mail.text and "000001" in mail.html and "15 minutes" in mail.text


@pytest.mark.parametrize(
    ("purpose", "kind", "subject"),
    [
        ("verify_email", "verify_email", "Confirm your email address"),
        ("login", "login_code", "Your sign-in code"),
        ("reset_password", "reset_password", "Reset your password"),
        ("change_email", "email_change", "Confirm your new email address"),
        ("pin_reset", "pin_reset", "Reset your PIN"),
        ("reauthenticate", "login_code", "Your sign-in code"),
    ],
)
def test_each_purpose_has_its_mail(world: World, purpose: str, kind: str, subject: str) -> None:
    event = code_requested(purpose=purpose)
    for _ in range(2):
        world.mailer.handle(event)
    assert world.subjects("new@example.com") == [subject]
    assert world.sent[-1][2].text.count("000001") == 1
    assert world.states()[MailId(event.id, kind, ADA)] == MailState("sent")  # type: ignore[arg-type]
    assert world.codes == 1


def test_a_change_of_address_is_mailed_to_the_current_address_first(world: World) -> None:
    event = code_requested(purpose="change_email")
    for _ in range(2):
        world.mailer.handle(event)
    assert [(to, mail.subject) for _, to, mail in world.sent] == [
        ("ada@example.com", "Your email address is about to change"),
        ("new@example.com", "Confirm your new email address"),
    ]
    assert "000001" not in world.sent[0][2].text + world.sent[0][2].html
    assert "new@example.com" not in world.sent[0][2].text


@pytest.mark.parametrize("number", [2, 7])
def test_a_failed_notice_does_not_stop_the_code_nor_the_reverse(world: World, number: int) -> None:
    """Finding the user for the notice fails, or minting the code."""
    event = code_requested(purpose="change_email")
    world.calls.die_before = number
    with pytest.raises(ExceptionGroup):
        world.mailer.handle(event)
    assert world.calls.made[number] in ("find_user", "mint_code")
    assert len(world.sent) == 1
    world.arrive(event, after=90)
    world.drain()
    assert sorted(to for _, to, _ in world.sent) == ["ada@example.com", "new@example.com"]


def test_a_phone_is_sent_one_text_message(world: World) -> None:
    world.code_goes_to = "+4915112345678"
    event = code_requested(purpose="verify_phone")
    for _ in range(2):
        world.mailer.handle(event)
    ((phone, text),) = world.texts
    assert phone == "+4915112345678"
    assert "000001" in text
    assert (world.sent, world.codes) == ([], 1)
    assert world.states()[MailId(event.id, "verify_phone", ADA)] == MailState("sent")
    assert "000001" not in repr(world.table.items())


def test_a_text_message_that_may_have_been_sent_is_not_sent_again(world: World) -> None:
    world.code_goes_to = "+4915112345678"
    event = code_requested(purpose="verify_phone")
    world.calls.die_after = 4  # SNS accepted the message, and the reply was lost
    world.arrive(event)
    world.drain()
    assert world.calls.made[4] == "text"
    assert len(world.texts) == 1
    assert world.states()[MailId(event.id, "verify_phone", ADA)] == MailState("sent")


def test_a_text_message_is_not_sent_by_a_process_that_lost_its_claim(world: World) -> None:
    world.code_goes_to = "+4915112345678"
    event = code_requested(purpose="verify_phone")
    mail = MailId(event.id, "verify_phone", ADA)
    world.calls.meanwhile[3] = lambda: MailStore(world.table).take_over(mail, world.states()[mail].lease, "later")
    world.mailer.handle(event)
    assert world.calls.made[-1] == "update"
    assert (world.texts, world.states()[mail]) == ([], MailState("sending", "later"))


def test_codes_are_never_merged(world: World) -> None:
    for times in (1, 2, 3):
        world.mailer.handle(code_requested(times))
    assert [mail.text.count(f"{number:06}") for number, (_, _, mail) in enumerate(world.sent, 1)] == [1, 1, 1]


def test_a_code_is_in_no_subject_and_not_stored(world: World) -> None:
    world.mailer.handle(code_requested())
    assert "000001" not in repr((world.table.items(), world.sent[0][2].subject))


def test_no_code_is_mailed_for_a_closed_challenge(world: World) -> None:
    world.challenge_open = False
    event = code_requested()
    world.mailer.handle(event)
    world.challenge_open = True
    world.mailer.handle(event)
    assert world.sent == []


def test_a_duplicate_in_flight_waits_and_mints_nothing(world: World) -> None:
    event = code_requested()

    def duplicate() -> None:
        with pytest.RaisesGroup(Busy):
            world.mailer.handle(event)

    world.calls.meanwhile[3] = duplicate  # the code is minted, its mail is being sent
    world.mailer.handle(event)
    assert (world.codes, len(world.sent)) == (1, 1)


def test_a_duplicate_that_lost_the_race_to_claim_waits(world: World) -> None:
    event = code_requested()
    world.calls.meanwhile[1] = lambda: world.mailer.handle(event)
    with pytest.RaisesGroup(Busy):
        world.mailer.handle(event)
    assert (world.codes, len(world.sent)) == (1, 1)


def test_an_abandoned_claim_expires(world: World) -> None:
    event = code_requested()
    world.calls.die_before = 3  # the mail never left
    world.arrive(event)
    world.drain()
    assert len(world.sent) == 1
    assert "000002" in world.sent[0][2].text, "the code minted for the mail that never left is void"
    assert world.clock() - START == timedelta(seconds=90)


# --- changes of a user or account


@pytest.mark.parametrize(
    ("event", "subjects"),
    [
        (user("user.password_changed"), ["Your password was changed"]),
        (user("user.suspended", 1, "status", status="suspended"), ["Your account was suspended"]),
        (user("user.updated", 1, "status"), ["Your account is active again"]),
        (user("user.updated", 1, "role", role="arbiter"), ["Your role was changed"]),
        (user("user.updated", 1, "email"), ["Your email address was changed"]),
        (user("user.updated", 1, "phone"), ["Your phone number was changed"]),
        (user("user.updated", 1, "second_factor"), ["Your second factor was changed"]),
        (user("user.updated", 1, "api_key_created"), ["An API key was created"]),
        (user("user.updated", 1, "api_key_revoked"), ["An API key was revoked"]),
        (
            user("user.updated", 1, "phone", "second_factor"),
            ["Your phone number was changed", "Your second factor was changed"],
        ),
        (login(), ["New sign-in to your account"]),
        (
            user("user.suspended", 1, "role", "status", status="suspended"),
            ["Your account was suspended", "Your role was changed"],
        ),
        (pin_locked(), ["Your PIN is locked"]),
    ],
)
def test_a_change_is_mailed_once(world: World, event: Event, subjects: list[str]) -> None:
    for _ in range(3):
        world.mailer.handle(event)
        world.clock.advance(days=1)
    assert world.subjects("ada@example.com") == subjects
    assert len(world.sent) == len(subjects)


def test_a_suspended_user_is_mailed_about_the_suspension(world: World) -> None:
    world.users[ADA] = replace(world.users[ADA], status="suspended")
    world.mailer.handle(user("user.suspended", 1, "status", status="suspended"))
    assert world.subjects("ada@example.com") == ["Your account was suspended"]


def test_a_mail_to_a_deleted_user_is_dropped_and_not_retried(world: World) -> None:
    del world.users[ADA]
    event = pin_locked()
    world.arrive(event)
    world.drain()
    assert (world.sent, world.messages) == ([], [])
    assert world.states()[MailId(event.id, "pin_locked", ADA)] == MailState("dropped")


def test_notices_of_a_kind_within_a_minute_are_merged_and_all_reported(world: World) -> None:
    roles = ("arbiter", "admin", "customer")
    for number, role in enumerate(roles, 1):
        world.arrive(user("user.updated", number, "role", role=role))
    world.drain()
    assert world.subjects("ada@example.com") == ["Your role was changed"] * 2
    (_, _, first), (at, _, merged) = world.sent
    assert at - START == WINDOW_LENGTH
    assert "You were given the role arbiter on 2026-11-21 at 09:31 UTC." in first.text
    assert [f"the role {role} " in merged.text for role in roles] == [False, True, True]
    assert merged.html.count("<li>") == 2


# --- security


SECURITY_EVENTS: list[tuple[Callable[[int], Event], str]] = [
    (login, "New sign-in to your account"),
    (lambda number: user("user.password_changed", number), "Your password was changed"),
    (lambda number: user("user.updated", number, "email"), "Your email address was changed"),
    (lambda number: user("user.updated", number, "phone"), "Your phone number was changed"),
    (lambda number: user("user.updated", number, "second_factor"), "Your second factor was changed"),
    (lambda number: user("user.updated", number, "api_key_created"), "An API key was created"),
    (lambda number: user("user.updated", number, "api_key_revoked"), "An API key was revoked"),
    (lambda number: code_requested(number, "change_email"), "Your email address is about to change"),
    (pin_locked, "Your PIN is locked"),
    (lambda number: user("user.suspended", number, "status", status="suspended"), "Your account was suspended"),
]


def test_every_security_kind_has_an_event(world: World) -> None:
    for event, _ in SECURITY_EVENTS:
        world.mailer.handle(event(1))
    assert {mail.kind for mail in world.states()} - {"email_change"} == set(get_args(SecurityKind))


@pytest.mark.parametrize(("event", "subject"), SECURITY_EVENTS)
def test_a_security_notice_is_mailed_immediately_once_an_event_and_never_merged(
    world: World, event: Callable[[int], Event], subject: str
) -> None:
    for number in (1, 2, 3):
        world.mailer.handle(event(number))
        world.mailer.handle(event(number))
        assert world.subjects("ada@example.com") == [subject] * number
    assert all(at == START for at, _, _ in world.sent)
    assert (world.messages, world.windows(), world.entries()) == ([], {}, [])


def test_a_security_notice_ignores_a_merge_window_of_an_earlier_version(world: World) -> None:
    ends_at = clock.timestamp(START + WINDOW_LENGTH)
    world.table.put({"pk": f"W#{ADA}#pin_locked", "sk": "W", "ends_at": ends_at, "held": True})
    world.mailer.handle(pin_locked())
    assert world.subjects("ada@example.com") == ["Your PIN is locked"]
    assert world.entries() == []


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_changed_password_is_mailed_with_the_number_of_revoked_api_keys(world: World, number: int) -> None:
    world.mailer.handle(user("user.password_changed", api_keys_revoked=number))
    ((_, _, mail),) = world.sent
    assert "All your other sessions were ended" in mail.text
    assert (f"and {number} API key" in mail.text) == (number > 0)


def test_a_new_sign_in_is_mailed_with_its_device(world: World) -> None:
    world.mailer.handle(login())
    ((_, _, mail),) = world.sent
    assert "from a new device, Firefox on Linux, IP address 203.0.113.7, on 2026-11-21 at 09:31 UTC." in mail.text


def test_a_changed_email_is_mailed_to_both_addresses_once(world: World) -> None:
    event = user("user.updated", 1, "email", previous_email="old@example.com")
    for _ in range(3):
        world.mailer.handle(event)
        world.clock.advance(days=1)
    assert [(to, mail.subject) for _, to, mail in world.sent] == [
        ("old@example.com", "Your email address was changed"),
        ("ada@example.com", "Your email address was changed"),
    ]
    (_, _, previous), (_, _, current) = world.sent
    assert "contact support" in previous.text and "reset your password" not in previous.text
    assert "reset your password" in current.text
    assert not re.search("Ada|ada@example.com", previous.text + previous.html)
    assert {mail.to_previous: state.status for mail, state in world.states().items()} == {True: "sent", False: "sent"}
    assert "old@example.com" not in repr(world.table.items())


@pytest.mark.parametrize("previous", [{}, {"previous_email": ""}, {"previous_email": None}])
def test_without_a_previous_address_only_the_current_one_is_mailed(world: World, previous: dict[str, Any]) -> None:
    world.mailer.handle(user("user.updated", 1, "email", **previous))
    assert [to for _, to, _ in world.sent] == ["ada@example.com"]


def test_a_previous_address_is_mailed_although_the_current_one_fails(world: World) -> None:
    world.calls.die_before = 6
    with pytest.raises(ExceptionGroup):
        world.mailer.handle(user("user.updated", 1, "email", previous_email="old@example.com"))
    assert world.calls.made[6] == "find_user"
    assert [to for _, to, _ in world.sent] == ["old@example.com"]


def test_the_entries_of_a_deleted_user_are_deleted(world: World) -> None:
    for number in (1, 2):
        world.mailer.handle(user("user.updated", number, "role"))
        world.mailer.handle(transfer(number))
    for _ in range(2):
        world.mailer.handle(deleted())
    assert {user for user, _ in world.windows()} == {GRACE}
    assert {item["pk"] for item in world.entries()} == {f"W#{GRACE}#transfer_received"}
    del world.users[ADA]
    world.drain()
    assert world.subjects("ada@example.com") == ["Your role was changed", "You sent 10.50 USD"]
    assert len(world.subjects("grace@example.com")) == 2


# --- merging


def test_mails_of_a_kind_within_a_minute_are_merged(world: World) -> None:
    for number in range(4):
        world.arrive(transfer(number, 100 * (number + 1)), after=number * 10)
    world.drain()
    assert world.subjects("ada@example.com") == ["You sent 1.00 USD", "You sent 3 transfers"]
    at, _, merged = world.sent[-1]
    assert at - START == WINDOW_LENGTH
    assert [f"{amount}.00 USD" in merged.text for amount in (1, 2, 3, 4)] == [False, True, True, True]
    assert merged.html.count("<li>") == 3


def test_a_merged_mail_with_one_entry_reads_like_any_mail(world: World) -> None:
    world.arrive(transfer(1), transfer(2, 200))
    world.drain()
    assert world.subjects("ada@example.com") == ["You sent 10.50 USD", "You sent 2.00 USD"]


def test_two_mails_of_a_kind_are_at_least_a_minute_apart(world: World) -> None:
    for number in range(20):
        world.arrive(transfer(number), after=number * 13)
    world.drain()
    times = [at for at, to, _ in world.sent if to == "ada@example.com"]
    assert all(later - earlier >= WINDOW_LENGTH for earlier, later in pairwise(times))
    assert len(times) == 6


def test_after_a_quiet_minute_a_mail_is_sent_immediately_again(world: World) -> None:
    world.mailer.handle(transfer(1))
    world.clock.advance(seconds=60)
    world.mailer.handle(transfer(2))
    assert world.subjects("ada@example.com") == ["You sent 10.50 USD"] * 2
    assert world.messages == []


def test_kinds_and_users_do_not_share_a_window(world: World) -> None:
    world.mailer.handle(transfer(1))
    world.mailer.handle(transfer(2, payer=GRACE, payee=ADA))
    assert len(world.sent) == 4


def test_one_flush_is_scheduled_for_all_entries_of_a_window(world: World) -> None:
    for number in range(5):
        world.mailer.handle(transfer(number))
    assert len(world.messages) == 2  # one a side


def test_nothing_is_sent_immediately_while_entries_wait(world: World) -> None:
    world.mailer.handle(transfer(1))
    world.mailer.handle(transfer(2))
    world.clock.advance(seconds=61)  # the flush is due, and late
    world.mailer.handle(transfer(3))
    assert len(world.messages) == 2, "the flush that is due is enough"
    world.drain()
    assert world.subjects("ada@example.com") == ["You sent 10.50 USD", "You sent 2 transfers"]


def test_a_lost_flush_is_scheduled_again(world: World) -> None:
    world.mailer.handle(transfer(1))
    world.mailer.handle(transfer(2))
    world.messages.clear()  # as if it went to the dead-letter queue
    world.clock.advance(minutes=2)
    world.mailer.handle(transfer(3))
    world.drain()
    assert world.subjects("ada@example.com") == ["You sent 10.50 USD", "You sent 2 transfers"]


def test_a_flush_delivered_again_does_nothing(world: World) -> None:
    world.mailer.handle(transfer(1))
    world.mailer.handle(transfer(2))
    flushes = [message for _, message in world.messages]
    world.drain()
    world.arrive(*flushes)
    world.drain()
    assert len(world.sent) == 4
    assert not world.entries()


def test_a_flush_without_entries_closes_the_window(world: World) -> None:
    world.mailer.handle(transfer(1))
    window = world.windows()[ADA, "transfer_sent"]
    merged = MailId(window.ends_at, "transfer_sent", ADA)
    world.clock.advance(seconds=60)
    world.mailer.flush(merged)
    world.mailer.flush(merged)
    assert (ADA, "transfer_sent") not in world.windows()
    assert len(world.sent) == 2


def test_entries_for_a_user_who_is_gone_are_dropped(world: World) -> None:
    world.mailer.handle(transfer(1))
    world.mailer.handle(transfer(2))
    del world.users[ADA]
    world.drain()
    assert world.subjects("ada@example.com") == ["You sent 10.50 USD"]
    assert not world.entries()


def test_a_claim_that_another_process_took_over_is_not_marked_sent(world: World) -> None:
    event = verified()
    mail = MailId(event.id, "welcome", ADA)

    def take_over() -> None:
        lease = world.states()[mail].lease
        MailStore(world.table).take_over(mail, lease, "later")

    world.calls.meanwhile[4] = take_over
    world.mailer.handle(event)
    assert world.calls.made[4] == "update"
    assert world.states()[mail] == MailState("sending", "later")


def test_a_mail_that_stays_contended_is_left_to_the_queue(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_every_claim(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "transact"):
            raise Cancelled([Reason(CONDITION, None)])

    monkeypatch.setattr("common.retry.time.sleep", lambda _: None)
    world.mailer.handle(transfer(1))
    world.mailer.handle(transfer(2))
    ((_, merged), _) = world.messages
    assert isinstance(merged, MailId)
    world.table.hook = lose_every_claim
    with pytest.RaisesGroup(Contended):
        world.mailer.handle(verified())
    with pytest.raises(Contended):
        world.mailer.flush(merged)
    assert len(world.sent) == 2
