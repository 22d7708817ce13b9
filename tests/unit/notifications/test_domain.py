"""The notifications of each event: who gets them, and their texts."""

from typing import Any

import pytest
from common import ids
from common.contracts.events import Actor, Event, EventType
from common.http.problems import PROBLEMS

from functions.notifications.domain import _REASONS, notifications
from tests.unit.notifications.world import ADA, GRACE, START, account_event, deletion, transfer_event, user_event

DEPOSIT: dict[str, Any] = {"kind": "deposit", "payer": None, "source_name": "Visa 4242"}


def texts(event: Event) -> list[tuple[str, str, str, str]]:
    return [(each.user_id, each.kind, each.title, each.body) for each in notifications(event)]


def test_both_sides_are_notified_of_a_transfer() -> None:
    assert texts(transfer_event()) == [
        (ADA, "transfer_sent", "Money sent", "You sent Grace Hopper 10.50 USD."),
        (GRACE, "transfer_received", "Money received", "Ada Lovelace sent you 10.50 USD."),
    ]


def test_a_transfer_between_own_accounts_gives_two_notifications() -> None:
    one, other = notifications(transfer_event(payee=ADA))
    assert (one.user_id, one.kind, other.user_id, other.kind) == (ADA, "transfer_sent", ADA, "transfer_received")
    assert one.id != other.id


def test_the_payee_is_notified_of_a_deposit() -> None:
    assert texts(transfer_event(**DEPOSIT)) == [
        (GRACE, "deposit_completed", "Deposit completed", "Your deposit of 10.50 USD from Visa 4242 has arrived.")
    ]


@pytest.mark.parametrize(
    ("type", "code", "title", "end"),
    [
        ("transfer.declined", "insufficient_funds", "declined", "was declined. Not enough money available."),
        ("transfer.declined", "card_declined", "declined", "was declined. The card was declined."),
        ("transfer.declined", "not_a_code_of_ours", "declined", "was declined."),
        ("transfer.declined", None, "declined", "was declined."),
        ("transfer.failed", None, "failed", "could not be completed. No money was moved."),
    ],
)
def test_the_initiator_is_notified_of_a_decline_or_failure(
    type: EventType, code: str | None, title: str, end: str
) -> None:
    assert texts(transfer_event(type=type, code=code)) == [
        (ADA, "transfer_declined", f"Transfer {title}", f"Your transfer of 10.50 USD to Grace Hopper {end}")
    ]
    assert texts(transfer_event(type=type, code=code, **DEPOSIT)) == [
        (GRACE, "transfer_declined", f"Deposit {title}", f"Your deposit of 10.50 USD from Visa 4242 {end}")
    ]


@pytest.mark.parametrize("code", _REASONS)
def test_the_reason_of_a_decline_is_the_title_of_its_problem(code: str) -> None:
    assert _REASONS[code] == f"{PROBLEMS[code].title}."


@pytest.mark.parametrize(
    "event",
    [
        transfer_event(type="transfer.created"),
        transfer_event(kind="a later kind"),
        Event.new("user.verified", ADA, 2, START, {"user_id": ADA}),
        user_event("user.login", new_device=False),
        user_event("user.updated", changed=["status", "role", "name"]),
        deletion(),
        account_event("account.opened"),
    ],
)
def test_other_events_notify_nobody(event: Event) -> None:
    assert texts(event) == []


NOT_YOU = "If this wasn't you, reset your password immediately."


@pytest.mark.parametrize(
    ("event", "kind", "title", "body"),
    [
        (
            user_event("user.password_changed"),
            "password_changed",
            "Password changed",
            f"Your password was changed. {NOT_YOU}",
        ),
        (
            user_event("user.password_changed", api_keys_revoked=0),
            "password_changed",
            "Password changed",
            f"Your password was changed. {NOT_YOU}",
        ),
        (
            user_event("user.updated", changed=["email", "role"], previous_email="old@example.com"),
            "email_changed",
            "Email address changed",
            f"The email address of your account was changed. {NOT_YOU}",
        ),
        (
            user_event("user.updated", changed=["phone"]),
            "phone_changed",
            "Phone number changed",
            f"The phone number of your account was changed. {NOT_YOU}",
        ),
        (
            user_event("user.updated", changed=["second_factor", "name"]),
            "second_factor_changed",
            "Second factor changed",
            f"The second factor of your account was changed. {NOT_YOU}",
        ),
        (
            user_event("user.updated", changed=["api_key_created"]),
            "api_key_created",
            "API key created",
            f"An API key was created for your account. {NOT_YOU}",
        ),
        (
            user_event("user.updated", changed=["api_key_revoked"]),
            "api_key_revoked",
            "API key revoked",
            f"An API key of your account was revoked. {NOT_YOU}",
        ),
        (
            user_event("user.suspended", changed=["status"]),
            "account_suspended",
            "Account suspended",
            "Your account was suspended. You can't sign in until it is restored. Your money stays in your accounts. "
            "To find out why, contact support.",
        ),
        (
            account_event("pin.failed", name="Main", tries=2),
            "wrong_pin",
            "Wrong PIN",
            f"A wrong PIN was entered for Main. Wrong attempts in a row: 2. {NOT_YOU}",
        ),
        (
            account_event("pin.locked", name="Main", tries=5),
            "pin_locked",
            "PIN locked",
            "The PIN of Main was locked after 5 wrong attempts in a row. To set a new PIN, request a code by email. "
            f"{NOT_YOU}",
        ),
        (
            account_event("limit.exceeded", period="weekly", limit=50000, spent=45000, amount=10000),
            "limit_exceeded",
            "Limit exceeded",
            "Spending 100.00 USD would have exceeded your weekly limit of 500.00 USD. You have spent 450.00 USD.",
        ),
        (
            account_event("balance.low", available=950, threshold=1000),
            "low_balance",
            "Low balance",
            "Your account has 9.50 USD available, which is below your alert threshold of 10.00 USD.",
        ),
    ],
)
def test_users_are_notified_of_what_happened_to_them_and_their_accounts(
    event: Event, kind: str, title: str, body: str
) -> None:
    assert texts(event) == [(ADA, kind, title, body)]
    (notification,) = notifications(event)
    assert notification.resource == event.subject


def test_each_change_of_one_event_is_notified() -> None:
    event = user_event("user.updated", changed=["phone", "second_factor"])
    assert [each.kind for each in notifications(event)] == ["phone_changed", "second_factor_changed"]
    assert len({each.id for each in notifications(event)}) == 2


@pytest.mark.parametrize(("number", "revoked"), [(1, "1 API key was revoked."), (2, "2 API keys were revoked.")])
def test_a_changed_password_reports_the_api_keys_that_were_revoked(number: int, revoked: str) -> None:
    ((_, _, _, body),) = texts(user_event("user.password_changed", api_keys_revoked=number))
    assert body == f"Your password was changed. {revoked} {NOT_YOU}"


LINK = "pay at https://evil.example or call +1 900 555 0100"
SAFE = "pay at https: //evil. example or call …0100"


@pytest.mark.parametrize(("name", "shown"), [(LINK, SAFE), ("\u202eAda", "Ada")])
def test_a_name_in_a_notification_makes_no_link(name: str, shown: str) -> None:
    sent, received = texts(transfer_event(source_name=name, destination_name=name))
    assert (sent[3], received[3]) == (f"You sent {shown} 10.50 USD.", f"{shown} sent you 10.50 USD.")
    ((*_, declined),) = texts(transfer_event(type="transfer.declined", destination_name=name))
    assert declined == f"Your transfer of 10.50 USD to {shown} was declined."
    deposit = DEPOSIT | {"source_name": name}
    ((*_, arrived),) = texts(transfer_event(**deposit))
    assert arrived == f"Your deposit of 10.50 USD from {shown} has arrived."
    ((*_, failed),) = texts(transfer_event(type="transfer.failed", **deposit))
    assert failed == f"Your deposit of 10.50 USD from {shown} could not be completed. No money was moved."


def test_a_name_with_nothing_visible_is_replaced_in_a_notification() -> None:
    blank = "\u200b\u3164"
    sent, received = texts(transfer_event(source_name=blank, destination_name=blank))
    assert sent[3] == "You sent another customer 10.50 USD."
    assert received[3] == "Another customer sent you 10.50 USD."
    ((*_, arrived),) = texts(transfer_event(**DEPOSIT | {"source_name": blank}))
    assert arrived == "Your deposit of 10.50 USD from your card or bank account has arrived."


@pytest.mark.parametrize(("name", "shown"), [(LINK, SAFE), ("\u2060", "your account")])
def test_an_account_s_name_in_a_notification_makes_no_link(name: str, shown: str) -> None:
    ((*_, wrong),) = texts(account_event("pin.failed", name=name, tries=2))
    ((*_, locked),) = texts(account_event("pin.locked", name=name, tries=5))
    assert wrong.startswith(f"A wrong PIN was entered for {shown}. ")
    assert locked.startswith(f"The PIN of {shown} was locked after ")


CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)
EVIL = 'call +49 30 1234, or see https://evil.example/<script>alert("x")</script>'


@pytest.mark.parametrize(
    ("agent", "ip", "shown"),
    [
        (CHROME, "203.0.113.7", "Chrome on Windows, IP address 203.0.113.7"),
        (CHROME + " Edg/131.0", "2001:DB8::1", "Edge on Windows, IP address 2001:db8::1"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Safari/604.1", "::1", "Safari on iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0", "", "Firefox on Linux, unknown IP"),
        ("Mozilla/5.0", "::1", "an unknown device, IP address ::1"),
        ("curl/8.5.0", "::1", "curl, IP"),
        ("python-requests", "::1", "python-requests, IP"),
        ("okhttp/4.9 Android", "::1", "okhttp on Android, IP"),
        (None, None, "an unknown device, unknown IP address"),
        (EVIL, "evil.example", "an unknown device, unknown IP address"),
        ("evil.example/1", "fe80::1%evil.example", "an unknown device, IP address fe80::1."),
        ("x" * 31 + "/1", "::1", "an unknown device, IP"),
    ],
)
def test_a_new_device_is_described_without_copying_the_user_agent(
    agent: str | None, ip: str | None, shown: str
) -> None:
    event = user_event("user.login", new_device=True, actor=Actor(ADA, "ses_1", ip, agent))
    ((_, kind, title, body),) = texts(event)
    assert (kind, title) == ("new_login", "New sign-in")
    assert body.startswith(f"There was a sign-in to your account from a new device: {shown}")
    assert body.endswith(NOT_YOU)
    assert "evil" not in body


def test_the_same_event_gives_the_same_ids_at_its_own_time() -> None:
    first, again = list(notifications(transfer_event())), list(notifications(transfer_event()))
    assert first == again
    for each in first:
        assert ids.is_id(each.id, "ntf")
        assert each.created_at == "2026-11-21T09:30:01.000Z"
        assert (each.resource, each.event_id, each.read) == ("trf_1", transfer_event().id, False)
    assert max(each.id for each in first) < min(each.id for each in notifications(transfer_event(2)))
    assert not {each.id for each in first} & {each.id for each in notifications(transfer_event(type="transfer.failed"))}
