from dataclasses import replace

import pytest
from common.tasks import FindUser, FoundUser

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
