from dataclasses import replace
from typing import Any

import pytest

from functions.auth.domain.users import User
from tests.unit.auth.fakes import STRANGER
from tests.unit.auth.room import PASSWORD, Room, refused
from tests.unit.auth.test_authenticators import App

FACTORS = ["email", "totp"]


@pytest.fixture
def ada(room: Room) -> User:
    return room.verified()


def change(room: Room, user: User, **changes: Any) -> User:
    nothing = dict.fromkeys(("first_name", "last_name", "second_factor", "password"))
    return room.profile.change(STRANGER, user.id, **nothing | changes)


def with_factor(room: Room, user: User, factor: str) -> User:
    if factor == "email":
        return change(room, user, second_factor="email")
    app = App(room, room.authenticators.enrol(user.id))
    room.authenticators.confirm(STRANGER, user.id, app.code())
    return room.store.users[user.id]


def test_names_change_and_are_told(room: Room, ada: User) -> None:
    changed = change(room, ada, first_name="Augusta", last_name="King")
    assert (
        changed
        == room.store.users[ada.id]
        == replace(ada, first_name="Augusta", last_name="King", sequence=ada.sequence + 1)
    )
    event = room.store.events[-1]
    assert (event.type, event.data["changed"]) == ("user.updated", ["first_name", "last_name"])
    assert (event.data["first_name"], event.actor) == ("Augusta", STRANGER)


@pytest.mark.parametrize("changes", [{}, {"first_name": "Ada"}, {"second_factor": "none"}])
def test_what_changes_nothing_is_not_told(room: Room, ada: User, changes: dict[str, str]) -> None:
    before = len(room.store.events)
    assert change(room, ada, **changes) == ada
    assert len(room.store.events) == before


def test_codes_by_mail_need_a_verified_address_and_no_password(room: Room) -> None:
    user = room.register()
    refused("email_not_verified", lambda: change(room, user, second_factor="email"))
    room.verify(room.mint(user))
    changed = change(room, user, second_factor="email")
    assert changed.second_factor == "email"
    assert room.store.events[-1].data["changed"] == ["second_factor"]


@pytest.mark.parametrize("factor", FACTORS)
def test_giving_a_factor_up_needs_the_password(room: Room, ada: User, factor: str) -> None:
    user = with_factor(room, ada, factor)
    problem = refused("validation_failed", lambda: change(room, ada, second_factor="none"))
    assert [error.pointer for error in problem.errors] == ["/password"]
    refused("invalid_credentials", lambda: change(room, ada, second_factor="none", password="wrong words"))
    assert room.store.users[ada.id] == user
    assert change(room, ada, second_factor="none", password=PASSWORD).second_factor == "none"
    assert not room.store.authenticators
    room.login()


def test_exchanging_an_app_for_mail_needs_the_password(room: Room, ada: User) -> None:
    with_factor(room, ada, "totp")
    refused("validation_failed", lambda: change(room, ada, second_factor="email"))
    assert change(room, ada, second_factor="email", password=PASSWORD).second_factor == "email"
    assert not room.store.authenticators
    assert room.begin().methods == ("email",)


def test_the_factor_one_has_needs_nothing(room: Room, ada: User) -> None:
    user = with_factor(room, ada, "email")
    assert change(room, ada, second_factor="email") == user


def test_names_need_no_password_whatever_the_factor(room: Room, ada: User) -> None:
    with_factor(room, ada, "totp")
    changed = change(room, ada, first_name="Augusta")
    assert (changed.first_name, changed.second_factor) == ("Augusta", "totp")
    assert room.store.authenticators


def test_a_wrong_password_counts_as_a_failed_login(room: Room, ada: User) -> None:
    with_factor(room, ada, "email")
    for _ in range(5):
        refused("invalid_credentials", lambda: change(room, ada, second_factor="none", password="wrong words"))
    refused("rate_limited", lambda: change(room, ada, second_factor="none", password=PASSWORD))
    refused("rate_limited", room.begin)


def test_a_right_password_behind_five_wrong_ones_waits(room: Room, ada: User) -> None:
    with_factor(room, ada, "email")

    def guess() -> None:
        for _ in range(5):
            refused("invalid_credentials", lambda: change(room, ada, second_factor="none", password="wrong words"))

    room.store.before("change_factor", guess)
    refused("rate_limited", lambda: change(room, ada, second_factor="none", password=PASSWORD))
    assert room.store.users[ada.id].second_factor == "email"


def test_a_factor_turned_on_meanwhile_is_not_given_up_without_the_password(room: Room, ada: User) -> None:
    app = App(room, room.authenticators.enrol(ada.id))
    room.store.before("revise", lambda: room.authenticators.confirm(STRANGER, ada.id, app.code()))
    refused("validation_failed", lambda: change(room, ada, second_factor="email"))
    assert room.store.users[ada.id].second_factor == "totp"


def test_another_change_meanwhile_stays(room: Room, ada: User) -> None:
    room.store.before("revise", lambda: change(room, ada, last_name="King"))
    changed = change(room, ada, first_name="Augusta")
    assert (changed.first_name, changed.last_name) == ("Augusta", "King")


def test_only_for_who_is_there(room: Room, ada: User) -> None:
    room.store.users.clear()
    refused("unauthenticated", lambda: change(room, ada, first_name="Augusta"))
