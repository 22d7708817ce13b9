"""The inbox: notified once, counted exactly, marked as read once."""

from datetime import timedelta

import pytest
from common.errors import Refusal
from common.idempotency import IdempotencyKey
from common.paging import Page

from functions.notifications.service import InboxPage
from tests.unit.notifications.world import ADA, GRACE, START, World, deletion, transfer_event


@pytest.fixture
def world() -> World:
    return World()


def fill(world: World, number: int) -> None:
    """Deliver the events of transfers 0 to `number`."""
    for each in range(number):
        world.inbox.handle(transfer_event(each))


def test_an_event_delivered_again_notifies_nobody_again(world: World) -> None:
    for _ in range(3):
        world.inbox.handle(transfer_event())
    assert [len(world.ids(user)) for user in (ADA, GRACE)] == [1, 1]
    assert world.page().unread == 1 == world.unread(ADA)


def test_a_notification_stays_read_when_its_event_is_delivered_again(world: World) -> None:
    world.inbox.handle(transfer_event())
    world.inbox.mark_all_read(ADA)
    world.inbox.handle(transfer_event())
    found = world.page()
    assert found.unread == 0 and found.page.items[0].read


def test_one_event_handled_twice_at_the_same_time(world: World) -> None:
    world.meanwhile = lambda: world.inbox.handle(transfer_event())
    world.inbox.handle(transfer_event())
    assert (world.unread(ADA), world.unread(GRACE)) == (1, 1)


def test_a_list_is_newest_first_in_pages(world: World) -> None:
    fill(world, 5)
    first = world.page(limit=2)
    second = world.page(limit=2, position=first.page.next_position)
    third = world.page(limit=2, position=second.page.next_position)
    listed = [each.id for found in (first, second, third) for each in found.page.items]
    assert listed == sorted(listed, reverse=True) and len(listed) == 5
    assert third.page.next_position is None
    assert {first.unread, second.unread, third.unread} == {5}


def test_after_lists_only_newer_notifications(world: World) -> None:
    fill(world, 5)
    everything = world.ids()
    assert world.ids(after=everything[2]) == everything[:2]
    found = world.page(after=everything[3], limit=2)
    assert [each.id for each in found.page.items] == everything[:2]
    assert world.ids(after=everything[3], limit=2, position=found.page.next_position) == [everything[2]]
    assert world.ids(after=everything[0]) == []


def test_read_and_unread_notifications_are_listed_apart(world: World) -> None:
    fill(world, 3)
    newest, middle, oldest = world.ids()
    world.inbox.mark_read(ADA, middle)
    assert world.ids(read=False) == [newest, oldest]
    assert world.ids(read=True) == [middle]
    world.inbox.mark_all_read(ADA)
    assert world.page(read=False) == InboxPage(Page([], None), 0)
    assert world.ids(read=True) == [newest, middle, oldest]


def test_a_notification_marked_twice_is_counted_once(world: World) -> None:
    fill(world, 2)
    newest = world.ids()[0]
    world.inbox.mark_read(ADA, newest)
    world.inbox.mark_read(ADA, newest)
    assert world.unread(ADA) == 1


def test_a_notification_marked_twice_at_the_same_time_is_counted_once(world: World) -> None:
    world.inbox.handle(transfer_event())
    (one,) = world.ids()
    world.meanwhile = lambda: world.inbox.mark_read(ADA, one)
    world.inbox.mark_read(ADA, one)
    assert world.unread(ADA) == 0


@pytest.mark.parametrize("user", [ADA, "usr_01K0000000000000000000000C"])
def test_another_user_s_notification_is_not_found(world: World, user: str) -> None:
    world.inbox.handle(transfer_event())
    (hers,) = world.ids(GRACE)
    with pytest.raises(Refusal) as problem:
        world.inbox.mark_read(user, hers)
    assert problem.value.code == "not_found"
    assert (world.unread(ADA), world.unread(GRACE)) == (1, 1)
    assert not any(item.get("read") for item in world.table.items())


@pytest.mark.parametrize("number", [0, 1, 98, 99, 100, 250])
def test_marking_all_marks_all_of_the_caller_and_no_others(world: World, number: int) -> None:
    fill(world, number)
    world.inbox.mark_all_read(ADA)
    world.inbox.mark_all_read(ADA)
    assert (world.unread(ADA), world.unread(GRACE)) == (0, number)


def test_one_marked_while_all_are_marked_is_counted_once(world: World) -> None:
    fill(world, 5)
    one = world.ids()[2]
    world.meanwhile = lambda: world.inbox.mark_read(ADA, one)
    world.inbox.mark_all_read(ADA)
    assert world.unread(ADA) == 0


def test_all_marked_twice_at_the_same_time(world: World) -> None:
    fill(world, 120)
    world.meanwhile = lambda: world.inbox.mark_all_read(ADA)
    world.inbox.mark_all_read(ADA)
    assert world.unread(ADA) == 0


def test_what_arrives_while_all_are_marked_stays_unread(world: World) -> None:
    world.inbox.handle(transfer_event(1))
    world.meanwhile = lambda: world.inbox.handle(transfer_event(2))
    world.inbox.mark_all_read(ADA)
    found = world.page()
    assert [each.read for each in found.page.items] == [False, True]
    assert found.unread == 1


KEY = IdempotencyKey("scope", ("fingerprint",))


@pytest.mark.parametrize("number", [0, 1, 250])
def test_a_repeated_key_does_not_mark_what_arrived_since(world: World, number: int) -> None:
    fill(world, number)
    assert world.inbox.mark_all_read(ADA, KEY) is False
    world.inbox.handle(transfer_event(number))
    assert world.inbox.mark_all_read(ADA, KEY) is True
    assert world.unread(ADA) == 1
    assert world.inbox.mark_all_read(ADA, IdempotencyKey("another", ("fingerprint",))) is False
    assert world.unread(ADA) == 0


def test_a_repeated_key_finishes_what_the_first_request_left(world: World) -> None:
    class Died(Exception):
        pass

    def die() -> None:
        raise Died

    def die_at_the_next_write() -> None:
        world.meanwhile = die

    fill(world, 3)
    world.meanwhile = die_at_the_next_write
    with pytest.raises(Died):
        world.inbox.mark_all_read(ADA, KEY)
    assert world.unread(ADA) == 3
    world.inbox.handle(transfer_event(3))
    world.inbox.mark_all_read(ADA, KEY)
    assert world.unread(ADA) == 1


def test_a_key_stays_free_if_the_notification_was_not_found(world: World) -> None:
    world.inbox.handle(transfer_event())
    (hers,), (mine,) = world.ids(GRACE), world.ids(ADA)
    with pytest.raises(Refusal):
        world.inbox.mark_read(ADA, hers, KEY)
    assert [world.inbox.mark_read(ADA, mine, KEY) for _ in range(2)] == [False, True]


def test_a_key_with_another_body_is_refused(world: World) -> None:
    world.inbox.handle(transfer_event())
    world.inbox.mark_all_read(ADA, KEY)
    with pytest.raises(Refusal, match="idempotency_key_reused"):
        world.inbox.mark_all_read(ADA, IdempotencyKey("scope", ("other",)))


def test_a_deleted_user_has_an_empty_inbox_and_gets_no_notifications(world: World) -> None:
    world.inbox.handle(transfer_event(1))
    world.inbox.mark_all_read(ADA, KEY)
    for _ in range(2):
        world.inbox.handle(deletion())
        world.inbox.handle(transfer_event(1))
        world.inbox.handle(transfer_event(2))
    assert world.page() == InboxPage(Page([], None), 0)
    assert world.unread(GRACE) == 2
    expires_at = int((START + timedelta(days=60)).timestamp())
    assert world.items(ADA) == [{"pk": f"U#{ADA}", "sk": "U", "gone": True, "expires_at": expires_at}]
    assert {item["pk"] for item in world.table.items()} == {f"U#{ADA}", f"U#{GRACE}"}
