from dataclasses import replace
from typing import Any

import pytest
from common.events import SYSTEM, Actor
from common.tasks import CloseAccounts, GrantedRole, GrantRole

from functions.auth.domain.users import User
from functions.auth.service.sessions import Grant
from tests.unit.auth.fakes import STRANGER
from tests.unit.auth.room import EMAIL, PASSWORD, Room, refused

PHONE = "+4915112345678"


def as_(user: User) -> Actor:
    return replace(STRANGER, user_id=user.id, session_id="ses_x")


def admin(room: Room, email: str = "grace@example.com") -> User:
    user = room.register(email)
    room.store.users[user.id] = replace(user, email_verified=True)
    assert room.administration.grant(GrantRole(email, "admin")).outcome == "granted"
    return room.store.users[user.id]


@pytest.fixture
def grace(room: Room) -> User:
    """An admin."""
    return admin(room)


@pytest.fixture
def ada(room: Room) -> Grant:
    """A customer who is signed in."""
    room.register(phone=PHONE)
    return room.login()


def change(room: Room, by: User, user: User, **changes: Any) -> User:
    return room.administration.change(as_(by), user.id, changes.get("role"), changes.get("status"))


def delete(room: Room, by: User, user: User) -> None:
    room.administration.delete(as_(by), user.id, admin=by.role == "admin")


class TestChange:
    def test_suspension_ends_sessions_and_is_told(self, room: Room, grace: User, ada: Grant) -> None:
        suspended = change(room, grace, ada.user, status="suspended")
        assert suspended == room.store.users[ada.user.id]
        assert suspended.status == "suspended"
        refused("unauthenticated", room.sessions.authorize, ada.access_token)
        refused("invalid_refresh_token", room.sessions.refresh, ada.refresh_token, STRANGER)
        refused("account_suspended", room.login)
        event = room.store.events[-1]
        assert (event.type, event.data["status"], event.actor) == ("user.suspended", "suspended", as_(grace))
        assert event.data["changed"] == ["status"]

    def test_suspension_ends_keys(self, room: Room, grace: User, ada: Grant) -> None:
        text = room.api_keys.create(STRANGER, ada.user.id, "server", {"read"}).text
        change(room, grace, ada.user, status="suspended")
        refused("unauthenticated", room.api_keys.authorize, text)

    def test_reactivation_lets_in_but_revives_no_session(self, room: Room, grace: User, ada: Grant) -> None:
        change(room, grace, ada.user, status="suspended")
        change(room, grace, ada.user, status="active")
        event = room.store.events[-1]
        assert (event.type, event.data["changed"]) == ("user.updated", ["status"])
        refused("unauthenticated", room.sessions.authorize, ada.access_token)
        room.sessions.authorize(room.login().access_token)

    def test_a_role_ends_sessions_and_is_told(self, room: Room, grace: User, ada: Grant) -> None:
        assert change(room, grace, ada.user, role="arbiter").role == "arbiter"
        event = room.store.events[-1]
        assert (event.type, event.data["role"], event.data["changed"]) == ("user.updated", "arbiter", ["role"])
        refused("unauthenticated", room.sessions.authorize, ada.access_token)
        assert room.sessions.authorize(room.login().access_token).role == "arbiter"

    def test_both_at_once_are_one_event(self, room: Room, grace: User, ada: Grant) -> None:
        change(room, grace, ada.user, role="arbiter", status="suspended")
        event = room.store.events[-1]
        assert (event.type, event.data["changed"]) == ("user.suspended", ["role", "status"])

    @pytest.mark.parametrize("changes", [{}, {"role": "customer"}, {"status": "active"}])
    def test_what_is_so_already_changes_nothing(
        self, room: Room, grace: User, ada: Grant, changes: dict[str, Any]
    ) -> None:
        before = list(room.store.events)
        assert change(room, grace, ada.user, **changes) == ada.user
        assert room.store.events == before
        room.sessions.authorize(ada.access_token)

    def test_suspending_again_is_the_same_suspension(self, room: Room, grace: User, ada: Grant) -> None:
        suspended = change(room, grace, ada.user, status="suspended")
        assert change(room, grace, ada.user, status="suspended") == suspended
        assert room.store.types().count("user.suspended") == 1

    @pytest.mark.parametrize("changes", [{}, {"role": "customer"}, {"status": "suspended"}])
    def test_nobody_changes_themselves(self, room: Room, grace: User, changes: dict[str, Any]) -> None:
        refused("forbidden", lambda: change(room, grace, grace, **changes))
        assert room.store.users[grace.id] == grace

    def test_nobody_is_not_found(self, room: Room, grace: User, ada: Grant) -> None:
        gone = replace(ada.user, id="usr_01K0000000000000000000000A")
        refused("not_found", lambda: change(room, grace, gone, role="arbiter"))

    def test_an_admin_is_demoted_before_being_suspended(self, room: Room, grace: User) -> None:
        other = admin(room, "alan@example.com")
        refused("invalid_state", lambda: change(room, grace, other, status="suspended"))
        assert room.store.users[other.id] == other
        change(room, grace, other, role="customer")
        assert change(room, grace, other, status="suspended").status == "suspended"

    def test_one_who_is_suspended_is_not_made_an_admin(self, room: Room, grace: User, ada: Grant) -> None:
        change(room, grace, ada.user, status="suspended")
        refused("invalid_state", lambda: change(room, grace, ada.user, role="admin"))
        assert room.store.admin_count == 1

    def test_admins_are_counted(self, room: Room, grace: User, ada: Grant) -> None:
        change(room, grace, ada.user, role="admin")
        assert room.store.admin_count == 2
        change(room, grace, ada.user, role="arbiter")
        assert room.store.admin_count == 1
        change(room, grace, ada.user, role="customer")
        assert room.store.admin_count == 1

    def test_of_two_admins_who_demote_each_other_at_once_one_stays(self, room: Room, grace: User) -> None:
        other = admin(room, "alan@example.com")
        room.store.before("change_user", lambda: change(room, other, grace, role="customer"))
        refused("invalid_state", lambda: change(room, grace, other, role="customer"))
        assert (room.store.users[grace.id].role, room.store.users[other.id].role) == ("customer", "admin")
        assert room.store.admin_count == 1

    def test_what_changes_meanwhile_is_kept(self, room: Room, grace: User, ada: Grant) -> None:
        room.store.before("change_user", lambda: room.verify(room.mint(ada.user)))
        changed = change(room, grace, ada.user, role="arbiter")
        assert (changed.email_verified, changed.role) == (True, "arbiter")


class TestGrant:
    def test_makes_the_first_admin_in_the_platforms_name(self, room: Room, ada: Grant) -> None:
        room.verify(room.mint(ada.user))
        assert room.administration.grant(GrantRole(EMAIL, "admin")) == GrantedRole("granted", ada.user.id)
        event = room.store.events[-1]
        assert (event.type, event.data["role"], event.actor) == ("user.updated", "admin", SYSTEM)
        refused("unauthenticated", room.sessions.authorize, ada.access_token)
        assert room.sessions.authorize(room.login().access_token).role == "admin"

    def test_again_is_granted_and_counted_once(self, room: Room, grace: User) -> None:
        before = list(room.store.events)
        assert room.administration.grant(GrantRole(grace.email, "admin")) == GrantedRole("granted", grace.id)
        assert (room.store.admin_count, room.store.events) == (1, before)

    def test_only_a_verified_email_counts(self, room: Room, ada: Grant) -> None:
        assert room.administration.grant(GrantRole(EMAIL, "admin")) == GrantedRole("not_found")
        assert room.administration.grant(GrantRole("no@example.com", "admin")) == GrantedRole("not_found")
        assert (room.store.admin_count, room.store.users[ada.user.id].role) == (0, "customer")

    def test_the_last_admin_stays_one(self, room: Room, grace: User) -> None:
        assert room.administration.grant(GrantRole(grace.email, "customer")) == GrantedRole("last_admin", grace.id)
        admin(room, "alan@example.com")
        assert room.administration.grant(GrantRole(grace.email, "customer")) == GrantedRole("granted", grace.id)

    def test_one_who_is_suspended_is_given_none(self, room: Room, grace: User, ada: Grant) -> None:
        room.verify(room.mint(ada.user))
        change(room, grace, ada.user, status="suspended")
        assert room.administration.grant(GrantRole(EMAIL, "arbiter")) == GrantedRole("suspended", ada.user.id)


class TestDelete:
    def test_leaves_nothing_but_the_fact(self, room: Room, ada: Grant) -> None:
        text = room.api_keys.create(STRANGER, ada.user.id, "server", {"read"}).text
        delete(room, ada.user, ada.user)
        assert room.store.buried == {ada.user.id: 3}
        left = (room.store.users, room.store.emails, room.store.phones, room.store.sessions, room.store.keys)
        assert not any(left)
        assert not room.store.devices
        refused("unauthenticated", room.sessions.authorize, ada.access_token)
        refused("unauthenticated", room.api_keys.authorize, text)
        refused("invalid_refresh_token", room.sessions.refresh, ada.refresh_token, STRANGER)
        refused("invalid_credentials", room.login)

    def test_is_told_without_personal_data(self, room: Room, ada: Grant) -> None:
        delete(room, ada.user, ada.user)
        event = room.store.events[-1]
        assert (event.type, event.subject, event.sequence, event.actor) == (
            "user.deleted",
            ada.user.id,
            2,
            as_(ada.user),
        )
        assert event.data == {"user_id": ada.user.id, "status": "deleted"}

    def test_closes_the_accounts_first_and_not_where_there_is_money(self, room: Room, ada: Grant) -> None:
        room.has_money = True
        refused("account_not_empty", delete, room, ada.user, ada.user)
        assert room.closings == [CloseAccounts(ada.user.id, as_(ada.user))]
        assert room.store.users[ada.user.id] == ada.user
        room.sessions.authorize(ada.access_token)
        room.has_money = False
        delete(room, ada.user, ada.user)
        assert ada.user.id not in room.store.users

    def test_by_an_admin_and_again(self, room: Room, grace: User, ada: Grant) -> None:
        for _ in range(2):
            delete(room, grace, ada.user)
        assert room.store.types().count("user.deleted") == 1
        assert len(room.closings) == 1

    def test_repeating_it_finishes_what_died(self, room: Room, grace: User, ada: Grant) -> None:
        def die() -> None:
            raise ConnectionError

        room.store.before("clear", die)
        with pytest.raises(ConnectionError):
            delete(room, grace, ada.user)
        refused("unauthenticated", room.sessions.authorize, ada.access_token)
        assert room.store.sessions
        delete(room, grace, ada.user)
        assert not room.store.sessions

    def test_somebody_else_is_not_found(self, room: Room, grace: User, ada: Grant) -> None:
        refused("not_found", delete, room, ada.user, grace)
        refused("not_found", delete, room, grace, replace(ada.user, id="usr_01K0000000000000000000000A"))
        assert not room.closings

    def test_the_last_admin_stays_and_their_accounts_with_them(self, room: Room, grace: User) -> None:
        refused("invalid_state", delete, room, grace, grace)
        assert not room.closings
        other = admin(room, "alan@example.com")
        delete(room, grace, grace)
        assert room.store.admin_count == 1
        refused("invalid_state", delete, room, other, other)

    def test_of_two_admins_who_leave_at_once_one_stays(self, room: Room, grace: User) -> None:
        other = admin(room, "alan@example.com")
        room.store.before("bury", lambda: delete(room, other, other))
        refused("invalid_state", delete, room, grace, grace)
        assert list(room.store.users) == [grace.id]

    def test_what_changes_meanwhile_does_not_survive(self, room: Room, ada: Grant) -> None:
        room.store.before("bury", lambda: room.verify(room.mint(ada.user)))
        delete(room, ada.user, ada.user)
        assert room.store.buried == {ada.user.id: 3}

    def test_a_login_at_the_same_moment_leaves_no_session(self, room: Room, ada: Grant) -> None:
        room.store.before("open_session", lambda: delete(room, ada.user, ada.user))
        refused("invalid_credentials", room.login)
        assert not room.store.sessions

    def test_the_address_is_free_again(self, room: Room, ada: Grant) -> None:
        delete(room, ada.user, ada.user)
        again = room.register(phone=PHONE)
        assert again.id != ada.user.id
        assert room.login(PASSWORD).user == again
