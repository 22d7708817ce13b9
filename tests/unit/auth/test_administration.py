from dataclasses import replace
from typing import Any

import pytest
from common.contracts.accounts import CloseAccounts
from common.contracts.auth import GrantedRole, GrantRole
from common.contracts.events import SYSTEM, Actor

from functions.auth.domain.sessions import GrantedTokens
from functions.auth.domain.users import User
from tests.unit.auth.world import ANONYMOUS, EMAIL, PASSWORD, World, refused

PHONE = "+4915112345678"


def actor_of(user: User) -> Actor:
    return replace(ANONYMOUS, user_id=user.id, session_id="ses_x")


def admin(world: World, email: str = "grace@example.com") -> User:
    user = world.register(email)
    world.put_user(replace(user, email_verified=True))
    assert world.administration.grant(GrantRole(email, "admin")).outcome == "granted"
    return world.stored.users[user.id]


@pytest.fixture
def grace(world: World) -> User:
    """An admin."""
    return admin(world)


@pytest.fixture
def ada(world: World) -> GrantedTokens:
    """The tokens of a customer."""
    world.register(phone=PHONE)
    return world.login()


def change(world: World, by: User, user: User, **changes: Any) -> User:
    return world.administration.change(actor_of(by), user.id, changes.get("role"), changes.get("status"))


def delete(world: World, by: User, user: User) -> None:
    world.administration.delete(actor_of(by), user.id, admin=by.role == "admin")


class TestSecondFactor:
    def remove(self, world: World, by: User, user_id: str) -> None:
        world.administration.remove_second_factor(actor_of(by), user_id)

    @pytest.mark.parametrize("factor", ["email", "totp"])
    def test_a_lost_or_hostile_one_is_removed_and_sessions_end(
        self, world: World, grace: User, ada: GrantedTokens, factor: Any
    ) -> None:
        world.authenticators.enrol(ada.user.id)
        world.put_user(replace(ada.user, second_factor=factor))
        self.remove(world, grace, ada.user.id)
        event = world.stored.events[-1]
        assert (event.type, event.data["changed"], event.actor) == ("user.updated", ["second_factor"], actor_of(grace))
        refused("unauthenticated", world.sessions.authorize, ada.access_token)
        assert not world.stored.authenticators
        world.login()

    def test_a_second_time_changes_nothing(self, world: World, grace: User, ada: GrantedTokens) -> None:
        before = len(world.stored.events)
        self.remove(world, grace, ada.user.id)
        assert len(world.stored.events) == before
        world.sessions.authorize(ada.access_token)

    def test_an_admin_can_not_remove_their_own(self, world: World, grace: User) -> None:
        world.put_user(replace(grace, second_factor="totp"))
        refused("forbidden", self.remove, world, grace, grace.id)
        assert world.stored.users[grace.id].second_factor == "totp"

    def test_an_unknown_user_is_not_found(self, world: World, grace: User) -> None:
        refused("not_found", self.remove, world, grace, "usr_x")

    def test_a_change_meanwhile_is_kept(self, world: World, grace: User, ada: GrantedTokens) -> None:
        world.put_user(replace(ada.user, second_factor="email"))
        renamed = replace(ada.user, second_factor="email", first_name="Augusta", sequence=2)
        world.before_write("user", lambda: world.put_user(renamed))
        self.remove(world, grace, ada.user.id)
        assert world.stored.users[ada.user.id].first_name == "Augusta"


class TestChange:
    def test_suspension_ends_sessions_and_publishes_an_event(
        self, world: World, grace: User, ada: GrantedTokens
    ) -> None:
        suspended = change(world, grace, ada.user, status="suspended")
        assert suspended == world.stored.users[ada.user.id]
        assert suspended.status == "suspended"
        refused("unauthenticated", world.sessions.authorize, ada.access_token)
        refused("invalid_refresh_token", world.sessions.refresh, ada.refresh_token, ANONYMOUS)
        refused("account_suspended", world.login)
        event = world.stored.events[-1]
        assert (event.type, event.data["status"], event.actor) == ("user.suspended", "suspended", actor_of(grace))
        assert event.data["changed"] == ["status"]

    def test_suspension_disables_api_keys(self, world: World, grace: User, ada: GrantedTokens) -> None:
        text = world.api_keys.create(ANONYMOUS, ada.user.id, "server", {"read"}).text
        change(world, grace, ada.user, status="suspended")
        refused("unauthenticated", world.api_keys.authorize, text)

    def test_reactivation_allows_logins_but_restores_no_session(
        self, world: World, grace: User, ada: GrantedTokens
    ) -> None:
        change(world, grace, ada.user, status="suspended")
        change(world, grace, ada.user, status="active")
        event = world.stored.events[-1]
        assert (event.type, event.data["changed"]) == ("user.updated", ["status"])
        refused("unauthenticated", world.sessions.authorize, ada.access_token)
        world.sessions.authorize(world.login().access_token)

    def test_a_new_role_ends_sessions_and_publishes_an_event(
        self, world: World, grace: User, ada: GrantedTokens
    ) -> None:
        assert change(world, grace, ada.user, role="arbiter").role == "arbiter"
        event = world.stored.events[-1]
        assert (event.type, event.data["role"], event.data["changed"]) == ("user.updated", "arbiter", ["role"])
        refused("unauthenticated", world.sessions.authorize, ada.access_token)
        assert world.sessions.authorize(world.login().access_token).role == "arbiter"

    def test_role_and_status_together_are_one_event(self, world: World, grace: User, ada: GrantedTokens) -> None:
        change(world, grace, ada.user, role="arbiter", status="suspended")
        event = world.stored.events[-1]
        assert (event.type, event.data["changed"]) == ("user.suspended", ["role", "status"])

    @pytest.mark.parametrize("changes", [{}, {"role": "customer"}, {"status": "active"}])
    def test_an_unchanged_role_or_status_changes_nothing(
        self, world: World, grace: User, ada: GrantedTokens, changes: dict[str, Any]
    ) -> None:
        before = list(world.stored.events)
        assert change(world, grace, ada.user, **changes) == ada.user
        assert world.stored.events == before
        world.sessions.authorize(ada.access_token)

    def test_suspending_again_changes_nothing(self, world: World, grace: User, ada: GrantedTokens) -> None:
        suspended = change(world, grace, ada.user, status="suspended")
        assert change(world, grace, ada.user, status="suspended") == suspended
        assert world.stored.event_types().count("user.suspended") == 1

    @pytest.mark.parametrize("changes", [{}, {"role": "customer"}, {"status": "suspended"}])
    def test_admins_can_not_change_themselves(self, world: World, grace: User, changes: dict[str, Any]) -> None:
        refused("forbidden", lambda: change(world, grace, grace, **changes))
        assert world.stored.users[grace.id] == grace

    def test_an_unknown_user_is_not_found(self, world: World, grace: User, ada: GrantedTokens) -> None:
        gone = replace(ada.user, id="usr_01K0000000000000000000000A")
        refused("not_found", lambda: change(world, grace, gone, role="arbiter"))

    def test_an_admin_must_be_demoted_before_suspension(self, world: World, grace: User) -> None:
        other = admin(world, "alan@example.com")
        refused("invalid_state", lambda: change(world, grace, other, status="suspended"))
        assert world.stored.users[other.id] == other
        change(world, grace, other, role="customer")
        assert change(world, grace, other, status="suspended").status == "suspended"

    def test_a_suspended_user_can_not_become_an_admin(self, world: World, grace: User, ada: GrantedTokens) -> None:
        change(world, grace, ada.user, status="suspended")
        refused("invalid_state", lambda: change(world, grace, ada.user, role="admin"))
        assert world.store.admin_count() == 1

    def test_admins_are_counted(self, world: World, grace: User, ada: GrantedTokens) -> None:
        change(world, grace, ada.user, role="admin")
        assert world.store.admin_count() == 2
        change(world, grace, ada.user, role="arbiter")
        assert world.store.admin_count() == 1
        change(world, grace, ada.user, role="customer")
        assert world.store.admin_count() == 1

    def test_of_two_admins_who_demote_each_other_one_stays(self, world: World, grace: User) -> None:
        other = admin(world, "alan@example.com")
        world.before_write("user", lambda: change(world, other, grace, role="customer"))
        refused("invalid_state", lambda: change(world, grace, other, role="customer"))
        assert (world.stored.users[grace.id].role, world.stored.users[other.id].role) == ("customer", "admin")
        assert world.store.admin_count() == 1

    def test_a_parallel_change_is_kept(self, world: World, grace: User, ada: GrantedTokens) -> None:
        world.before_write("user", lambda: world.verify(world.code(ada.user)))
        changed = change(world, grace, ada.user, role="arbiter")
        assert (changed.email_verified, changed.role) == (True, "arbiter")


class TestGrant:
    def test_the_first_admin_is_made_with_the_platform_as_actor(self, world: World, ada: GrantedTokens) -> None:
        world.verify(world.code(ada.user))
        assert world.administration.grant(GrantRole(EMAIL, "admin")) == GrantedRole("granted", ada.user.id)
        event = world.stored.events[-1]
        assert (event.type, event.data["role"], event.actor) == ("user.updated", "admin", SYSTEM)
        refused("unauthenticated", world.sessions.authorize, ada.access_token)
        assert world.sessions.authorize(world.login().access_token).role == "admin"

    def test_granting_again_changes_nothing(self, world: World, grace: User) -> None:
        before = list(world.stored.events)
        assert world.administration.grant(GrantRole(grace.email, "admin")) == GrantedRole("granted", grace.id)
        assert (world.store.admin_count(), world.stored.events) == (1, before)

    def test_the_email_must_be_verified(self, world: World, ada: GrantedTokens) -> None:
        assert world.administration.grant(GrantRole(EMAIL, "admin")) == GrantedRole("not_found")
        assert world.administration.grant(GrantRole("no@example.com", "admin")) == GrantedRole("not_found")
        assert (world.store.admin_count(), world.stored.users[ada.user.id].role) == (0, "customer")

    def test_the_last_admin_keeps_the_role(self, world: World, grace: User) -> None:
        assert world.administration.grant(GrantRole(grace.email, "customer")) == GrantedRole("last_admin", grace.id)
        admin(world, "alan@example.com")
        assert world.administration.grant(GrantRole(grace.email, "customer")) == GrantedRole("granted", grace.id)

    def test_a_suspended_user_gets_no_role(self, world: World, grace: User, ada: GrantedTokens) -> None:
        world.verify(world.code(ada.user))
        change(world, grace, ada.user, status="suspended")
        assert world.administration.grant(GrantRole(EMAIL, "arbiter")) == GrantedRole("suspended", ada.user.id)


class TestDelete:
    def test_everything_but_the_fact_of_the_deletion_is_removed(self, world: World, ada: GrantedTokens) -> None:
        text = world.api_keys.create(ANONYMOUS, ada.user.id, "server", {"read"}).text
        delete(world, ada.user, ada.user)
        assert world.stored.deleted_users == {ada.user.id: 3}
        kinds = ("email", "phone", "session", "device", "api key")
        assert not world.stored.users
        assert not any(list(world.stored.items(kind)) for kind in kinds)
        refused("unauthenticated", world.sessions.authorize, ada.access_token)
        refused("unauthenticated", world.api_keys.authorize, text)
        refused("invalid_refresh_token", world.sessions.refresh, ada.refresh_token, ANONYMOUS)
        refused("invalid_credentials", world.login)

    def test_the_event_has_no_personal_data(self, world: World, ada: GrantedTokens) -> None:
        delete(world, ada.user, ada.user)
        event = world.stored.events[-1]
        assert (event.type, event.subject, event.sequence, event.actor) == (
            "user.deleted",
            ada.user.id,
            2,
            actor_of(ada.user),
        )
        assert event.data == {"user_id": ada.user.id, "status": "deleted"}

    def test_accounts_are_closed_first_and_a_user_with_money_stays(self, world: World, ada: GrantedTokens) -> None:
        world.has_money = True
        refused("account_not_empty", delete, world, ada.user, ada.user)
        assert world.closings == [CloseAccounts(ada.user.id, actor_of(ada.user))]
        assert world.stored.users[ada.user.id] == ada.user
        world.sessions.authorize(ada.access_token)
        world.has_money = False
        delete(world, ada.user, ada.user)
        assert ada.user.id not in world.stored.users

    def test_an_admin_can_delete_and_repeat_it(self, world: World, grace: User, ada: GrantedTokens) -> None:
        for _ in range(2):
            delete(world, grace, ada.user)
        assert world.stored.event_types().count("user.deleted") == 1
        assert len(world.closings) == 1

    def test_repeating_it_finishes_a_deletion_that_crashed(self, world: World, grace: User, ada: GrantedTokens) -> None:
        def die() -> None:
            raise ConnectionError

        world.before_write("session", die)
        with pytest.raises(ConnectionError):
            delete(world, grace, ada.user)
        refused("unauthenticated", world.sessions.authorize, ada.access_token)
        assert world.stored.sessions
        delete(world, grace, ada.user)
        assert not world.stored.sessions

    def test_other_users_are_not_found(self, world: World, grace: User, ada: GrantedTokens) -> None:
        refused("not_found", delete, world, ada.user, grace)
        refused("not_found", delete, world, grace, replace(ada.user, id="usr_01K0000000000000000000000A"))
        assert not world.closings

    def test_the_last_admin_can_not_be_deleted_and_keeps_the_accounts(self, world: World, grace: User) -> None:
        refused("invalid_state", delete, world, grace, grace)
        assert not world.closings
        other = admin(world, "alan@example.com")
        delete(world, grace, grace)
        assert world.store.admin_count() == 1
        refused("invalid_state", delete, world, other, other)

    def test_of_two_admins_deleted_in_parallel_one_stays(self, world: World, grace: User) -> None:
        other = admin(world, "alan@example.com")
        world.before_write("user", lambda: delete(world, other, other))
        refused("invalid_state", delete, world, grace, grace)
        assert list(world.stored.users) == [grace.id]

    def test_a_parallel_change_is_deleted_too(self, world: World, ada: GrantedTokens) -> None:
        world.before_write("user", lambda: world.verify(world.code(ada.user)))
        delete(world, ada.user, ada.user)
        assert world.stored.deleted_users == {ada.user.id: 3}

    def test_a_parallel_login_leaves_no_session(self, world: World, ada: GrantedTokens) -> None:
        world.before_write("session", lambda: delete(world, ada.user, ada.user))
        refused("invalid_credentials", world.login)
        assert not world.stored.sessions

    def test_the_address_is_free_again(self, world: World, ada: GrantedTokens) -> None:
        delete(world, ada.user, ada.user)
        again = world.register(phone=PHONE)
        assert again.id != ada.user.id
        assert world.login(PASSWORD).user == again
