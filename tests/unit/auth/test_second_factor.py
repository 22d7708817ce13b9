"""Logins in two steps: by mail here, by app in test_authenticators.py."""

from dataclasses import replace

import pytest
from common.tasks import MintCode

from functions.auth.domain.users import User
from functions.auth.service.login import Challenged
from functions.auth.service.sessions import Grant
from tests.unit.auth.fakes import STRANGER
from tests.unit.auth.room import EMAIL, PASSWORD, Room, refused

WRONG = "999999"


@pytest.fixture
def ada(room: Room) -> User:
    """Somebody with codes by mail as a second factor."""
    user = room.verified()
    return room.profile.change(STRANGER, user.id, first_name=None, last_name=None, second_factor="email", password=None)


def mailed(room: Room, challenged: Challenged) -> str:
    return room.codes.mint(MintCode(challenged.challenge_id)).code


def requested(room: Room) -> int:
    return len([each for each in room.store.events if each.data.get("purpose") == "login"])


def failures(room: Room) -> int:
    return room.store.types().count("user.login_failed")


def test_the_right_password_opens_no_session_but_asks_for_a_code(room: Room, ada: User) -> None:
    challenged = room.begin()
    assert challenged.methods == ("email",)
    assert not room.store.sessions
    event = room.store.events[-1]
    assert (event.type, event.subject, event.actor) == ("code.requested", challenged.challenge_id, STRANGER)
    assert event.data == {"challenge_id": challenged.challenge_id, "user_id": ada.id, "purpose": "login"}
    minted = room.codes.mint(MintCode(challenged.challenge_id))
    assert (minted.purpose, minted.address) == ("login", EMAIL)


def test_the_mailed_code_opens_the_session(room: Room, ada: User) -> None:
    challenged = room.begin()
    grant = room.finish(challenged, mailed(room, challenged))
    claims = room.tokens.verify(grant.access_token)
    assert room.store.sessions[claims.session_id].user_id == ada.id == grant.user.id
    assert room.store.types()[-1] == "user.login"


def test_it_is_good_once(room: Room, ada: User) -> None:
    challenged = room.begin()
    code = mailed(room, challenged)
    room.finish(challenged, code)
    refused("invalid_code", room.finish, challenged, code)
    assert len(room.store.sessions) == 1


def test_two_who_answer_at_once_open_one_session(room: Room, ada: User) -> None:
    challenged = room.begin()
    code = mailed(room, challenged)
    room.store.before("open_session", lambda: room.finish(challenged, code))
    refused("invalid_code", room.finish, challenged, code)
    assert len(room.store.sessions) == 1


def test_a_wrong_password_shows_nothing_of_the_factor(room: Room, ada: User) -> None:
    refused("invalid_credentials", room.begin, "wrong words")
    assert requested(room) == 0


def test_five_tries_a_challenge_each_told(room: Room, ada: User) -> None:
    challenged = room.begin()
    code = mailed(room, challenged)
    for _ in range(5):
        refused("invalid_code", room.finish, challenged, WRONG)
        room.clock.advance(seconds=1)
    refused("invalid_code", room.finish, challenged, code)
    events = [event for event in room.store.events if event.type == "user.login_failed"]
    assert len({event.id for event in events}) == 5
    assert (events[0].subject, events[0].data, events[0].actor) == (ada.id, {"user_id": ada.id}, STRANGER)


def test_ten_wrong_ones_a_day_over_all_challenges(room: Room, ada: User) -> None:
    for _ in range(2):
        challenged = room.begin()
        for _ in range(5):
            refused("invalid_code", room.finish, challenged, WRONG)
    asked = requested(room)
    challenged = room.begin()
    assert requested(room) == asked
    refused("invalid_code", room.finish, challenged, mailed(room, challenged))
    room.codes.ask_again(challenged.challenge_id, STRANGER)
    assert requested(room) == asked
    room.clock.advance(hours=24)
    challenged = room.begin()
    room.finish(challenged, mailed(room, challenged))


def test_a_right_guess_behind_five_wrong_ones_is_too_late(room: Room, ada: User) -> None:
    challenged = room.begin()
    code = mailed(room, challenged)
    wrong = [lambda: [refused("invalid_code", room.finish, challenged, WRONG) for _ in range(5)]]
    room.store.before("open_session", *wrong)
    refused("invalid_code", room.finish, challenged, code)
    assert not room.store.sessions


def test_ten_minutes(room: Room, ada: User) -> None:
    challenged = room.begin()
    code = mailed(room, challenged)
    room.clock.advance(minutes=10)
    refused("code_expired", room.finish, challenged, code)
    assert failures(room) == 0
    assert not room.store.sessions


def test_a_second_login_within_a_minute_is_the_same_challenge_and_no_second_mail(room: Room, ada: User) -> None:
    challenged = room.begin()
    room.clock.advance(seconds=59)
    assert room.begin() == challenged
    assert requested(room) == 1
    room.clock.advance(seconds=1)
    other = room.begin()
    assert other != challenged
    assert requested(room) == 2
    room.finish(challenged, mailed(room, challenged))
    room.finish(other, mailed(room, other))


def test_a_second_login_after_the_first_is_complete_is_mailed_at_once(room: Room, ada: User) -> None:
    challenged = room.begin()
    room.finish(challenged, mailed(room, challenged))
    other = room.begin()
    assert requested(room) == 2
    room.finish(other, mailed(room, other))


def test_suspended_in_between_is_refused(room: Room, ada: User) -> None:
    challenged = room.begin()
    code = mailed(room, challenged)
    room.store.users[ada.id] = replace(ada, status="suspended", generation=ada.generation + 1)
    refused("invalid_code", room.finish, challenged, WRONG)
    refused("account_suspended", room.finish, challenged, code)
    assert not room.store.sessions


@pytest.mark.parametrize(
    "changes",
    [{"generation": 1}, {"second_factor": "none"}, {"second_factor": "totp"}],
    ids=lambda each: next(iter(each)),
)
def test_another_password_or_factor_in_between_is_refused(room: Room, ada: User, changes: dict[str, object]) -> None:
    challenged = room.begin()
    room.store.users[ada.id] = replace(ada, **changes)  # type: ignore[arg-type]
    refused("invalid_credentials", room.finish, challenged, mailed(room, challenged))
    assert not room.store.sessions


def test_another_address_in_between_voids_the_code(room: Room, ada: User) -> None:
    challenged = room.begin()
    code = mailed(room, challenged)
    room.store.users[ada.id] = replace(ada, email="new@example.com")
    refused("invalid_code", room.finish, challenged, code)
    assert room.codes.mint(MintCode(challenged.challenge_id)).outcome == "gone"


def test_gone_in_between_is_refused(room: Room, ada: User) -> None:
    challenged = room.begin()
    code = mailed(room, challenged)
    room.store.users.clear()
    refused("invalid_code", room.finish, challenged, code)
    refused("invalid_code", room.second_factor.verify, "chl_x", code, STRANGER)


def test_a_challenge_of_another_purpose_opens_nothing(room: Room, ada: User) -> None:
    room.password_changes.forgot(STRANGER, EMAIL)
    challenge_id = room.store.open_attempts[ada.id, "reset_password"].challenge_id
    code = room.code(ada, "reset_password")
    refused("invalid_code", room.second_factor.verify, challenge_id, code, STRANGER)


def test_a_wait_for_failed_logins_holds_for_the_second_step_too(room: Room, ada: User) -> None:
    challenged = room.begin()
    code = mailed(room, challenged)
    for _ in range(5):
        refused("invalid_credentials", room.begin, "wrong words")
    refused("rate_limited", room.finish, challenged, code)
    room.clock.advance(seconds=30)
    room.finish(challenged, code)


def test_a_right_guess_behind_five_wrong_passwords_is_not_even_told(room: Room, ada: User) -> None:
    room.store.before(
        "ask_for_login", lambda: [refused("invalid_credentials", room.begin, "wrong words") for _ in range(5)]
    )
    refused("rate_limited", room.begin)
    assert requested(room) == 0


def test_without_the_factor_login_is_one_step_again(room: Room, ada: User) -> None:
    room.profile.change(STRANGER, ada.id, first_name=None, last_name=None, second_factor="none", password=PASSWORD)
    assert isinstance(room.logins.login(EMAIL, PASSWORD, STRANGER), Grant)


class TestResend:
    def resend(self, room: Room, challenge_id: str) -> None:
        room.codes.ask_again(challenge_id, STRANGER)

    def test_really_asks_again_and_voids_the_code_before(self, room: Room, ada: User) -> None:
        challenged = room.begin()
        first = mailed(room, challenged)
        self.resend(room, challenged.challenge_id)
        event = room.store.events[-1]
        assert (event.type, event.subject, event.sequence) == ("code.requested", challenged.challenge_id, 2)
        second = mailed(room, challenged)
        refused("invalid_code", room.finish, challenged, first)
        room.finish(challenged, second)

    @pytest.mark.parametrize("known", [True, False])
    def test_once_a_minute_whether_or_not_it_exists(self, room: Room, ada: User, known: bool) -> None:
        challenge_id = room.begin().challenge_id if known else "chl_x"
        self.resend(room, challenge_id)
        room.clock.advance(seconds=12)
        assert refused("rate_limited", self.resend, room, challenge_id).retry_after == 48
        room.clock.advance(seconds=48)
        self.resend(room, challenge_id)
        assert requested(room) == (3 if known else 0)

    def test_keeps_the_tries(self, room: Room, ada: User) -> None:
        challenged = room.begin()
        for _ in range(4):
            refused("invalid_code", room.finish, challenged, WRONG)
        self.resend(room, challenged.challenge_id)
        refused("invalid_code", room.finish, challenged, WRONG)
        refused("invalid_code", room.finish, challenged, mailed_or_not(room, challenged))

    @pytest.mark.parametrize("what", ["used", "spent", "expired", "moved", "other purpose", "gone"])
    def test_sends_nothing_for_one_that_is_over(self, room: Room, ada: User, what: str) -> None:
        challenged = room.begin()
        code = mailed(room, challenged)
        challenge_id = challenged.challenge_id
        if what == "used":
            room.finish(challenged, code)
        elif what == "spent":
            for _ in range(5):
                refused("invalid_code", room.finish, challenged, WRONG)
        elif what == "expired":
            room.clock.advance(minutes=10)
        elif what == "moved":
            room.store.users[ada.id] = replace(ada, email="new@example.com")
        elif what == "gone":
            room.store.users.clear()
        else:
            challenge_id = room.challenge_id(ada)
        before = len(room.store.events)
        self.resend(room, challenge_id)
        assert len(room.store.events) == before
        refused("rate_limited", self.resend, room, challenge_id)

    def test_sends_nothing_where_what_is_counted_is_gone(self, room: Room, ada: User) -> None:
        challenged = room.begin()
        room.store.open_attempts.clear()
        self.resend(room, challenged.challenge_id)
        assert requested(room) == 1

    def test_before_the_first_mail_is_written_it_asks_again_too(self, room: Room, ada: User) -> None:
        challenged = room.begin()
        self.resend(room, challenged.challenge_id)
        assert requested(room) == 2


def mailed_or_not(room: Room, challenged: Challenged) -> str:
    minted = room.codes.mint(MintCode(challenged.challenge_id))
    assert minted.outcome == "gone"
    return WRONG
