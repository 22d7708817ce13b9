from dataclasses import replace

import pytest

from functions.auth.domain import Stale
from functions.auth.domain.users import User
from functions.auth.service.sessions import Grant
from tests.unit.auth.fakes import STRANGER
from tests.unit.auth.room import EMAIL, PASSWORD, Room, refused

NEW = "difference engine"
WRONG = "999999"


@pytest.fixture
def ada(room: Room) -> User:
    return room.verified()


def session_of(room: Room, grant: Grant) -> str:
    return room.tokens.verify(grant.access_token).session_id


class TestChange:
    def change(self, room: Room, grant: Grant, current: str = PASSWORD, new: str = NEW) -> None:
        actor = replace(STRANGER, user_id=grant.user.id, session_id=session_of(room, grant))
        room.password_changes.change(actor, grant.user.id, session_of(room, grant), current, new)

    def test_the_new_password_is_good_and_the_old_one_is_not(self, room: Room, ada: User) -> None:
        self.change(room, room.login())
        refused("invalid_credentials", room.login, PASSWORD)
        room.login(NEW)

    def test_it_is_told(self, room: Room, ada: User) -> None:
        grant = room.login()
        self.change(room, grant)
        event = room.store.events[-1]
        assert (event.type, event.subject) == ("user.password_changed", ada.id)
        assert event.sequence == ada.sequence + 1
        assert (event.actor.ip, event.actor.session_id) == (STRANGER.ip, session_of(room, grant))
        assert "engine" not in str(event)

    def test_it_ends_every_other_session(self, room: Room, ada: User) -> None:
        mine, other = room.login(), room.login()
        self.change(room, mine)
        room.sessions.authorize(mine.access_token)
        room.sessions.refresh(mine.refresh_token, STRANGER)
        refused("unauthenticated", room.sessions.authorize, other.access_token)
        refused("invalid_refresh_token", room.sessions.refresh, other.refresh_token, STRANGER)

    def test_a_wrong_current_password_counts_as_a_failed_login(self, room: Room, ada: User) -> None:
        grant = room.login()
        for _ in range(5):
            refused("invalid_credentials", self.change, room, grant, "wrong words")
        assert room.store.types().count("user.login_failed") == 5
        refused("rate_limited", self.change, room, grant)
        refused("rate_limited", room.login)
        room.clock.advance(seconds=30)
        self.change(room, grant)

    def test_a_right_guess_behind_five_wrong_ones_waits(self, room: Room, ada: User) -> None:
        grant = room.login()
        room.store.before(
            "change_password",
            lambda: [refused("invalid_credentials", self.change, room, grant, "wrong words") for _ in range(5)],
        )
        refused("rate_limited", self.change, room, grant)
        assert room.store.users[ada.id] == ada

    def test_a_right_guess_behind_five_wrong_ones_is_not_told_by_a_weak_new_one(self, room: Room, ada: User) -> None:
        grant = room.login()

        def others() -> None:
            room.passwords.meanwhile = lambda: None
            for _ in range(5):
                refused("invalid_credentials", self.change, room, grant, "wrong words")

        room.passwords.meanwhile = others
        refused("rate_limited", self.change, room, grant, PASSWORD, "short")

    @pytest.mark.parametrize("new", ["short", "password1", "Lovelace-1815", EMAIL, "Remit 2026"])
    def test_the_new_one_is_held_to_the_rules(self, room: Room, ada: User, new: str) -> None:
        refused("weak_password", self.change, room, room.login(), PASSWORD, new)
        assert room.store.users[ada.id] == ada

    def test_another_password_meanwhile_wins(self, room: Room, ada: User) -> None:
        grant, other = room.login(), room.login()
        room.store.before("change_password", lambda: self.change(room, other, new="some other words"))
        refused("invalid_credentials", self.change, room, grant)
        room.login("some other words")

    def test_another_change_meanwhile_stays(self, room: Room, ada: User) -> None:
        grant = room.login()
        renamed = replace(ada, first_name="Augusta", sequence=ada.sequence + 1)
        room.store.before("change_password", lambda: room.store.users.update({ada.id: renamed}))
        self.change(room, grant)
        assert room.store.users[ada.id].first_name == "Augusta"

    def test_a_session_that_ends_meanwhile_changes_nothing(self, room: Room, ada: User) -> None:
        grant = room.login()
        room.store.before("change_password", lambda: room.sessions.logout([grant.refresh_token], None))
        refused("unauthenticated", self.change, room, grant)
        refused("unauthenticated", room.password_changes.change, STRANGER, ada.id, "ses_x", PASSWORD, NEW)
        room.login()

    def test_who_is_gone_changes_nothing(self, room: Room, ada: User) -> None:
        grant = room.login()
        room.store.users.clear()
        refused("unauthenticated", self.change, room, grant)


class TestReset:
    def forgot(self, room: Room, email: str = EMAIL) -> None:
        room.password_changes.forgot(STRANGER, email)

    def reset(self, room: Room, code: str, new: str = NEW, email: str = EMAIL) -> None:
        room.password_changes.reset(STRANGER, email, code, new)

    def test_a_mailed_code_sets_another_password(self, room: Room, ada: User) -> None:
        self.forgot(room)
        self.reset(room, room.code(ada, "reset_password"))
        refused("invalid_credentials", room.login, PASSWORD)
        room.login(NEW)

    def test_both_are_told(self, room: Room, ada: User) -> None:
        self.forgot(room)
        asked = room.store.events[-1]
        assert (asked.type, asked.data["purpose"], asked.actor) == ("code.requested", "reset_password", STRANGER)
        self.reset(room, room.code(ada, "reset_password"))
        changed = room.store.events[-1]
        assert (changed.type, changed.subject, changed.actor) == ("user.password_changed", ada.id, STRANGER)

    def test_it_ends_every_session(self, room: Room, ada: User) -> None:
        grants = [room.login(), room.login()]
        self.forgot(room)
        self.reset(room, room.code(ada, "reset_password"))
        for grant in grants:
            refused("unauthenticated", room.sessions.authorize, grant.access_token)
            refused("invalid_refresh_token", room.sessions.refresh, grant.refresh_token, STRANGER)

    def test_a_code_is_good_once(self, room: Room, ada: User) -> None:
        self.forgot(room)
        code = room.code(ada, "reset_password")
        self.reset(room, code)
        refused("invalid_code", self.reset, room, code, "some other words")
        room.login(NEW)

    def test_two_with_the_right_code_at_once_reset_once(self, room: Room, ada: User) -> None:
        self.forgot(room)
        code = room.code(ada, "reset_password")
        room.store.before("revise", lambda: self.reset(room, code, "some other words"))
        refused("invalid_code", self.reset, room, code)
        room.login("some other words")

    def test_what_is_found_stale_is_digested_once(self, room: Room, ada: User) -> None:
        def stale() -> None:
            raise Stale

        self.forgot(room)
        code = room.code(ada, "reset_password")
        room.store.before("revise", stale, stale)
        self.reset(room, code)
        room.login(NEW)

    @pytest.mark.parametrize("known", [True, False])
    def test_forgot_always_looks_the_same_and_mails_once_a_minute(self, room: Room, known: bool) -> None:
        if known:
            room.register()
        before = len(room.store.events)
        for _ in range(3):
            self.forgot(room)
        assert len(room.store.events) - before == int(known)
        room.clock.advance(minutes=1)
        self.forgot(room)
        assert len(room.store.events) - before == 2 * known

    def test_a_fault_is_no_answer(self, room: Room, ada: User) -> None:
        def stale() -> None:
            raise Stale

        room.store.before("ask", *[stale] * 100)
        refused("unavailable", self.forgot, room)

    def test_an_unknown_address_and_a_wrong_code_look_the_same(self, room: Room, ada: User) -> None:
        self.forgot(room)
        refused("invalid_code", self.reset, room, WRONG)
        refused("invalid_code", self.reset, room, WRONG, NEW, "nobody@example.com")

    @pytest.mark.parametrize("new", ["short", "password1"])
    def test_what_is_weak_for_anybody_costs_no_try(self, room: Room, ada: User, new: str) -> None:
        self.forgot(room)
        code = room.code(ada, "reset_password")
        for _ in range(6):
            refused("weak_password", self.reset, room, WRONG, new)
        self.reset(room, code)

    def test_what_is_weak_for_the_user_is_told_to_who_has_the_code_alone(self, room: Room, ada: User) -> None:
        self.forgot(room)
        code = room.code(ada, "reset_password")
        refused("invalid_code", self.reset, room, WRONG, "Ada Lovelace")
        for _ in range(6):
            refused("weak_password", self.reset, room, code, "Ada Lovelace")
        self.reset(room, code)

    def test_the_wait_for_failed_logins_does_not_hold_it_up(self, room: Room, ada: User) -> None:
        for _ in range(5):
            refused("invalid_credentials", room.login, "wrong words")
        self.forgot(room)
        self.reset(room, room.code(ada, "reset_password"))

    def test_the_second_factor_stays(self, room: Room, ada: User) -> None:
        room.store.users[ada.id] = replace(ada, second_factor="email")
        self.forgot(room)
        self.reset(room, room.code(ada, "reset_password"))
        assert room.begin(NEW).methods == ("email",)
