"""Crashes before and after every call, and duplicates at every moment: everything is mailed once.

A text message is sent at most once: it is lost if the process dies just before it is sent.
"""

import re
from collections.abc import Callable

import pytest
from common.contracts.events import Event

from functions.mail.domain.mails import MERGED_KINDS, MailId
from tests.unit.mail.world import ADA, World, code_requested, deleted, pin_locked, transfer, user, verified

Story = Callable[[World], None]


def _burst(world: World) -> None:
    world.arrive(transfer(1, 100))
    world.arrive(transfer(2, 200), after=5)
    world.arrive(transfer(3, 300), after=10)
    world.arrive(transfer(4, 400), after=75)


def _codes(world: World) -> None:
    world.arrive(code_requested(), verified())


def _security(world: World) -> None:
    world.arrive(pin_locked(1), user("user.password_changed", 1), code_requested(1, "change_email"))
    world.arrive(user("user.updated", 3, "email", previous_email="old@example.com"), after=5)
    world.arrive(pin_locked(2), user("user.password_changed", 2), after=10)
    world.arrive(pin_locked(3), after=30)
    world.arrive(pin_locked(4), after=75)


def _text(world: World) -> None:
    world.code_goes_to = "+4915112345678"
    world.arrive(code_requested(1, "verify_phone"))


def _counts(world: World) -> dict[tuple[str, str], int]:
    """Return how often each amount, change, code and welcome was mailed to each address."""
    counts: dict[tuple[str, str], int] = {}
    for _, address, mail in world.sent:
        amounts = [f"{amount}.00 USD" for amount in (1, 2, 3, 4) if f" {amount}.00 USD" in mail.text]
        times = re.findall(r"(?:locked|changed|requested).* on 2026-11-21 at (.*) UTC", mail.text)
        found = amounts or [f"{mail.subject}, {time}" for time in times]
        for each in found or [mail.subject]:
            counts[address, each] = counts.get((address, each), 0) + 1
    return counts


def _length(story: Story) -> int:
    world = World()
    story(world)
    world.drain()
    return len(world.calls.made)


CALLS = [(story, number) for story in (_burst, _codes, _security) for number in range(_length(story))]


@pytest.mark.parametrize(("story", "number"), CALLS)
@pytest.mark.parametrize("when", ["die_before", "die_after"])
def test_a_crash_at_any_call_loses_and_repeats_nothing(story: Story, number: int, when: str) -> None:
    healthy, world = World(), World()
    for each in (healthy, world):
        story(each)
    healthy.drain()
    setattr(world.calls, when, number)
    world.drain()

    # Only a crash between SES accepting a mail and its state being stored sends it twice.
    last_done = number if when == "die_after" else number - 1
    sent = last_done >= 0 and world.calls.made[last_done] == "send"
    assert _counts(world).keys() == _counts(healthy).keys()
    assert max(_counts(world).values()) == (2 if sent else 1)
    assert not world.entries()
    assert all(state.status != "sending" for state in world.states().values())


@pytest.mark.parametrize("number", range(_length(_text)))
@pytest.mark.parametrize("when", ["die_before", "die_after"])
def test_a_crash_at_any_call_never_sends_a_text_message_twice(number: int, when: str) -> None:
    world = World()
    _text(world)
    setattr(world.calls, when, number)
    world.drain()
    is_lost = (when, world.calls.made[number]) in (("die_after", "update"), ("die_before", "text"))
    assert len(world.texts) == (0 if is_lost else 1)
    assert all(state.status == "sent" for state in world.states().values())


@pytest.mark.parametrize("number", range(_length(_burst)))
def test_another_event_at_any_moment(number: int) -> None:
    world = World()
    _burst(world)
    world.calls.meanwhile[number] = lambda: world.deliver(transfer(5, 500))
    world.drain()
    assert sum(mail.text.count(" 5.00 USD") for _, _, mail in world.sent) == 2
    assert set(_counts(world).values()) == {1}
    assert not world.entries()


def test_every_security_event_is_mailed() -> None:
    world = World()
    _security(world)
    world.drain()
    locked, changed = "Your PIN is locked, 09:3", "Your password was changed, 09:3"
    requested = "Your email address is about to change, 09:30"
    assert _counts(world) == {
        **{("ada@example.com", f"{locked}{minute}"): 1 for minute in (1, 2, 3, 4)},
        **{("ada@example.com", f"{changed}{minute}"): 1 for minute in (1, 2)},
        ("ada@example.com", requested): 1,
        ("ada@example.com", "Your email address was changed, 09:33"): 1,
        ("old@example.com", "Your email address was changed, 09:33"): 1,
        ("new@example.com", "Confirm your new email address"): 1,
    }


@pytest.mark.parametrize("number", range(_length(_security)))
def test_another_lock_at_any_moment(number: int) -> None:
    world = World()
    _security(world)
    world.calls.meanwhile[number] = lambda: world.deliver(pin_locked(5))
    world.drain()
    locks = {what: count for (_, what), count in _counts(world).items() if "PIN" in what}
    assert locks == {f"Your PIN is locked, 09:3{minute}": 1 for minute in (1, 2, 3, 4, 5)}
    assert not world.entries()


@pytest.mark.parametrize(("story", "number"), [(each, n) for each in (_burst, _security) for n in range(_length(each))])
def test_no_entries_are_left_of_a_user_deleted_at_any_moment(story: Story, number: int) -> None:
    healthy, world = World(), World()
    for each in (healthy, world):
        story(each)
    healthy.drain()

    def delete_user() -> None:
        world.users.pop(ADA)
        world.challenge_open = False
        world.deliver(deleted())

    world.calls.meanwhile[number] = delete_user
    world.drain()
    assert not world.entries()
    assert all(state.status != "sending" for state in world.states().values())
    assert set(_counts(world).values()) <= {1}
    others = {what: count for what, count in _counts(healthy).items() if what[0] == "grace@example.com"}
    assert {what: count for what, count in _counts(world).items() if what[0] == "grace@example.com"} == others


@pytest.mark.parametrize("number", range(1 + len(MERGED_KINDS)))
def test_no_entries_are_left_of_an_event_at_any_moment_of_a_deletion(number: int) -> None:
    world = World()
    world.mailer.handle(transfer(1, 100))
    world.calls.meanwhile[len(world.calls.made) + number] = lambda: world.mailer.handle(transfer(2, 200))
    world.mailer.handle(deleted())
    assert not world.calls.meanwhile
    world.drain()
    assert not world.entries()
    assert [count for (address, _), count in _counts(world).items() if address == "grace@example.com"] == [1, 1]


@pytest.mark.parametrize("number", range(_length(_burst)))
def test_a_duplicate_of_everything_at_any_moment(number: int) -> None:
    world = World()
    _burst(world)
    seen: list[Event | MailId] = [transfer(each, 100 * each) for each in (1, 2, 3)]

    def duplicates() -> None:
        flushes = [MailId(window.ends_at, kind, user) for (user, kind), window in world.windows().items()]
        for message in [*seen, *flushes]:
            world.deliver(message)

    world.calls.meanwhile[number] = duplicates
    world.drain()
    assert set(_counts(world).values()) == {1}
    assert len(_counts(world)) == 8
    assert not world.entries()


def test_an_entry_for_a_window_that_was_closed_meanwhile_is_sent_immediately() -> None:
    world = World()
    world.mailer.handle(transfer(1, 100))
    merged = MailId(world.windows()[ADA, "transfer_sent"].ends_at, "transfer_sent", ADA)
    first_call = len(world.calls.made)

    def flush_first() -> None:
        world.clock.advance(minutes=1)
        world.mailer.flush(merged)

    world.calls.meanwhile[first_call + 2] = flush_first  # after the flush was scheduled, before the entry is added
    world.mailer.handle(transfer(2, 200))
    assert world.calls.made[first_call : first_call + 6] == [
        "batch_get",
        "schedule",
        "transact",
        "batch_get",
        "delete",
        "batch_get",
    ]
    world.drain()
    assert set(_counts(world).values()) == {1}
    assert len(_counts(world)) == 4


def test_an_entry_added_while_its_window_is_being_closed_is_mailed_by_the_flush() -> None:
    world = World()
    world.mailer.handle(transfer(1, 100, payee="usr_nobody"))
    merged = MailId(world.windows()[ADA, "transfer_sent"].ends_at, "transfer_sent", ADA)
    # The clock of the flush is slightly ahead of the other process's.
    world.calls.meanwhile[len(world.calls.made) + 1] = lambda: world.mailer.handle(transfer(2, 200))
    world.mailer.flush(merged)
    assert world.subjects("ada@example.com") == ["You sent 1.00 USD", "You sent 2.00 USD"]
