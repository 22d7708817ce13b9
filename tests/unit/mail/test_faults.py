"""A death before or after any call, a duplicate at any moment: everything is mailed, and once."""

import re
from collections.abc import Callable

import pytest
from common.events import Event

from functions.mail.domain import MailId
from tests.unit.mail.fakes import ADA, World, code_requested, deleted, pin_locked, transfer, user, verified

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
    world.arrive(pin_locked(2), user("user.password_changed", 2), after=10)
    world.arrive(pin_locked(3), after=30)
    world.arrive(pin_locked(4), after=75)


def _text(world: World) -> None:
    world.code_goes_to = "+4915112345678"
    world.arrive(code_requested(1, "verify_phone"))


def _told(world: World) -> dict[tuple[str, str], int]:
    """How often each address was told each amount or lock, was mailed a code or welcome, or was texted."""
    counts: dict[tuple[str, str], int] = {}
    for _, address, letter in world.outbox:
        amounts = [f"{amount}.00 USD" for amount in (1, 2, 3, 4) if f" {amount}.00 USD" in letter.text]
        moments = re.findall(r"(?:locked|changed|asked).*, (2026-11-21 .*) UTC", letter.text)
        found = amounts or [f"{letter.subject}, {moment}" for moment in moments]
        for each in found or [letter.subject]:
            counts[address, each] = counts.get((address, each), 0) + 1
    for phone, _ in world.texts:
        counts[phone, "code"] = counts.get((phone, "code"), 0) + 1
    return counts


def _length(story: Story) -> int:
    world = World()
    story(world)
    world.drain()
    return len(world.line.calls)


CALLS = [(story, number) for story in (_burst, _codes, _security, _text) for number in range(_length(story))]


@pytest.mark.parametrize(("story", "number"), CALLS)
@pytest.mark.parametrize("when", ["die_before", "die_after"])
def test_a_death_at_any_call_loses_and_repeats_nothing(story: Story, number: int, when: str) -> None:
    healthy, world = World(), World()
    for each in (healthy, world):
        story(each)
    healthy.drain()
    setattr(world.line, when, number)
    world.drain()

    # Between SES or SNS taking it and the marker saying so there is the one moment where it may come twice.
    sent = (when == "die_after" and world.line.calls[number] in ("send", "text")) or (
        when == "die_before" and world.line.calls[number] == "settle"
    )
    assert _told(world).keys() == _told(healthy).keys()
    assert max(_told(world).values()) == (2 if sent else 1)
    assert not any(world.store.entries.values())
    assert all(marker.status != "sending" for marker in world.store.markers.values())


@pytest.mark.parametrize("number", range(_length(_burst)))
def test_another_event_at_any_moment(number: int) -> None:
    world = World()
    _burst(world)
    world.line.meanwhile[number] = lambda: world.deliver(transfer(5, 500))
    world.drain()
    told = [letter.text.count(" 5.00 USD") for _, _, letter in world.outbox]
    assert sum(told) == 2
    assert set(_told(world).values()) == {1}
    assert not any(world.store.entries.values())


def test_the_security_story_is_told_in_full() -> None:
    world = World()
    _security(world)
    world.drain()
    locked, changed = "Your PIN is locked, 2026-11-21 09:3", "Your password was changed, 2026-11-21 09:3"
    asked = "Your email address is about to change, 2026-11-21 09:30"
    assert _told(world) == {
        **{("ada@example.com", f"{locked}{minute}"): 1 for minute in (1, 2, 3, 4)},
        **{("ada@example.com", f"{changed}{minute}"): 1 for minute in (1, 2)},
        ("ada@example.com", asked): 1,
        ("new@example.com", "Confirm your new email address"): 1,
    }


@pytest.mark.parametrize("number", range(_length(_security)))
def test_another_lock_at_any_moment(number: int) -> None:
    world = World()
    _security(world)
    world.line.meanwhile[number] = lambda: world.deliver(pin_locked(5))
    world.drain()
    locks = {what: count for (_, what), count in _told(world).items() if "PIN" in what}
    assert locks == {f"Your PIN is locked, 2026-11-21 09:3{minute}": 1 for minute in (1, 2, 3, 4, 5)}
    assert not any(world.store.entries.values())


@pytest.mark.parametrize(("story", "number"), [(each, n) for each in (_burst, _security) for n in range(_length(each))])
def test_a_person_deleted_at_any_moment_leaves_nothing_that_waits(story: Story, number: int) -> None:
    healthy, world = World(), World()
    for each in (healthy, world):
        story(each)
    healthy.drain()

    def leave() -> None:
        world.people.pop(ADA)
        world.challenge_open = False
        world.deliver(deleted())

    world.line.meanwhile[number] = leave
    world.drain()
    assert not any(world.store.entries.values())
    assert all(marker.status != "sending" for marker in world.store.markers.values())
    assert set(_told(world).values()) <= {1}
    others = {what: count for what, count in _told(healthy).items() if what[0] == "grace@example.com"}
    assert {what: count for what, count in _told(world).items() if what[0] == "grace@example.com"} == others


@pytest.mark.parametrize("number", range(_length(_burst)))
def test_a_duplicate_of_everything_at_any_moment(number: int) -> None:
    world = World()
    _burst(world)
    seen: list[Event | MailId] = [transfer(each, 100 * each) for each in (1, 2, 3)]

    def duplicates() -> None:
        flushes = [MailId(window.ends_at, kind, user) for (user, kind), window in world.store.windows.items()]  # type: ignore[arg-type]
        for message in [*seen, *flushes]:
            world.deliver(message)

    world.line.meanwhile[number] = duplicates
    world.drain()
    assert set(_told(world).values()) == {1}
    assert len(_told(world)) == 8
    assert not any(world.store.entries.values())


def test_a_flush_that_comes_before_its_holder_makes_the_holder_look_again() -> None:
    world = World()
    world.service.hear(transfer(1, 100))
    merged = MailId(world.store.windows[ADA, "transfer_sent"].ends_at, "transfer_sent", ADA)
    first_call = len(world.line.calls)

    def flush_first() -> None:
        world.clock.advance(minutes=1)
        world.service.flush(merged)

    world.line.meanwhile[first_call + 2] = flush_first  # after it looked and asked, before it holds
    world.service.hear(transfer(2, 200))
    assert world.line.calls[first_call : first_call + 6] == ["look", "ask", "hold", "look", "close", "look"]
    world.drain()
    assert set(_told(world).values()) == {1}
    assert len(_told(world)) == 4


def test_a_holder_that_comes_while_the_minute_is_closed_is_mailed_by_its_flush() -> None:
    world = World()
    world.service.hear(transfer(1, 100, payee="usr_nobody"))
    merged = MailId(world.store.windows[ADA, "transfer_sent"].ends_at, "transfer_sent", ADA)
    # The flush's clock is a little ahead of the holder's.
    world.line.meanwhile[len(world.line.calls) + 1] = lambda: world.service.hear(transfer(2, 200))
    world.service.flush(merged)
    assert world.mails("ada@example.com") == ["You sent 1.00 USD", "You sent 2.00 USD"]
