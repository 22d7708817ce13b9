from dataclasses import replace

import pytest
from common.events import Actor
from common.tasks import FindUser, FoundUser

from functions.auth.domain.users import User
from functions.auth.service.users import Filters
from tests.unit.auth.room import EMAIL, Room, refused

PHONE = "+4915112345678"


def test_me(room: Room) -> None:
    user = room.register()
    assert room.users.me(user.id) == user
    refused("unauthenticated", room.users.me, "usr_01K0000000000000000000000A")


def test_a_user_is_found_by_id_whatever_is_verified(room: Room) -> None:
    user = room.register(phone=PHONE)
    assert room.users.find(FindUser(user_id=user.id)) == FoundUser(
        outcome="found",
        user_id=user.id,
        email=EMAIL,
        email_verified=False,
        phone=PHONE,
        phone_verified=False,
        first_name="Ada",
        last_name="Lovelace",
        status="active",
        sequence=1,
    )


def test_an_email_or_phone_finds_only_who_proved_it(room: Room) -> None:
    user = room.register(phone=PHONE)
    for wanted in (FindUser(email=EMAIL), FindUser(phone=PHONE)):
        assert room.users.find(wanted) == FoundUser("not_found")
    room.store.users[user.id] = replace(user, email_verified=True)
    assert room.users.find(FindUser(email=EMAIL)).user_id == user.id
    assert room.users.find(FindUser(phone=PHONE)) == FoundUser("not_found")
    room.store.users[user.id] = replace(user, phone_verified=True)
    assert room.users.find(FindUser(email=EMAIL)) == FoundUser("not_found")
    assert room.users.find(FindUser(phone=PHONE)).user_id == user.id


@pytest.mark.parametrize("wanted", [FindUser(user_id="usr_x"), FindUser(email="no@example.com"), FindUser(phone="+1")])
def test_nobody_is_an_answer(room: Room, wanted: FindUser) -> None:
    assert room.users.find(wanted) == FoundUser("not_found")


@pytest.mark.parametrize("wanted", [FindUser(), FindUser(user_id="usr_x", email=EMAIL)])
def test_exactly_one_is_asked_for(room: Room, wanted: FindUser) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        room.users.find(wanted)


class TestSeenBy:
    def test_themselves_and_admins(self, room: Room) -> None:
        user = room.register()
        assert room.users.seen_by(user.id, user.id, admin=False) == user
        assert room.users.seen_by("usr_x", user.id, admin=True) == user

    def test_nobody_else_and_nobody(self, room: Room) -> None:
        user = room.register()
        other = room.register("grace@example.com")
        refused("not_found", lambda: room.users.seen_by(other.id, user.id, admin=False))
        refused("not_found", lambda: room.users.seen_by(other.id, "usr_01K0000000000000000000000A", admin=True))

    def test_the_deleted_are_nowhere(self, room: Room) -> None:
        user = room.register()
        room.administration.delete(Actor(user_id=user.id), user.id, admin=False)
        refused("not_found", lambda: room.users.seen_by("usr_x", user.id, admin=True))
        assert room.users.find(FindUser(user_id=user.id)) == FoundUser("not_found")
        assert room.users.page(Filters(), 25, None).items == []
        refused("unauthenticated", room.users.me, user.id)


class TestPage:
    def register(self, room: Room, count: int) -> list[User]:
        """So many users, newest first."""
        users = []
        for number in range(count):
            users.insert(0, room.register(f"u{number}@example.com"))
            room.clock.advance(milliseconds=1)
        return users

    def test_newest_first_page_by_page(self, room: Room) -> None:
        users = self.register(room, 5)
        seen: list[User] = []
        position = None
        for size in (2, 2, 1):
            page = room.users.page(Filters(), 2, position)
            assert len(page.items) == size
            seen += page.items
            position = page.next_position
        assert position is None
        assert seen == users

    def test_a_full_last_page_is_the_last(self, room: Room) -> None:
        self.register(room, 2)
        assert room.users.page(Filters(), 2, None).next_position is None

    def test_filters_hold_together(self, room: Room) -> None:
        a, b, c = self.register(room, 3)
        room.store.users[a.id] = a = replace(a, role="arbiter")
        room.store.users[b.id] = b = replace(b, role="arbiter", status="suspended")
        assert room.users.page(Filters(role="arbiter"), 25, None).items == [a, b]
        assert room.users.page(Filters(status="suspended"), 25, None).items == [b]
        assert room.users.page(Filters(role="customer"), 25, None).items == [c]
        assert room.users.page(Filters(role="customer", status="suspended"), 25, None).items == []

    def test_by_email_there_is_one_or_none(self, room: Room) -> None:
        _, user = self.register(room, 2)
        assert room.users.page(Filters(email=user.email), 1, None) == ([user], None)
        assert room.users.page(Filters(email="no@example.com"), 1, None) == ([], None)
        assert room.users.page(Filters(email=user.email, role="admin"), 1, None) == ([], None)

    def test_one_page_examines_five_hundred_users_at_most(self, room: Room) -> None:
        users = self.register(room, 501)
        room.store.users[users[-1].id] = oldest = replace(users[-1], role="arbiter")
        first = room.users.page(Filters(role="arbiter"), 25, None)
        assert (first.items, first.next_position) == ([], users[499].id)
        assert room.users.page(Filters(role="arbiter"), 25, first.next_position) == ([oldest], None)
