"""Who is told what, in which words."""

from typing import Any

import pytest
from common import ids
from common.events import Actor, Event, Type

from functions.notifications.domain import notifications
from tests.unit.notifications.fakes import ADA, GRACE, START, deleted, event, of_account, of_user

DEPOSIT: dict[str, Any] = {"kind": "deposit", "payer": None, "source_name": "Visa 4242"}


def told(one: Event) -> list[tuple[str, str, str, str]]:
    return [(each.user_id, each.kind, each.title, each.body) for each in notifications(one)]


def test_a_transfer_is_told_to_both_sides() -> None:
    assert told(event()) == [
        (ADA, "transfer_sent", "Money sent", "You sent Grace Hopper 10.50 USD."),
        (GRACE, "transfer_received", "Money received", "Ada Lovelace sent you 10.50 USD."),
    ]


def test_a_transfer_between_ones_own_accounts_is_told_of_both_sides() -> None:
    one, other = notifications(event(payee=ADA))
    assert (one.user_id, one.kind, other.user_id, other.kind) == (ADA, "transfer_sent", ADA, "transfer_received")
    assert one.id != other.id


def test_a_deposit_is_told_to_its_payee() -> None:
    assert told(event(**DEPOSIT)) == [
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
def test_a_refusal_is_told_to_the_initiator(type: Type, code: str | None, title: str, end: str) -> None:
    assert told(event(type=type, code=code)) == [
        (ADA, "transfer_declined", f"Transfer {title}", f"Your transfer of 10.50 USD to Grace Hopper {end}")
    ]
    assert told(event(type=type, code=code, **DEPOSIT)) == [
        (GRACE, "transfer_declined", f"Deposit {title}", f"Your deposit of 10.50 USD from Visa 4242 {end}")
    ]


@pytest.mark.parametrize(
    "one",
    [
        event(type="transfer.created"),
        event(kind="a later kind"),
        Event.new("user.verified", ADA, 2, START, {"user_id": ADA}),
        of_user("user.login", new_device=False),
        of_user("user.updated", changed=["status", "role"]),
        deleted(),
        of_account("account.opened"),
    ],
)
def test_other_events_are_told_to_nobody(one: Event) -> None:
    assert told(one) == []


NOT_YOU = "If that was not you, reset your password at once."


@pytest.mark.parametrize(
    ("one", "kind", "title", "body"),
    [
        (
            of_user("user.password_changed"),
            "password_changed",
            "Password changed",
            f"Your password was changed. {NOT_YOU}",
        ),
        (
            of_user("user.updated", changed=["email", "email_verified"]),
            "email_changed",
            "Email address changed",
            f"The email address of your account was changed. {NOT_YOU}",
        ),
        (
            of_user("user.suspended", changed=["status"]),
            "account_suspended",
            "Account suspended",
            "Your account was suspended. You can't sign in while it is; your money stays where it is.",
        ),
        (
            of_account("pin.failed", name="Main", tries=2),
            "wrong_pin",
            "Wrong PIN",
            f"A wrong PIN was given for Main, 2 in a row now. {NOT_YOU}",
        ),
        (
            of_account("pin.locked", name="Main", tries=5),
            "pin_locked",
            "PIN locked",
            "The PIN of Main was locked after 5 wrong tries in a row. A code that we mail you lets you set a new one.",
        ),
        (
            of_account("limit.exceeded", period="weekly", limit=50000, spent=45000, amount=10000),
            "limit_exceeded",
            "Limit exceeded",
            "100.00 USD would have exceeded your weekly limit of 500.00 USD, of which 450.00 USD is spent.",
        ),
        (
            of_account("balance.low", available=950, threshold=1000),
            "low_balance",
            "Low balance",
            "9.50 USD is left in your account, which is less than 10.00 USD.",
        ),
    ],
)
def test_what_became_of_a_user_or_an_account_is_told_to_them(one: Event, kind: str, title: str, body: str) -> None:
    assert told(one) == [(ADA, kind, title, body)]
    (notification,) = notifications(one)
    assert notification.resource == one.subject


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
def test_a_new_device_is_told_in_our_words(agent: str | None, ip: str | None, shown: str) -> None:
    one = of_user("user.login", new_device=True, actor=Actor(ADA, "ses_1", ip, agent))
    ((_, kind, title, body),) = told(one)
    assert (kind, title) == ("new_login", "New sign-in")
    assert body.startswith(f"Your account was signed in to from a new device: {shown}")
    assert body.endswith(NOT_YOU)
    assert "evil" not in body


def test_the_same_event_gives_the_same_ids_at_its_own_time() -> None:
    first, again = list(notifications(event())), list(notifications(event()))
    assert first == again
    for each in first:
        assert ids.is_id(each.id, "ntf")
        assert each.created_at == "2026-11-21T09:30:01.000Z"
        assert (each.resource, each.event_id, each.read) == ("trf_1", event().id, False)
    assert max(each.id for each in first) < min(each.id for each in notifications(event(2)))
    assert not {each.id for each in first} & {each.id for each in notifications(event(type="transfer.failed"))}
