import re
from dataclasses import replace
from typing import Any

import pytest

from functions.auth.domain.api_keys import ApiKey
from functions.auth.domain.sessions import Claims
from functions.auth.domain.users import User
from functions.auth.service.api_keys import NewKey
from tests.unit.auth.fakes import STRANGER
from tests.unit.auth.room import Room, refused

SECRET = "s" * 43


@pytest.fixture
def user(room: Room) -> User:
    return room.register()


def create(room: Room, user: User, name: str = "server", scopes: tuple[str, ...] = ("read",)) -> NewKey:
    return room.api_keys.create(STRANGER, user.id, name, set(scopes))


def names(room: Room, user: User) -> list[str]:
    return [key.name for key in room.api_keys.page(user.id, 25, None).items]


def test_a_key_stands_for_its_user_with_its_scopes(room: Room, user: User) -> None:
    key, text = create(room, user, scopes=("payments", "read"))
    assert room.api_keys.authorize(text) == Claims(
        user.id, key.id, "customer", ("read", "payments"), email_verified=False, expires_at=""
    )
    room.store.users[user.id] = replace(user, email_verified=True)
    assert room.api_keys.authorize(text).email_verified


def test_a_key_never_acts_as_more_than_a_customer(room: Room, user: User) -> None:
    _, text = create(room, user)
    room.store.users[user.id] = replace(user, role="admin")
    assert room.api_keys.authorize(text).role == "customer"


def test_what_is_kept_is_a_digest_and_nothing_shows_the_secret(room: Room, user: User) -> None:
    key, text = create(room, user)
    assert re.fullmatch(rf"{key.id}\.[0-9]{{43}}", text)
    secret = text.split(".")[1]
    assert re.fullmatch("[0-9a-f]{64}", key.digest)
    assert not any(secret in str(getattr(key, name)) for name in ApiKey.__slots__)
    assert key.digest not in repr(key)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: text + "\n",
        lambda text: text[:-1] + "x",
        lambda text: text.replace(".", ""),
        lambda text: text.split(".")[0] + ".",
        lambda text: f"key_01K0000000000000000000000A.{text.split('.')[1]}",
        lambda text: f"key_x.{text.split('.')[1]}",
        lambda text: "ses" + text[3:],
    ],
)
def test_what_is_no_key_is_refused(room: Room, user: User, change: Any) -> None:
    _, text = create(room, user)
    refused("unauthenticated", room.api_keys.authorize, change(text))


def test_a_key_of_a_suspended_or_deleted_user_is_refused(room: Room, user: User) -> None:
    _, text = create(room, user)
    room.store.users[user.id] = replace(user, status="suspended")
    refused("unauthenticated", room.api_keys.authorize, text)
    del room.store.users[user.id]
    refused("unauthenticated", room.api_keys.authorize, text)


def test_a_key_outlives_sessions(room: Room, user: User) -> None:
    verified = room.store.users[user.id] = replace(user, email_verified=True)
    _, text = create(room, user)
    room.store.users[user.id] = replace(verified, generation=5)
    assert room.api_keys.authorize(text).user_id == user.id


def test_the_list_is_newest_first_page_by_page(room: Room, user: User) -> None:
    for name in "abc":
        create(room, user, name)
        room.clock.advance(seconds=1)
    assert names(room, user) == ["c", "b", "a"]
    first = room.api_keys.page(user.id, 2, None)
    assert [key.name for key in first.items] == ["c", "b"]
    last = room.api_keys.page(user.id, 2, first.next_position)
    assert ([key.name for key in last.items], last.next_position) == (["a"], None)


def test_there_are_twenty_at_most(room: Room, user: User) -> None:
    for number in range(20):
        create(room, user, str(number))
    refused("invalid_state", create, room, user)
    assert len(names(room, user)) == len(room.store.keys) == 20
    room.api_keys.revoke(STRANGER, user.id, room.store.keyring(user.id)[0])
    create(room, user)
    assert len(names(room, user)) == 20


def test_two_made_at_once_are_two_and_never_twenty_one(room: Room, user: User) -> None:
    for number in range(18):
        create(room, user, str(number))
    room.store.before("add_api_key", lambda: create(room, user, "meanwhile"))
    create(room, user, "last")
    assert set(names(room, user)[:2]) == {"last", "meanwhile"}
    room.api_keys.revoke(STRANGER, user.id, room.store.keyring(user.id)[0])
    room.store.before("add_api_key", lambda: create(room, user, "again"))
    refused("invalid_state", create, room, user)
    assert len(room.store.keys) == 20


def test_revoked_is_gone(room: Room, user: User) -> None:
    key, text = create(room, user)
    kept = create(room, user, "kept")
    room.api_keys.revoke(STRANGER, user.id, key.id)
    refused("unauthenticated", room.api_keys.authorize, text)
    room.api_keys.authorize(kept.text)
    assert names(room, user) == ["kept"]
    refused("not_found", room.api_keys.revoke, STRANGER, user.id, key.id)


def test_somebody_elses_key_is_not_there(room: Room, user: User) -> None:
    key, text = create(room, user)
    grace = room.register("grace@example.com")
    refused("not_found", room.api_keys.revoke, STRANGER, grace.id, key.id)
    room.api_keys.authorize(text)
    assert names(room, grace) == []


def test_making_and_revoking_are_told(room: Room, user: User) -> None:
    key, _ = create(room, user)
    room.api_keys.revoke(STRANGER, user.id, key.id)
    for sequence, event in zip((2, 3), room.store.events[-2:], strict=True):
        assert (event.type, event.subject, event.sequence) == ("user.updated", user.id, sequence)
        assert (event.data["changed"], event.actor) == (["api_keys"], STRANGER)


@pytest.mark.parametrize("meanwhile", ["suspended", "gone"])
def test_no_key_is_made_for_one_who_is_suspended_or_deleted_meanwhile(room: Room, user: User, meanwhile: str) -> None:
    def happen() -> None:
        if meanwhile == "gone":
            del room.store.users[user.id]
        else:
            room.store.users[user.id] = user.revised(room.clock(), status="suspended")

    room.store.before("add_api_key", happen)
    refused("unauthenticated", create, room, user)
    assert not room.store.keys


class TestLastUse:
    def used(self, room: Room) -> str | None:
        (key,) = room.store.keys.values()
        return key.last_used_at

    def test_is_noted_at_most_once_an_hour(self, room: Room, user: User) -> None:
        _, text = create(room, user)
        assert self.used(room) is None
        room.api_keys.authorize(text)
        assert self.used(room) == "2026-11-21T09:30:00.000Z"
        room.clock.advance(minutes=59)
        room.api_keys.authorize(text)
        assert self.used(room) == "2026-11-21T09:30:00.000Z"
        room.clock.advance(minutes=1)
        room.api_keys.authorize(text)
        assert self.used(room) == "2026-11-21T10:30:00.000Z"

    def test_is_not_noted_for_a_wrong_secret(self, room: Room, user: User) -> None:
        key, _ = create(room, user)
        refused("unauthenticated", room.api_keys.authorize, f"{key.id}.{SECRET}")
        assert self.used(room) is None

    def test_does_not_bring_a_key_back(self, room: Room, user: User) -> None:
        key, text = create(room, user)
        room.store.before("note_use", lambda: room.api_keys.revoke(STRANGER, user.id, key.id))
        room.api_keys.authorize(text)
        assert not room.store.keys


def test_who_registered_an_address_of_somebody_else_keeps_no_key_past_its_owners_reset(room: Room, user: User) -> None:
    _, text = create(room, user, scopes=("read", "write", "payments"))
    room.password_changes.forgot(STRANGER, user.email)
    room.password_changes.reset(STRANGER, user.email, room.code(user, "reset_password"), "difference engine")
    refused("unauthenticated", room.api_keys.authorize, text)
    room.verify(room.mint(user))
    refused("unauthenticated", room.api_keys.authorize, text)


def test_a_key_lives_on_when_its_maker_proves_the_address(room: Room, user: User) -> None:
    _, text = create(room, user)
    room.verify(room.mint(user))
    assert room.api_keys.authorize(text).email_verified
