"""Proving again in a session who one is. test_authenticators.py has what apps and recovery codes accept."""

import pytest

from functions.auth.domain.sessions import Claims, GrantedTokens
from functions.auth.domain.users import User
from tests.unit.auth.test_authenticators import App
from tests.unit.auth.world import ANONYMOUS, EMAIL, PASSWORD, World, refused, repeat

WRONG = "999999"


@pytest.fixture
def ada(world: World) -> User:
    return world.verified()


def reauthenticate(
    world: World, granted: GrantedTokens, code: str | None = None, password: str = PASSWORD
) -> GrantedTokens | None:
    session_id = granted.refresh_token.split(".")[1]
    return world.reauthentication.reauthenticate(ANONYMOUS, granted.user.id, session_id, password, code)


def done(world: World, granted: GrantedTokens, code: str | None = None) -> GrantedTokens:
    fresh = reauthenticate(world, granted, code)
    assert fresh is not None
    return fresh


def claims(world: World, granted: GrantedTokens) -> Claims:
    return world.sessions.authorize(granted.access_token)


def now(world: World) -> int:
    return int(world.clock().timestamp())


def with_mail(world: World, user: User) -> GrantedTokens:
    """Return a session of the user, whose second factor is mail."""
    granted = world.login()
    world.profile.change(ANONYMOUS, user.id, second_factor="email")
    world.clock.advance(minutes=10)
    return granted


@pytest.fixture
def app(world: World, ada: User) -> App:
    app = App(world, world.authenticators.enrol(ada.id))
    world.confirm_app(ada, app.code())
    world.clock.advance(seconds=30)
    return app


def with_app(world: World, app: App) -> GrantedTokens:
    granted = world.finish(world.begin(), app.code())
    world.clock.advance(minutes=10)
    return granted


class TestByPassword:
    def test_gives_a_fresh_auth_time_in_the_same_session(self, world: World, ada: User) -> None:
        granted = world.login()
        world.clock.advance(minutes=10)
        fresh = done(world, granted)
        assert claims(world, fresh).auth_time == now(world)
        assert claims(world, fresh).session_id == claims(world, granted).session_id
        assert len(world.stored.sessions) == 1

    def test_the_new_refresh_token_keeps_the_auth_time_and_older_ones_are_void(self, world: World, ada: User) -> None:
        granted = world.login()
        fresh = done(world, granted)
        at = now(world)
        world.clock.advance(minutes=10)
        refused("invalid_refresh_token", world.sessions.refresh, granted.refresh_token, ANONYMOUS)
        following = world.sessions.refresh(fresh.refresh_token, ANONYMOUS)
        assert claims(world, following).auth_time == at

    def test_does_not_make_the_session_longer(self, world: World, ada: User) -> None:
        granted = world.login()
        for _ in range(3):
            world.clock.advance(days=29)
            granted = done(world, granted)
        world.clock.advance(days=3)
        refused("unauthenticated", reauthenticate, world, granted)

    def test_a_wrong_password_counts_as_a_failed_login(self, world: World, ada: User) -> None:
        granted = world.login()
        for _ in range(5):
            world.clock.advance(milliseconds=1)
            refused("invalid_credentials", reauthenticate, world, granted, None, "wrong words")
        assert world.stored.event_types().count("user.login_failed") == 5
        refused("rate_limited", reauthenticate, world, granted)
        refused("rate_limited", world.login)

    def test_a_correct_password_after_five_parallel_failures_waits(self, world: World, ada: User) -> None:
        granted = world.login()
        guess = repeat(5, "invalid_credentials", reauthenticate, world, granted, None, "wrong words")
        world.before_write("session", guess)
        refused("rate_limited", reauthenticate, world, granted)

    def test_a_success_resets_the_count(self, world: World, ada: User) -> None:
        granted = world.login()
        for _ in range(2):
            repeat(4, "invalid_credentials", reauthenticate, world, granted, None, "wrong words")()
            granted = done(world, granted)

    @pytest.mark.parametrize("ending", ["logout", "generation", "unknown"])
    def test_a_session_that_has_ended_or_ends_meanwhile_is_refused(self, world: World, ada: User, ending: str) -> None:
        granted = world.login()

        def end() -> None:
            if ending == "logout":
                world.sessions.logout([granted.refresh_token], None)
            elif ending == "unknown":
                world.remove("session")
            else:
                world.administration.change(ANONYMOUS, ada.id, "arbiter", None)

        world.before_write("session", end)
        for _ in range(2):
            refused("unauthenticated", reauthenticate, world, granted)

    def test_a_session_of_another_user_is_refused(self, world: World, ada: User) -> None:
        world.verified("eve@example.com")
        theirs = world.login(email="eve@example.com")
        session_id = theirs.refresh_token.split(".")[1]
        refused(
            "unauthenticated",
            world.reauthentication.reauthenticate,
            ANONYMOUS,
            ada.id,
            session_id,
            PASSWORD,
            None,
        )

    def test_the_loser_of_two_in_parallel_starts_again(self, world: World, ada: User) -> None:
        granted = world.login()
        won: list[GrantedTokens] = []
        world.before_write("session", lambda: won.append(done(world, granted)))
        last = done(world, granted)
        refused("invalid_refresh_token", world.sessions.refresh, won[0].refresh_token, ANONYMOUS)
        world.sessions.refresh(last.refresh_token, ANONYMOUS)


class TestByMail:
    def test_without_a_code_one_is_mailed_and_completes_it(self, world: World, ada: User) -> None:
        granted = with_mail(world, ada)
        assert reauthenticate(world, granted) is None
        event = world.stored.events[-1]
        assert (event.type, event.data["purpose"]) == ("code.requested", "login")
        assert claims(world, done(world, granted, world.code(ada, "login"))).auth_time == now(world)

    def test_the_password_alone_gives_no_token(self, world: World, ada: User) -> None:
        granted = with_mail(world, ada)
        before = dict(world.stored.sessions)
        reauthenticate(world, granted)
        assert world.stored.sessions == before

    def test_a_code_is_mailed_once_a_minute(self, world: World, ada: User) -> None:
        granted = with_mail(world, ada)
        for _ in range(3):
            reauthenticate(world, granted)
        assert world.stored.event_types().count("code.requested") == 2  # the first verified the address

    def test_a_code_is_used_once(self, world: World, ada: User) -> None:
        granted = with_mail(world, ada)
        reauthenticate(world, granted)
        code = world.code(ada, "login")
        fresh = done(world, granted, code)
        refused("invalid_code", reauthenticate, world, fresh, code)

    def test_a_code_expires(self, world: World, ada: User) -> None:
        granted = with_mail(world, ada)
        reauthenticate(world, granted)
        code = world.code(ada, "login")
        world.clock.advance(minutes=10)
        refused("code_expired", reauthenticate, world, granted, code)

    def test_five_wrong_codes_void_it_and_ten_end_the_day(self, world: World, ada: User) -> None:
        granted = with_mail(world, ada)
        for _ in range(2):
            reauthenticate(world, granted)
            code = world.code(ada, "login")
            repeat(5, "invalid_code", reauthenticate, world, granted, WRONG)()
            refused("invalid_code", reauthenticate, world, granted, code)
            world.clock.advance(minutes=1)
        refused("invalid_code", world.finish, world.begin(), WRONG)
        mailed = world.stored.event_types().count("code.requested")
        reauthenticate(world, granted)
        assert world.stored.event_types().count("code.requested") == mailed

    def test_a_code_from_before_a_password_change_is_void(self, world: World, ada: User) -> None:
        granted = with_mail(world, ada)
        reauthenticate(world, granted)
        code = world.code(ada, "login")
        session_id = granted.refresh_token.split(".")[1]
        world.passwords.change(ANONYMOUS, ada.id, session_id, PASSWORD, "difference engine")
        refused("invalid_code", reauthenticate, world, granted, code, "difference engine")

    def test_a_code_is_required_to_have_been_requested(self, world: World, ada: User) -> None:
        granted = with_mail(world, ada)
        refused("invalid_code", reauthenticate, world, granted, WRONG)


class TestByApp:
    def test_a_code_of_the_app_completes_it_once(self, world: World, ada: User, app: App) -> None:
        granted = with_app(world, app)
        fresh = done(world, granted, app.code())
        assert claims(world, fresh).auth_time == now(world)
        refused("invalid_code", reauthenticate, world, fresh, app.code())

    def test_a_recovery_code_completes_it_once(self, world: World, ada: User, app: App) -> None:
        fresh = done(world, with_app(world, app), app.recovery_codes[0])
        refused("invalid_code", reauthenticate, world, fresh, app.recovery_codes[0])

    def test_without_a_code_one_is_mailed(self, world: World, ada: User, app: App) -> None:
        granted = with_app(world, app)
        assert reauthenticate(world, granted) is None
        code = world.code(ada, "login")
        refused("invalid_credentials", world.second_factor.verify, world.challenge_id(ada, "login"), code, ANONYMOUS)
        done(world, granted, code)

    def test_wrong_codes_count_with_those_of_logins(self, world: World, ada: User, app: App) -> None:
        granted = with_app(world, app)
        for _ in range(10):
            world.clock.advance(milliseconds=1)
            refused("invalid_code", reauthenticate, world, granted, app.wrong)
        assert world.stored.event_types().count("user.login_failed") == 10
        refused("invalid_code", reauthenticate, world, granted, app.code())
        refused("invalid_code", world.finish, world.begin(), app.code())

    def test_two_in_parallel_use_a_code_once(self, world: World, ada: User, app: App) -> None:
        granted = with_app(world, app)
        code = app.code()
        world.before_write("session", lambda: done(world, granted, code))
        refused("invalid_code", reauthenticate, world, granted, code)

    def test_a_code_without_the_password_does_nothing(self, world: World, ada: User, app: App) -> None:
        granted = with_app(world, app)
        refused("invalid_credentials", reauthenticate, world, granted, app.code(), "wrong words")
        done(world, granted, app.code())


def test_an_unknown_user_is_refused(world: World) -> None:
    refused(
        "unauthenticated",
        world.reauthentication.reauthenticate,
        ANONYMOUS,
        "usr_x",
        "ses_x",
        PASSWORD,
        None,
    )
    assert world.store.user_by_email(EMAIL) is None
