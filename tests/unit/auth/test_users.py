from dataclasses import replace

import pytest
from common.contracts.auth import FindUser, FoundUser
from common.contracts.events import Actor

from functions.auth.domain.users import User, UserFilter
from tests.unit.auth.world import EMAIL, World, refused

PHONE = "+4915112345678"


def test_me(world: World) -> None:
    user = world.register()
    assert world.users.me(user.id) == user
    refused("unauthenticated", world.users.me, "usr_01K0000000000000000000000A")


def test_a_user_is_found_by_id_even_if_nothing_is_verified(world: World) -> None:
    user = world.register(phone=PHONE)
    assert world.users.find(FindUser(user_id=user.id)) == FoundUser(
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


def test_an_email_or_phone_must_be_verified_to_find_a_user(world: World) -> None:
    user = world.register(phone=PHONE)
    for wanted in (FindUser(email=EMAIL), FindUser(phone=PHONE)):
        assert world.users.find(wanted) == FoundUser("not_found")
    world.put_user(replace(user, email_verified=True))
    assert world.users.find(FindUser(email=EMAIL)).user_id == user.id
    assert world.users.find(FindUser(phone=PHONE)) == FoundUser("not_found")
    world.put_user(replace(user, phone_verified=True))
    assert world.users.find(FindUser(email=EMAIL)) == FoundUser("not_found")
    assert world.users.find(FindUser(phone=PHONE)).user_id == user.id


@pytest.mark.parametrize("wanted", [FindUser(user_id="usr_x"), FindUser(email="no@example.com"), FindUser(phone="+1")])
def test_an_unknown_user_is_not_found(world: World, wanted: FindUser) -> None:
    assert world.users.find(wanted) == FoundUser("not_found")


@pytest.mark.parametrize("wanted", [FindUser(), FindUser(user_id="usr_x", email=EMAIL)])
def test_exactly_one_criterion_is_required(world: World, wanted: FindUser) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        world.users.find(wanted)


class TestSeenBy:
    def test_users_see_themselves_and_admins_see_everyone(self, world: World) -> None:
        user = world.register()
        assert world.users.seen_by(user.id, user.id, admin=False) == user
        assert world.users.seen_by("usr_x", user.id, admin=True) == user

    def test_other_users_and_unknown_ids_are_not_found(self, world: World) -> None:
        user = world.register()
        other = world.register("grace@example.com")
        refused("not_found", lambda: world.users.seen_by(other.id, user.id, admin=False))
        refused("not_found", lambda: world.users.seen_by(other.id, "usr_01K0000000000000000000000A", admin=True))

    def test_deleted_users_are_not_found(self, world: World) -> None:
        user = world.register()
        world.administration.delete(Actor(user_id=user.id), user.id, admin=False)
        refused("not_found", lambda: world.users.seen_by("usr_x", user.id, admin=True))
        assert world.users.find(FindUser(user_id=user.id)) == FoundUser("not_found")
        assert world.users.page(UserFilter(), 25, None).items == []
        refused("unauthenticated", world.users.me, user.id)


class TestPage:
    def register(self, world: World, count: int) -> list[User]:
        """Register `count` users and return them, newest first."""
        users: list[User] = []
        for number in range(count):
            users.insert(0, world.register(f"u{number}@example.com"))
            world.clock.advance(milliseconds=1)
        return users

    def test_newest_first_page_by_page(self, world: World) -> None:
        users = self.register(world, 5)
        seen: list[User] = []
        position = None
        for size in (2, 2, 1):
            page = world.users.page(UserFilter(), 2, position)
            assert len(page.items) == size
            seen += page.items
            position = page.next_position
        assert position is None
        assert seen == users

    def test_a_full_last_page_is_the_last(self, world: World) -> None:
        self.register(world, 2)
        assert world.users.page(UserFilter(), 2, None).next_position is None

    def test_filters_are_combined(self, world: World) -> None:
        a, b, c = self.register(world, 3)
        a = world.put_user(replace(a, role="arbiter"))
        b = world.put_user(replace(b, role="arbiter", status="suspended"))
        assert world.users.page(UserFilter(role="arbiter"), 25, None).items == [a, b]
        assert world.users.page(UserFilter(status="suspended"), 25, None).items == [b]
        assert world.users.page(UserFilter(role="customer"), 25, None).items == [c]
        assert world.users.page(UserFilter(role="customer", status="suspended"), 25, None).items == []

    def test_a_filter_by_email_finds_one_user_or_none(self, world: World) -> None:
        _, user = self.register(world, 2)
        assert world.users.page(UserFilter(email=user.email), 1, None) == ([user], None)
        assert world.users.page(UserFilter(email="no@example.com"), 1, None) == ([], None)
        assert world.users.page(UserFilter(email=user.email, role="admin"), 1, None) == ([], None)

    def test_one_page_examines_five_hundred_users_at_most(self, world: World) -> None:
        users = self.register(world, 501)
        oldest = world.put_user(replace(users[-1], role="arbiter"))
        first = world.users.page(UserFilter(role="arbiter"), 25, None)
        assert (first.items, first.next_position) == ([], users[499].id)
        assert world.users.page(UserFilter(role="arbiter"), 25, first.next_position) == ([oldest], None)
