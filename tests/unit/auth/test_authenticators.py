"""Authenticator apps, with codes by pyotp (RFC 6238) at the time of the fake clock."""

import re
from dataclasses import replace
from typing import Any

import pyotp
import pytest
from common.contracts.auth import MintCode

from functions.auth.domain.authenticators import TotpEnrolment, canonical, is_totp, step_of
from functions.auth.domain.users import User
from tests.support.clock import FakeClock
from tests.unit.auth.world import ANONYMOUS, EMAIL, PASSWORD, World, refused, repeat


class App:
    """An authenticator app that has read a QR code."""

    def __init__(self, world: World, enrolment: TotpEnrolment) -> None:
        self._world = world
        totp = pyotp.parse_uri(enrolment.otpauth_uri)
        assert isinstance(totp, pyotp.TOTP)
        self._totp = totp
        self.recovery_codes = enrolment.recovery_codes

    def code(self, steps: int = 0) -> str:
        return self._totp.at(self._world.clock(), counter_offset=steps)

    @property
    def wrong(self) -> str:
        near = {self.code(steps) for steps in range(-2, 3)}
        return next(code for code in map("{:06}".format, range(9)) if code not in near)


@pytest.fixture
def ada(world: World) -> User:
    return world.verified()


@pytest.fixture
def app(world: World, ada: User) -> App:
    """Ada's app, confirmed one time step ago."""
    app = App(world, world.authenticators.enrol(ada.id))
    world.confirm_app(ada, app.code())
    world.clock.advance(seconds=30)
    return app


def second_factor(world: World, user: User) -> str:
    return world.stored.users[user.id].second_factor


def disable(world: World, user: User, code: str, password: str = PASSWORD) -> None:
    world.authenticators.disable(ANONYMOUS, user.id, password, code)


class TestEnrolment:
    def test_shows_secret_uri_and_ten_recovery_codes(self, world: World, ada: User) -> None:
        enrolment = world.authenticators.enrol(ada.id)
        totp = pyotp.parse_uri(enrolment.otpauth_uri)
        assert (totp.secret, totp.name, totp.issuer) == (enrolment.secret, EMAIL, "Remit")
        assert len(set(enrolment.recovery_codes)) == 10
        assert second_factor(world, ada) == "none"

    def test_secret_and_recovery_codes_appear_nowhere_else(self, world: World, ada: User) -> None:
        enrolment = world.authenticators.enrol(ada.id)
        kept = world.stored.authenticators[ada.id]
        shown = repr((enrolment, kept))
        assert not any(code in shown or canonical(code) in shown for code in enrolment.recovery_codes)
        assert enrolment.secret not in shown
        assert not any(code in str(kept.recovery_codes) for code in enrolment.recovery_codes)
        assert all(re.fullmatch("1:[0-9a-f]{64}", digest) for digest in kept.recovery_codes)

    def test_a_code_confirms_it_and_an_event_is_published(self, world: World, ada: User) -> None:
        app = App(world, world.authenticators.enrol(ada.id))
        world.confirm_app(ada, app.code())
        assert second_factor(world, ada) == "totp"
        event = world.stored.events[-1]
        assert (event.type, event.data["changed"], event.actor) == ("user.updated", ["second_factor"], ANONYMOUS)

    def test_confirming_ends_every_session_but_the_callers(self, world: World, ada: User) -> None:
        mine, other = world.login(), world.login()
        app = App(world, world.authenticators.enrol(ada.id))
        session_id = world.tokens.verify(mine.access_token).session_id
        world.authenticators.confirm(ANONYMOUS, ada.id, session_id, app.code())
        world.sessions.authorize(world.sessions.refresh(mine.refresh_token, ANONYMOUS).access_token)
        refused("unauthenticated", world.sessions.authorize, other.access_token)
        refused("invalid_refresh_token", world.sessions.refresh, other.refresh_token, ANONYMOUS)

    def test_a_session_that_has_ended_or_ends_meanwhile_confirms_nothing(self, world: World, ada: User) -> None:
        granted = world.login()
        app = App(world, world.authenticators.enrol(ada.id))
        session_id = world.tokens.verify(granted.access_token).session_id
        world.before_write("authenticator", lambda: world.sessions.logout([granted.refresh_token], None))
        for _ in range(2):
            refused("unauthenticated", world.authenticators.confirm, ANONYMOUS, ada.id, session_id, app.code())
        assert second_factor(world, ada) == "none"

    def test_a_wrong_code_confirms_nothing(self, world: World, ada: User) -> None:
        app = App(world, world.authenticators.enrol(ada.id))
        refused("invalid_code", world.confirm_app, ada, app.wrong)
        assert second_factor(world, ada) == "none"

    def test_enrolling_again_replaces_an_unconfirmed_secret(self, world: World, ada: User) -> None:
        first = App(world, world.authenticators.enrol(ada.id))
        second = App(world, world.authenticators.enrol(ada.id))
        refused("invalid_code", world.confirm_app, ada, first.code())
        world.confirm_app(ada, second.code())

    def test_a_confirmed_app_must_be_disabled_first(self, world: World, ada: User, app: App) -> None:
        refused("invalid_state", world.authenticators.enrol, ada.id)
        refused("invalid_state", world.confirm_app, ada, app.code())

    def test_an_app_that_is_confirmed_meanwhile_stays(self, world: World, ada: User) -> None:
        app = App(world, world.authenticators.enrol(ada.id))
        code = app.code()
        world.before_write("authenticator", lambda: world.confirm_app(ada, code))
        refused("invalid_state", world.authenticators.enrol, ada.id)
        assert second_factor(world, ada) == "totp"

    def test_a_secret_that_is_replaced_meanwhile_is_not_confirmed(self, world: World, ada: User) -> None:
        app = App(world, world.authenticators.enrol(ada.id))
        world.before_write("authenticator", lambda: world.authenticators.enrol(ada.id))
        refused("invalid_code", world.confirm_app, ada, app.code())
        assert second_factor(world, ada) == "none"

    def test_an_enrolled_app_is_required_to_confirm(self, world: World, ada: User) -> None:
        refused("invalid_state", world.confirm_app, ada, "000000")

    def test_a_deleted_user_is_refused(self, world: World) -> None:
        refused("unauthenticated", world.authenticators.enrol, "usr_x")
        refused("unauthenticated", world.authenticators.confirm, ANONYMOUS, "usr_x", "ses_x", "000000")

    def test_an_app_replaces_mailed_codes(self, world: World, ada: User) -> None:
        world.put_user(replace(ada, second_factor="email"))
        app = App(world, world.authenticators.enrol(ada.id))
        world.confirm_app(ada, app.code())
        assert world.begin().methods == ("totp", "recovery")


class TestLogin:
    def test_a_code_of_the_app_completes_it_and_nothing_is_mailed(self, world: World, app: App) -> None:
        before = len(world.stored.events)
        challenged = world.begin()
        assert challenged.methods == ("totp", "recovery")
        assert len(world.stored.events) == before
        assert world.codes.mint(MintCode(challenged.challenge_id)).outcome == "gone"
        world.codes.resend_login_code(challenged.challenge_id, ANONYMOUS)
        assert len(world.stored.events) == before
        world.finish(challenged, app.code())
        assert len(world.stored.sessions) == 1

    @pytest.mark.parametrize(("steps", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
    def test_one_time_step_on_either_side_is_accepted(self, world: World, app: App, steps: int, good: bool) -> None:
        world.clock.advance(seconds=60)
        challenged = world.begin()
        if good:
            world.finish(challenged, app.code(steps))
        else:
            refused("invalid_code", world.finish, challenged, app.code(steps))

    def test_a_time_step_is_accepted_once(self, world: World, app: App) -> None:
        code = app.code()
        world.finish(world.begin(), code)
        refused("invalid_code", world.finish, world.begin(), code)
        refused("invalid_code", world.finish, world.begin(), app.code(-1))
        world.finish(world.begin(), app.code(1))

    def test_the_time_step_of_the_confirmation_is_used(self, world: World, ada: User) -> None:
        app = App(world, world.authenticators.enrol(ada.id))
        world.confirm_app(ada, app.code())
        refused("invalid_code", world.finish, world.begin(), app.code())

    def test_two_parallel_logins_with_one_code_open_one_session(self, world: World, app: App) -> None:
        first, second = world.begin(), world.begin()
        assert first != second
        code = app.code()
        world.before_write("session", lambda: world.finish(second, code))
        refused("invalid_code", world.finish, first, code)
        assert len(world.stored.sessions) == 1

    def test_a_recovery_code_is_accepted_once_however_it_is_typed(self, world: World, app: App) -> None:
        code = app.recovery_codes[0]
        world.finish(world.begin(), code.upper().replace("-", ""))
        refused("invalid_code", world.finish, world.begin(), code)
        world.finish(world.begin(), app.recovery_codes[1])

    def test_recovery_codes_stay_valid_when_the_key_is_rotated(self, world: World, app: App) -> None:
        world.keys["2"] = b"the next key"
        world.finish(world.begin(), app.recovery_codes[0])
        refused("invalid_code", world.finish, world.begin(), app.recovery_codes[0])
        world.finish(world.begin(), app.recovery_codes[1])

    def test_two_parallel_logins_with_one_recovery_code_open_one_session(self, world: World, app: App) -> None:
        first, second = world.begin(), world.begin()
        code = app.recovery_codes[0]
        world.before_write("session", lambda: world.finish(second, code))
        refused("invalid_code", world.finish, first, code)
        assert len(world.stored.sessions) == 1

    def test_codes_of_another_user_are_wrong(self, world: World, app: App) -> None:
        eve = world.verified("eve@example.com")
        theirs = App(world, world.authenticators.enrol(eve.id))
        refused("invalid_code", world.finish, world.begin(), theirs.recovery_codes[0])
        refused("invalid_code", world.finish, world.begin(), theirs.code())

    def test_a_challenge_expires_after_ten_minutes(self, world: World, app: App) -> None:
        challenged = world.begin()
        world.clock.advance(minutes=10)
        refused("code_expired", world.finish, challenged, app.code())
        late = world.begin()
        world.clock.advance(minutes=9, seconds=59)
        world.finish(late, app.code())

    def test_wrong_codes_count_per_challenge_and_per_day(self, world: World, app: App) -> None:
        first = world.begin()
        for wrong in (app.wrong, "no such", app.wrong, "00000-00000", app.wrong):
            refused("invalid_code", world.finish, first, wrong)
        refused("invalid_code", world.finish, first, app.code())
        second = world.begin()
        for _ in range(5):
            refused("invalid_code", world.finish, second, app.wrong)
        refused("invalid_code", world.finish, world.begin(), app.code())
        refused("invalid_code", world.finish, world.begin(), app.recovery_codes[0])
        world.clock.advance(hours=24)
        world.finish(world.begin(), app.code())

    def test_every_wrong_code_publishes_an_event(self, world: World, ada: User, app: App) -> None:
        refused("invalid_code", world.finish, world.begin(), app.wrong)
        event = world.stored.events[-1]
        assert (event.type, event.subject, event.data) == ("user.login_failed", ada.id, {"user_id": ada.id})

    def test_a_user_who_is_suspended_in_between_is_refused(self, world: World, ada: User, app: App) -> None:
        challenged = world.begin()
        now = world.stored.users[ada.id]
        world.put_user(replace(now, status="suspended", generation=now.generation + 1))
        refused("account_suspended", world.finish, challenged, app.code())

    def test_a_second_factor_that_changes_in_between_is_refused(self, world: World, ada: User, app: App) -> None:
        challenged = world.begin()
        disable(world, ada, app.code())
        refused("invalid_code", world.finish, challenged, app.code(1))


class TestDisabling:
    @pytest.mark.parametrize("by_recovery", [True, False])
    def test_password_and_code_disable_it_and_an_event_is_published(
        self, world: World, ada: User, app: App, by_recovery: bool
    ) -> None:
        disable(world, ada, app.recovery_codes[3] if by_recovery else app.code())
        assert second_factor(world, ada) == "none"
        assert not world.stored.authenticators
        event = world.stored.events[-1]
        assert (event.type, event.data["changed"], event.actor) == ("user.updated", ["second_factor"], ANONYMOUS)
        world.login()

    def test_another_app_can_be_enrolled_afterwards(self, world: World, ada: User, app: App) -> None:
        disable(world, ada, app.code())
        other = App(world, world.authenticators.enrol(ada.id))
        world.confirm_app(ada, other.code())
        assert second_factor(world, ada) == "totp"

    def test_a_wrong_password_counts_as_a_failed_login(self, world: World, ada: User, app: App) -> None:
        for _ in range(5):
            refused("invalid_credentials", disable, world, ada, app.code(), "wrong words")
        refused("rate_limited", disable, world, ada, app.code())
        refused("rate_limited", world.begin)
        assert second_factor(world, ada) == "totp"

    def test_wrong_codes_count_with_those_of_logins(self, world: World, ada: User, app: App) -> None:
        for _ in range(10):
            # Failures of one millisecond have the same event id.
            world.clock.advance(milliseconds=1)
            refused("invalid_code", disable, world, ada, app.wrong)
        assert world.stored.event_types().count("user.login_failed") == 10
        refused("invalid_code", disable, world, ada, app.code())
        refused("invalid_code", world.finish, world.begin(), app.code())
        world.clock.advance(hours=24)
        disable(world, ada, app.code())

    def test_parallel_wrong_codes_all_count(self, world: World, ada: User, app: App) -> None:
        world.before_write("authenticator", repeat(10, "invalid_code", disable, world, ada, app.wrong))
        refused("invalid_code", disable, world, ada, app.code())
        assert second_factor(world, ada) == "totp"

    def test_a_correct_password_after_five_parallel_failures_waits(self, world: World, ada: User, app: App) -> None:
        world.before_write(
            "authenticator", repeat(5, "invalid_credentials", disable, world, ada, "000000", "wrong words")
        )
        refused("rate_limited", disable, world, ada, app.code())
        assert second_factor(world, ada) == "totp"

    def test_a_time_step_that_a_login_uses_meanwhile_is_refused(self, world: World, ada: User, app: App) -> None:
        challenged, code = world.begin(), app.code()
        world.before_write("authenticator", lambda: world.finish(challenged, code))
        refused("invalid_code", disable, world, ada, code)

    def test_a_confirmed_app_is_required(self, world: World, ada: User) -> None:
        world.authenticators.enrol(ada.id)
        refused("invalid_state", disable, world, ada, "000000")
        refused("unauthenticated", world.authenticators.disable, ANONYMOUS, "usr_x", PASSWORD, "000000")


class TestSteps:
    """RFC 6238, appendix B: the vectors for SHA-1, shortened to the six digits that an app shows."""

    SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

    @pytest.mark.parametrize(
        ("seconds", "code"),
        [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
    )
    def test_vectors(self, seconds: int, code: str) -> None:
        clock = FakeClock(FakeClock().at.fromtimestamp(seconds, FakeClock().at.tzinfo))
        assert step_of(self.SECRET, code, clock(), after=-1) == seconds // 30

    @pytest.mark.parametrize("code", ["", "28708", "2870820", "28708a", "\uff12" * 6, "abcde-fghij"])
    def test_only_six_digits_are_a_code_of_an_app(self, code: str) -> None:
        assert not is_totp(code)

    def test_only_later_steps_are_accepted(self) -> None:
        at: Any = FakeClock().at.fromtimestamp(59, FakeClock().at.tzinfo)
        assert step_of(self.SECRET, "287082", at, after=1) is None
