import re
from dataclasses import replace
from typing import Any

import pytest

from functions.auth.domain.api_keys import ApiKey, CreatedApiKey
from functions.auth.domain.sessions import Claims
from functions.auth.domain.users import User
from tests.unit.auth.world import ANONYMOUS, World, refused

SECRET = "s" * 43


@pytest.fixture
def user(world: World) -> User:
    return world.register()


def create(world: World, user: User, name: str = "server", scopes: tuple[str, ...] = ("read",)) -> CreatedApiKey:
    return world.api_keys.create(ANONYMOUS, user.id, name, set(scopes))


def names(world: World, user: User) -> list[str]:
    return [key.name for key in world.api_keys.page(user.id, 25, None).items]


def test_a_key_authenticates_its_user_with_its_scopes(world: World, user: User) -> None:
    key, text = create(world, user, scopes=("payments", "read"))
    assert world.api_keys.authorize(text) == Claims(
        user.id, key.id, "customer", ("read", "payments"), email_verified=False, expires_at=""
    )
    world.put_user(replace(user, email_verified=True))
    assert world.api_keys.authorize(text).email_verified


def test_a_key_never_acts_as_more_than_a_customer(world: World, user: User) -> None:
    _, text = create(world, user)
    world.put_user(replace(user, role="admin"))
    assert world.api_keys.authorize(text).role == "customer"


def test_only_a_digest_is_stored_and_the_secret_is_not_shown(world: World, user: User) -> None:
    key, text = create(world, user)
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
def test_a_malformed_or_unknown_key_is_refused(world: World, user: User, change: Any) -> None:
    _, text = create(world, user)
    refused("unauthenticated", world.api_keys.authorize, change(text))


def test_a_key_of_a_suspended_or_deleted_user_is_refused(world: World, user: User) -> None:
    _, text = create(world, user)
    world.put_user(replace(user, status="suspended"))
    refused("unauthenticated", world.api_keys.authorize, text)
    world.remove("user")
    refused("unauthenticated", world.api_keys.authorize, text)


def test_a_key_outlives_sessions(world: World, user: User) -> None:
    verified = world.put_user(replace(user, email_verified=True))
    _, text = create(world, user)
    world.put_user(replace(verified, generation=5))
    assert world.api_keys.authorize(text).user_id == user.id


def test_the_list_is_newest_first_page_by_page(world: World, user: User) -> None:
    for name in "abc":
        create(world, user, name)
        world.clock.advance(seconds=1)
    assert names(world, user) == ["c", "b", "a"]
    first = world.api_keys.page(user.id, 2, None)
    assert [key.name for key in first.items] == ["c", "b"]
    last = world.api_keys.page(user.id, 2, first.next_position)
    assert ([key.name for key in last.items], last.next_position) == (["a"], None)


def test_a_user_has_at_most_twenty_keys(world: World, user: User) -> None:
    for number in range(20):
        create(world, user, str(number))
    refused("limit_reached", create, world, user)
    assert len(names(world, user)) == len(world.stored.api_keys) == 20
    world.api_keys.revoke(ANONYMOUS, user.id, world.store.api_key_ids(user.id)[0])
    create(world, user)
    assert len(names(world, user)) == 20


def test_two_keys_created_in_parallel_both_count(world: World, user: User) -> None:
    for number in range(18):
        create(world, user, str(number))
    world.before_write("user", lambda: create(world, user, "meanwhile"))
    create(world, user, "last")
    assert set(names(world, user)[:2]) == {"last", "meanwhile"}
    world.api_keys.revoke(ANONYMOUS, user.id, world.store.api_key_ids(user.id)[0])
    world.before_write("user", lambda: create(world, user, "again"))
    refused("limit_reached", create, world, user)
    assert len(world.stored.api_keys) == 20


def test_a_revoked_key_is_gone(world: World, user: User) -> None:
    key, text = create(world, user)
    kept = create(world, user, "kept")
    world.api_keys.revoke(ANONYMOUS, user.id, key.id)
    refused("unauthenticated", world.api_keys.authorize, text)
    world.api_keys.authorize(kept.text)
    assert names(world, user) == ["kept"]
    refused("not_found", world.api_keys.revoke, ANONYMOUS, user.id, key.id)


def test_a_key_of_another_user_is_not_found(world: World, user: User) -> None:
    key, text = create(world, user)
    grace = world.register("grace@example.com")
    refused("not_found", world.api_keys.revoke, ANONYMOUS, grace.id, key.id)
    world.api_keys.authorize(text)
    assert names(world, grace) == []


def test_creation_and_revocation_publish_events(world: World, user: User) -> None:
    key, _ = create(world, user)
    world.api_keys.revoke(ANONYMOUS, user.id, key.id)
    assert [event.data["changed"] for event in world.stored.events[-2:]] == [["api_key_created"], ["api_key_revoked"]]
    for sequence, event in zip((2, 3), world.stored.events[-2:], strict=True):
        assert (event.type, event.subject, event.sequence) == ("user.updated", user.id, sequence)
        assert event.actor == ANONYMOUS


@pytest.mark.parametrize("meanwhile", ["suspended", "gone"])
def test_no_key_is_created_for_a_user_who_is_suspended_or_deleted_meanwhile(
    world: World, user: User, meanwhile: str
) -> None:
    def happen() -> None:
        if meanwhile == "gone":
            world.remove("user")
        else:
            world.put_user(user.revised(world.clock(), status="suspended"))

    world.before_write("user", happen)
    refused("unauthenticated", create, world, user)
    assert not world.stored.api_keys


class TestLastUse:
    def used(self, world: World) -> str | None:
        (key,) = world.stored.api_keys.values()
        return key.last_used_at

    def test_is_recorded_at_most_once_an_hour(self, world: World, user: User) -> None:
        _, text = create(world, user)
        assert self.used(world) is None
        world.api_keys.authorize(text)
        assert self.used(world) == "2026-11-21T09:30:00.000Z"
        world.clock.advance(minutes=59)
        world.api_keys.authorize(text)
        assert self.used(world) == "2026-11-21T09:30:00.000Z"
        world.clock.advance(minutes=1)
        world.api_keys.authorize(text)
        assert self.used(world) == "2026-11-21T10:30:00.000Z"

    def test_is_not_recorded_for_a_wrong_secret(self, world: World, user: User) -> None:
        key, _ = create(world, user)
        refused("unauthenticated", world.api_keys.authorize, f"{key.id}.{SECRET}")
        assert self.used(world) is None

    def test_does_not_restore_a_revoked_key(self, world: World, user: User) -> None:
        key, text = create(world, user)
        world.before_write("api key", lambda: world.api_keys.revoke(ANONYMOUS, user.id, key.id))
        world.api_keys.authorize(text)
        assert not world.stored.api_keys


def test_a_key_of_an_unverified_user_ends_with_a_password_reset(world: World, user: User) -> None:
    _, text = create(world, user, scopes=("read", "write", "payments"))
    world.passwords.forgot(ANONYMOUS, user.email)
    world.passwords.reset(ANONYMOUS, user.email, world.code(user, "reset_password"), "difference engine")
    refused("unauthenticated", world.api_keys.authorize, text)
    world.verify(world.code(user))
    refused("unauthenticated", world.api_keys.authorize, text)


def test_a_key_survives_the_verification_of_the_address(world: World, user: User) -> None:
    _, text = create(world, user)
    world.verify(world.code(user))
    assert world.api_keys.authorize(text).email_verified
