from dataclasses import replace
from typing import Any

import pytest

from functions.auth.domain.users import User
from tests.unit.auth.test_authenticators import App
from tests.unit.auth.world import ANONYMOUS, PASSWORD, World, refused

FACTORS = ["email", "totp"]


@pytest.fixture
def ada(world: World) -> User:
    return world.verified()


def change(world: World, user: User, **changes: Any) -> User:
    return world.profile.change(ANONYMOUS, user.id, **changes)


def with_factor(world: World, user: User, factor: str) -> User:
    if factor == "email":
        return change(world, user, second_factor="email")
    app = App(world, world.authenticators.enrol(user.id))
    world.confirm_app(user, app.code())
    return world.stored.users[user.id]


def test_names_change_and_an_event_is_published(world: World, ada: User) -> None:
    changed = change(world, ada, first_name="Augusta", last_name="King")
    assert (
        changed
        == world.stored.users[ada.id]
        == replace(ada, first_name="Augusta", last_name="King", sequence=ada.sequence + 1)
    )
    event = world.stored.events[-1]
    assert (event.type, event.data["changed"]) == ("user.updated", ["name"])
    assert (event.data["first_name"], event.actor) == ("Augusta", ANONYMOUS)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"first_name": "Re", "last_name": "mit"}, "/first_name"),
        ({"first_name": "R\u00e9", "last_name": "M I T"}, "/first_name"),
        ({"last_name": "."}, "/last_name"),
    ],
)
def test_the_full_name_must_not_imitate_the_product(
    world: World, ada: User, changes: dict[str, str], pointer: str
) -> None:
    user = world.put_user(replace(ada, first_name="Remit")) if "first_name" not in changes else ada
    problem = refused("validation_failed", lambda: change(world, user, **changes))
    assert [error.pointer for error in problem.errors] == [pointer]
    assert world.stored.users[user.id] == user


@pytest.mark.parametrize("changes", [{}, {"first_name": "Ada"}, {"second_factor": "none"}])
def test_an_unchanged_profile_publishes_no_event(world: World, ada: User, changes: dict[str, str]) -> None:
    before = len(world.stored.events)
    assert change(world, ada, **changes) == ada
    assert len(world.stored.events) == before


def test_mailed_codes_need_a_verified_address_and_no_password(world: World) -> None:
    user = world.register()
    refused("email_not_verified", lambda: change(world, user, second_factor="email"))
    world.verify(world.code(user))
    changed = change(world, user, second_factor="email")
    assert changed.second_factor == "email"
    assert world.stored.events[-1].data["changed"] == ["second_factor"]


@pytest.mark.parametrize("factor", FACTORS)
def test_removing_a_factor_needs_the_password(world: World, ada: User, factor: str) -> None:
    user = with_factor(world, ada, factor)
    problem = refused("validation_failed", lambda: change(world, ada, second_factor="none"))
    assert [error.pointer for error in problem.errors] == ["/password"]
    refused("invalid_credentials", lambda: change(world, ada, second_factor="none", password="wrong words"))
    assert world.stored.users[ada.id] == user
    assert change(world, ada, second_factor="none", password=PASSWORD).second_factor == "none"
    assert not world.stored.authenticators
    world.login()


def test_replacing_an_app_by_mail_needs_the_password(world: World, ada: User) -> None:
    with_factor(world, ada, "totp")
    refused("validation_failed", lambda: change(world, ada, second_factor="email"))
    assert change(world, ada, second_factor="email", password=PASSWORD).second_factor == "email"
    assert not world.stored.authenticators
    assert world.begin().methods == ("email",)


def test_setting_the_same_factor_needs_no_password(world: World, ada: User) -> None:
    user = with_factor(world, ada, "email")
    assert change(world, ada, second_factor="email") == user


def test_names_need_no_password_with_any_factor(world: World, ada: User) -> None:
    with_factor(world, ada, "totp")
    changed = change(world, ada, first_name="Augusta")
    assert (changed.first_name, changed.second_factor) == ("Augusta", "totp")
    assert world.stored.authenticators


def test_a_wrong_password_counts_as_a_failed_login(world: World, ada: User) -> None:
    with_factor(world, ada, "email")
    for _ in range(5):
        refused("invalid_credentials", lambda: change(world, ada, second_factor="none", password="wrong words"))
    refused("rate_limited", lambda: change(world, ada, second_factor="none", password=PASSWORD))
    refused("rate_limited", world.begin)


def test_a_correct_password_after_five_parallel_failures_waits(world: World, ada: User) -> None:
    with_factor(world, ada, "email")

    def guess() -> None:
        for _ in range(5):
            refused("invalid_credentials", lambda: change(world, ada, second_factor="none", password="wrong words"))

    world.before_write("authenticator", guess)
    refused("rate_limited", lambda: change(world, ada, second_factor="none", password=PASSWORD))
    assert world.stored.users[ada.id].second_factor == "email"


def test_a_factor_that_is_turned_on_meanwhile_needs_the_password(world: World, ada: User) -> None:
    app = App(world, world.authenticators.enrol(ada.id))
    world.before_write("user", lambda: world.confirm_app(ada, app.code()))
    refused("validation_failed", lambda: change(world, ada, second_factor="email"))
    assert world.stored.users[ada.id].second_factor == "totp"


def test_a_parallel_change_is_kept(world: World, ada: User) -> None:
    world.before_write("user", lambda: change(world, ada, last_name="King"))
    changed = change(world, ada, first_name="Augusta")
    assert (changed.first_name, changed.last_name) == ("Augusta", "King")


def test_a_deleted_user_is_refused(world: World, ada: User) -> None:
    world.remove("user")
    refused("unauthenticated", lambda: change(world, ada, first_name="Augusta"))
