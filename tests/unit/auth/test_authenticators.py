"""Authenticator apps: RFC 6238 as pyotp does it, on the room's clock."""

from dataclasses import replace
from typing import Any

import pyotp
import pytest
from common.tasks import MintCode

from functions.auth.domain.authenticators import canonical, is_totp, step_of
from functions.auth.domain.users import User
from functions.auth.service.authenticators import Enrolment
from tests.support.clock import FakeClock
from tests.unit.auth.fakes import STRANGER
from tests.unit.auth.room import EMAIL, PASSWORD, Room, refused


class App:
    """An authenticator app that has read a QR code."""

    def __init__(self, room: Room, enrolment: Enrolment) -> None:
        self._room = room
        self._totp = pyotp.parse_uri(enrolment.otpauth_uri)
        self.recovery_codes = enrolment.recovery_codes

    def code(self, steps: int = 0) -> str:
        return self._totp.at(self._room.clock(), counter_offset=steps)  # type: ignore[union-attr,call-arg]

    @property
    def wrong(self) -> str:
        near = {self.code(steps) for steps in range(-2, 3)}
        return next(code for code in map("{:06}".format, range(9)) if code not in near)


@pytest.fixture
def ada(room: Room) -> User:
    return room.verified()


@pytest.fixture
def app(room: Room, ada: User) -> App:
    """The app of somebody for whom it is the second factor; the next time step has come."""
    app = App(room, room.authenticators.enrol(ada.id))
    room.authenticators.confirm(STRANGER, ada.id, app.code())
    room.clock.advance(seconds=30)
    return app


def second_factor(room: Room, user: User) -> str:
    return room.store.users[user.id].second_factor


def disable(room: Room, user: User, code: str, password: str = PASSWORD) -> None:
    room.authenticators.disable(STRANGER, user.id, password, code)


class TestEnrolment:
    def test_shows_secret_uri_and_ten_recovery_codes(self, room: Room, ada: User) -> None:
        enrolment = room.authenticators.enrol(ada.id)
        totp = pyotp.parse_uri(enrolment.otpauth_uri)
        assert (totp.secret, totp.name, totp.issuer) == (enrolment.secret, EMAIL, "Remit")
        assert len(set(enrolment.recovery_codes)) == 10
        assert second_factor(room, ada) == "none"

    def test_shows_it_nowhere_else(self, room: Room, ada: User) -> None:
        enrolment = room.authenticators.enrol(ada.id)
        kept = room.store.authenticators[ada.id]
        shown = repr((enrolment, kept))
        assert not any(code in shown or canonical(code) in shown for code in enrolment.recovery_codes)
        assert enrolment.secret not in shown
        assert not any(code in str(kept.recovery_codes) for code in enrolment.recovery_codes)
        assert all(len(digest) == 64 for digest in kept.recovery_codes)

    def test_is_confirmed_by_a_code_and_told(self, room: Room, ada: User) -> None:
        app = App(room, room.authenticators.enrol(ada.id))
        room.authenticators.confirm(STRANGER, ada.id, app.code())
        assert second_factor(room, ada) == "totp"
        event = room.store.events[-1]
        assert (event.type, event.data["changed"], event.actor) == ("user.updated", ["second_factor"], STRANGER)

    def test_a_wrong_code_confirms_nothing(self, room: Room, ada: User) -> None:
        app = App(room, room.authenticators.enrol(ada.id))
        refused("invalid_code", room.authenticators.confirm, STRANGER, ada.id, app.wrong)
        assert second_factor(room, ada) == "none"

    def test_again_before_it_is_confirmed_replaces_the_secret(self, room: Room, ada: User) -> None:
        first = App(room, room.authenticators.enrol(ada.id))
        second = App(room, room.authenticators.enrol(ada.id))
        refused("invalid_code", room.authenticators.confirm, STRANGER, ada.id, first.code())
        room.authenticators.confirm(STRANGER, ada.id, second.code())

    def test_not_while_there_is_a_confirmed_one(self, room: Room, ada: User, app: App) -> None:
        refused("invalid_state", room.authenticators.enrol, ada.id)
        refused("invalid_state", room.authenticators.confirm, STRANGER, ada.id, app.code())

    def test_confirmed_meanwhile_it_stays(self, room: Room, ada: User) -> None:
        app = App(room, room.authenticators.enrol(ada.id))
        code = app.code()
        room.store.before("enrol", lambda: room.authenticators.confirm(STRANGER, ada.id, code))
        refused("invalid_state", room.authenticators.enrol, ada.id)
        assert second_factor(room, ada) == "totp"

    def test_replaced_meanwhile_the_old_one_is_not_confirmed(self, room: Room, ada: User) -> None:
        app = App(room, room.authenticators.enrol(ada.id))
        room.store.before("change_factor", lambda: room.authenticators.enrol(ada.id))
        refused("invalid_code", room.authenticators.confirm, STRANGER, ada.id, app.code())
        assert second_factor(room, ada) == "none"

    def test_there_must_be_one_to_confirm(self, room: Room, ada: User) -> None:
        refused("invalid_state", room.authenticators.confirm, STRANGER, ada.id, "000000")

    def test_only_for_who_is_there(self, room: Room) -> None:
        refused("unauthenticated", room.authenticators.enrol, "usr_x")
        refused("unauthenticated", room.authenticators.confirm, STRANGER, "usr_x", "000000")

    def test_takes_the_place_of_mailed_codes(self, room: Room, ada: User) -> None:
        room.store.users[ada.id] = replace(ada, second_factor="email")
        app = App(room, room.authenticators.enrol(ada.id))
        room.authenticators.confirm(STRANGER, ada.id, app.code())
        assert room.begin().methods == ("totp", "recovery")


class TestLogin:
    def test_takes_a_code_of_the_app_and_mails_nothing(self, room: Room, app: App) -> None:
        before = len(room.store.events)
        challenged = room.begin()
        assert challenged.methods == ("totp", "recovery")
        assert len(room.store.events) == before
        assert room.codes.mint(MintCode(challenged.challenge_id)).outcome == "gone"
        room.codes.ask_again(challenged.challenge_id, STRANGER)
        assert len(room.store.events) == before
        room.finish(challenged, app.code())
        assert len(room.store.sessions) == 1

    @pytest.mark.parametrize(("steps", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
    def test_takes_one_step_either_side(self, room: Room, app: App, steps: int, good: bool) -> None:
        room.clock.advance(seconds=60)
        challenged = room.begin()
        if good:
            room.finish(challenged, app.code(steps))
        else:
            refused("invalid_code", room.finish, challenged, app.code(steps))

    def test_a_time_step_is_good_once(self, room: Room, app: App) -> None:
        code = app.code()
        room.finish(room.begin(), code)
        refused("invalid_code", room.finish, room.begin(), code)
        refused("invalid_code", room.finish, room.begin(), app.code(-1))
        room.finish(room.begin(), app.code(1))

    def test_the_step_that_confirmed_it_is_used_too(self, room: Room, ada: User) -> None:
        app = App(room, room.authenticators.enrol(ada.id))
        room.authenticators.confirm(STRANGER, ada.id, app.code())
        refused("invalid_code", room.finish, room.begin(), app.code())

    def test_two_logins_with_one_code_at_once_open_one_session(self, room: Room, app: App) -> None:
        first, second = room.begin(), room.begin()
        assert first != second
        code = app.code()
        room.store.before("open_session", lambda: room.finish(second, code))
        refused("invalid_code", room.finish, first, code)
        assert len(room.store.sessions) == 1

    def test_a_recovery_code_is_good_once_however_it_is_typed(self, room: Room, app: App) -> None:
        code = app.recovery_codes[0]
        room.finish(room.begin(), code.upper().replace("-", ""))
        refused("invalid_code", room.finish, room.begin(), code)
        room.finish(room.begin(), app.recovery_codes[1])

    def test_one_recovery_code_at_once_opens_one_session(self, room: Room, app: App) -> None:
        first, second = room.begin(), room.begin()
        code = app.recovery_codes[0]
        room.store.before("open_session", lambda: room.finish(second, code))
        refused("invalid_code", room.finish, first, code)
        assert len(room.store.sessions) == 1

    def test_a_recovery_code_of_somebody_else_is_wrong(self, room: Room, app: App) -> None:
        eve = room.verified("eve@example.com")
        theirs = App(room, room.authenticators.enrol(eve.id))
        refused("invalid_code", room.finish, room.begin(), theirs.recovery_codes[0])
        refused("invalid_code", room.finish, room.begin(), theirs.code())

    def test_a_challenge_lives_ten_minutes(self, room: Room, app: App) -> None:
        challenged = room.begin()
        room.clock.advance(minutes=10)
        refused("code_expired", room.finish, challenged, app.code())
        late = room.begin()
        room.clock.advance(minutes=9, seconds=59)
        room.finish(late, app.code())

    def test_tries_count_a_challenge_and_a_day(self, room: Room, app: App) -> None:
        first = room.begin()
        for wrong in (app.wrong, "no such", app.wrong, "00000-00000", app.wrong):
            refused("invalid_code", room.finish, first, wrong)
        refused("invalid_code", room.finish, first, app.code())
        second = room.begin()
        for _ in range(5):
            refused("invalid_code", room.finish, second, app.wrong)
        refused("invalid_code", room.finish, room.begin(), app.code())
        refused("invalid_code", room.finish, room.begin(), app.recovery_codes[0])
        room.clock.advance(hours=24)
        room.finish(room.begin(), app.code())

    def test_every_wrong_one_is_told(self, room: Room, ada: User, app: App) -> None:
        refused("invalid_code", room.finish, room.begin(), app.wrong)
        event = room.store.events[-1]
        assert (event.type, event.subject, event.data) == ("user.login_failed", ada.id, {"user_id": ada.id})

    def test_suspended_in_between_is_refused(self, room: Room, ada: User, app: App) -> None:
        challenged = room.begin()
        now = room.store.users[ada.id]
        room.store.users[ada.id] = replace(now, status="suspended", generation=now.generation + 1)
        refused("account_suspended", room.finish, challenged, app.code())

    def test_another_factor_in_between_is_refused(self, room: Room, ada: User, app: App) -> None:
        challenged = room.begin()
        disable(room, ada, app.code())
        refused("invalid_code", room.finish, challenged, app.code(1))


class TestDisabling:
    @pytest.mark.parametrize("by_recovery", [True, False])
    def test_takes_password_and_code_and_is_told(self, room: Room, ada: User, app: App, by_recovery: bool) -> None:
        disable(room, ada, app.recovery_codes[3] if by_recovery else app.code())
        assert second_factor(room, ada) == "none"
        assert not room.store.authenticators
        event = room.store.events[-1]
        assert (event.type, event.data["changed"], event.actor) == ("user.updated", ["second_factor"], STRANGER)
        room.login()

    def test_another_app_may_follow(self, room: Room, ada: User, app: App) -> None:
        disable(room, ada, app.code())
        other = App(room, room.authenticators.enrol(ada.id))
        room.authenticators.confirm(STRANGER, ada.id, other.code())
        assert second_factor(room, ada) == "totp"

    def test_a_wrong_password_counts_as_a_failed_login(self, room: Room, ada: User, app: App) -> None:
        for _ in range(5):
            refused("invalid_credentials", disable, room, ada, app.code(), "wrong words")
        refused("rate_limited", disable, room, ada, app.code())
        refused("rate_limited", room.begin)
        assert second_factor(room, ada) == "totp"

    def test_wrong_codes_count_with_those_of_logins(self, room: Room, ada: User, app: App) -> None:
        for _ in range(10):
            refused("invalid_code", disable, room, ada, app.wrong)
        assert room.store.types().count("user.login_failed") == 10
        refused("invalid_code", disable, room, ada, app.code())
        refused("invalid_code", room.finish, room.begin(), app.code())
        room.clock.advance(hours=24)
        disable(room, ada, app.code())

    def test_wrong_codes_at_once_all_count(self, room: Room, ada: User, app: App) -> None:
        nine = [lambda: [refused("invalid_code", disable, room, ada, app.wrong) for _ in range(10)]]
        room.store.before("change_factor", *nine)
        refused("invalid_code", disable, room, ada, app.code())
        assert second_factor(room, ada) == "totp"

    def test_a_right_password_behind_five_wrong_ones_waits(self, room: Room, ada: User, app: App) -> None:
        wrong = [
            lambda: [refused("invalid_credentials", disable, room, ada, "000000", "wrong words") for _ in range(5)]
        ]
        room.store.before("change_factor", *wrong)
        refused("rate_limited", disable, room, ada, app.code())
        assert second_factor(room, ada) == "totp"

    def test_a_step_used_for_a_login_meanwhile_is_used(self, room: Room, ada: User, app: App) -> None:
        challenged, code = room.begin(), app.code()
        room.store.before("change_factor", lambda: room.finish(challenged, code))
        refused("invalid_code", disable, room, ada, code)

    def test_there_must_be_one(self, room: Room, ada: User) -> None:
        room.authenticators.enrol(ada.id)
        refused("invalid_state", disable, room, ada, "000000")
        refused("unauthenticated", room.authenticators.disable, STRANGER, "usr_x", PASSWORD, "000000")


class TestSteps:
    """RFC 6238, appendix B: the vectors of SHA-1, of which an app shows the last six digits."""

    SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

    @pytest.mark.parametrize(
        ("seconds", "code"),
        [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
    )
    def test_vectors(self, seconds: int, code: str) -> None:
        clock = FakeClock(FakeClock().at.fromtimestamp(seconds, FakeClock().at.tzinfo))
        assert step_of(self.SECRET, code, clock(), after=-1) == seconds // 30

    @pytest.mark.parametrize("code", ["", "28708", "2870820", "28708a", "\uff12" * 6, "abcde-fghij"])
    def test_what_has_not_six_digits_is_none_of_the_apps(self, code: str) -> None:
        assert not is_totp(code)

    def test_only_later_steps_count(self) -> None:
        at: Any = FakeClock().at.fromtimestamp(59, FakeClock().at.tzinfo)
        assert step_of(self.SECRET, "287082", at, after=1) is None
