"""Who is told what, in which words."""

from typing import Any

import pytest
from common import ids
from common.events import Event, Type

from functions.notifications.domain import notifications
from tests.unit.notifications.fakes import ADA, GRACE, START, event

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
    ],
)
def test_other_events_are_told_to_nobody(one: Event) -> None:
    assert told(one) == []


def test_the_same_event_gives_the_same_ids_at_its_own_time() -> None:
    first, again = list(notifications(event())), list(notifications(event()))
    assert first == again
    for each in first:
        assert ids.is_id(each.id, "ntf")
        assert each.created_at == "2026-11-21T09:30:01.000Z"
        assert (each.resource, each.event_id, each.read) == ("trf_1", event().id, False)
    assert max(each.id for each in first) < min(each.id for each in notifications(event(2)))
    assert not {each.id for each in first} & {each.id for each in notifications(event(type="transfer.failed"))}
