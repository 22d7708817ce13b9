from dataclasses import replace

import pytest
from common.errors import Contended

from functions.auth.domain.sessions import GrantedTokens
from functions.auth.domain.users import User
from tests.unit.auth.world import ANONYMOUS, EMAIL, PASSWORD, World, conflict, refused, repeat

NEW = "difference engine"
WRONG = "999999"


@pytest.fixture
def ada(world: World) -> User:
    return world.verified()


def session_of(world: World, granted: GrantedTokens) -> str:
    return world.tokens.verify(granted.access_token).session_id


class TestChange:
    def change(self, world: World, granted: GrantedTokens, current: str = PASSWORD, new: str = NEW) -> None:
        actor = replace(ANONYMOUS, user_id=granted.user.id, session_id=session_of(world, granted))
        world.passwords.change(actor, granted.user.id, session_of(world, granted), current, new)

    def test_the_new_password_works_and_the_old_one_does_not(self, world: World, ada: User) -> None:
        self.change(world, world.login())
        refused("invalid_credentials", world.login, PASSWORD)
        world.login(NEW)

    def test_it_publishes_an_event(self, world: World, ada: User) -> None:
        granted = world.login()
        self.change(world, granted)
        event = world.stored.events[-1]
        assert (event.type, event.subject) == ("user.password_changed", ada.id)
        assert event.sequence == ada.sequence + 1
        assert (event.actor.ip, event.actor.session_id) == (ANONYMOUS.ip, session_of(world, granted))
        assert "engine" not in str(event)

    def test_it_ends_every_other_session(self, world: World, ada: User) -> None:
        mine, other = world.login(), world.login()
        self.change(world, mine)
        world.sessions.authorize(mine.access_token)
        world.sessions.refresh(mine.refresh_token, ANONYMOUS)
        refused("unauthenticated", world.sessions.authorize, other.access_token)
        refused("invalid_refresh_token", world.sessions.refresh, other.refresh_token, ANONYMOUS)

    def test_a_wrong_current_password_counts_as_a_failed_login(self, world: World, ada: User) -> None:
        granted = world.login()
        for _ in range(5):
            # Failures of one millisecond have the same event id.
            world.clock.advance(milliseconds=1)
            refused("invalid_credentials", self.change, world, granted, "wrong words")
        assert world.stored.event_types().count("user.login_failed") == 5
        refused("rate_limited", self.change, world, granted)
        refused("rate_limited", world.login)
        world.clock.advance(seconds=30)
        self.change(world, granted)

    def test_a_correct_password_after_five_parallel_failures_waits(self, world: World, ada: User) -> None:
        granted = world.login()
        world.before_write(
            "user",
            repeat(5, "invalid_credentials", self.change, world, granted, "wrong words"),
        )
        refused("rate_limited", self.change, world, granted)
        assert world.stored.users[ada.id] == ada

    def test_a_weak_new_password_does_not_reveal_a_correct_guess_that_must_wait(self, world: World, ada: User) -> None:
        granted = world.login()

        def others() -> None:
            world.hasher.meanwhile = lambda: None
            for _ in range(5):
                refused("invalid_credentials", self.change, world, granted, "wrong words")

        world.hasher.meanwhile = others
        refused("rate_limited", self.change, world, granted, PASSWORD, "short")

    @pytest.mark.parametrize("new", ["short", "password1", "Lovelace-1815", EMAIL, "Remit 2026"])
    def test_the_new_password_must_be_strong(self, world: World, ada: User, new: str) -> None:
        refused("weak_password", self.change, world, world.login(), PASSWORD, new)
        assert world.stored.users[ada.id] == ada

    def test_a_parallel_password_change_wins(self, world: World, ada: User) -> None:
        granted, other = world.login(), world.login()
        world.before_write("user", lambda: self.change(world, other, new="some other words"))
        refused("invalid_credentials", self.change, world, granted)
        world.login("some other words")

    def test_a_parallel_change_of_the_user_is_kept(self, world: World, ada: User) -> None:
        granted = world.login()
        renamed = replace(ada, first_name="Augusta", sequence=ada.sequence + 1)
        world.before_write("user", lambda: world.put_user(renamed))
        self.change(world, granted)
        assert world.stored.users[ada.id].first_name == "Augusta"

    def test_a_session_that_ends_meanwhile_changes_nothing(self, world: World, ada: User) -> None:
        granted = world.login()
        world.before_write("user", lambda: world.sessions.logout([granted.refresh_token], None))
        refused("unauthenticated", self.change, world, granted)
        refused("unauthenticated", world.passwords.change, ANONYMOUS, ada.id, "ses_x", PASSWORD, NEW)
        world.login()

    def test_a_deleted_user_changes_nothing(self, world: World, ada: User) -> None:
        granted = world.login()
        world.remove("user")
        refused("unauthenticated", self.change, world, granted)


class TestReset:
    def forgot(self, world: World, email: str = EMAIL) -> None:
        world.passwords.forgot(ANONYMOUS, email)

    def reset(self, world: World, code: str, new: str = NEW, email: str = EMAIL) -> None:
        world.passwords.reset(ANONYMOUS, email, code, new)

    def test_a_mailed_code_sets_a_new_password(self, world: World, ada: User) -> None:
        self.forgot(world)
        self.reset(world, world.code(ada, "reset_password"))
        refused("invalid_credentials", world.login, PASSWORD)
        world.login(NEW)

    def test_request_and_reset_publish_events(self, world: World, ada: User) -> None:
        self.forgot(world)
        asked = world.stored.events[-1]
        assert (asked.type, asked.data["purpose"], asked.actor) == ("code.requested", "reset_password", ANONYMOUS)
        self.reset(world, world.code(ada, "reset_password"))
        changed = world.stored.events[-1]
        assert (changed.type, changed.subject, changed.actor) == ("user.password_changed", ada.id, ANONYMOUS)

    def test_it_ends_every_session(self, world: World, ada: User) -> None:
        grants = [world.login(), world.login()]
        self.forgot(world)
        self.reset(world, world.code(ada, "reset_password"))
        for granted in grants:
            refused("unauthenticated", world.sessions.authorize, granted.access_token)
            refused("invalid_refresh_token", world.sessions.refresh, granted.refresh_token, ANONYMOUS)

    def test_a_code_is_accepted_once(self, world: World, ada: User) -> None:
        self.forgot(world)
        code = world.code(ada, "reset_password")
        self.reset(world, code)
        refused("invalid_code", self.reset, world, code, "some other words")
        world.login(NEW)

    def test_two_parallel_resets_with_one_code_reset_once(self, world: World, ada: User) -> None:
        self.forgot(world)
        code = world.code(ada, "reset_password")
        world.before_write("user", lambda: self.reset(world, code, "some other words"))
        refused("invalid_code", self.reset, world, code)
        world.login("some other words")

    def test_retries_hash_the_password_once(self, world: World, ada: User) -> None:
        self.forgot(world)
        code = world.code(ada, "reset_password")
        world.before_write("user", conflict, conflict)
        self.reset(world, code)
        world.login(NEW)

    @pytest.mark.parametrize("known", [True, False])
    def test_forgot_always_looks_the_same_and_mails_once_a_minute(self, world: World, known: bool) -> None:
        if known:
            world.register()
        before = len(world.stored.events)
        for _ in range(3):
            self.forgot(world)
        assert len(world.stored.events) - before == int(known)
        world.clock.advance(minutes=1)
        self.forgot(world)
        assert len(world.stored.events) - before == 2 * known

    def test_repeated_conflicts_are_a_fault(self, world: World, ada: User) -> None:
        world.before_write("code request", *[conflict] * 16)
        with pytest.raises(Contended):
            self.forgot(world)

    def test_an_unknown_address_and_a_wrong_code_look_the_same(self, world: World, ada: User) -> None:
        self.forgot(world)
        refused("invalid_code", self.reset, world, WRONG)
        refused("invalid_code", self.reset, world, WRONG, NEW, "nobody@example.com")

    @pytest.mark.parametrize("new", ["short", "password1"])
    def test_a_common_password_costs_no_try(self, world: World, ada: User, new: str) -> None:
        self.forgot(world)
        code = world.code(ada, "reset_password")
        for _ in range(6):
            refused("weak_password", self.reset, world, WRONG, new)
        self.reset(world, code)

    def test_a_personal_password_is_refused_only_with_a_correct_code(self, world: World, ada: User) -> None:
        self.forgot(world)
        code = world.code(ada, "reset_password")
        refused("invalid_code", self.reset, world, WRONG, "Ada Lovelace")
        for _ in range(6):
            refused("weak_password", self.reset, world, code, "Ada Lovelace")
        self.reset(world, code)

    def test_a_wait_for_failed_logins_does_not_block_it(self, world: World, ada: User) -> None:
        for _ in range(5):
            refused("invalid_credentials", world.login, "wrong words")
        self.forgot(world)
        self.reset(world, world.code(ada, "reset_password"))

    def test_the_second_factor_stays(self, world: World, ada: User) -> None:
        world.put_user(replace(ada, second_factor="email"))
        self.forgot(world)
        self.reset(world, world.code(ada, "reset_password"))
        assert world.begin(NEW).methods == ("email",)
