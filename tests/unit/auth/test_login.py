from dataclasses import replace

import pytest

from functions.auth.domain.sessions import Session
from functions.auth.domain.throttle import Counters
from tests.unit.auth.fakes import STRANGER
from tests.unit.auth.room import EMAIL, PASSWORD, Room, refused

HERE = Counters.of(EMAIL, "203.0.113.7")


def fail(room: Room, times: int, email: str = EMAIL) -> None:
    for _ in range(times):
        refused("invalid_credentials", room.login, "wrong words", email)


def test_the_right_password_opens_a_session(room: Room) -> None:
    user = room.register()
    grant = room.login()
    assert grant.user == user
    claims = room.tokens.verify(grant.access_token)
    session = room.store.sessions[claims.session_id]
    assert (session.user_id, session.device, session.ip, session.ended_at) == (user.id, "tests", "203.0.113.7", None)
    assert session.is_live(room.clock(), user)
    login = room.store.events[-1]
    assert (login.type, login.subject, login.sequence) == ("user.login", session.id, 1)
    assert login.data == {"user_id": user.id, "new_device": False, "device": "tests"}
    assert login.actor == replace(STRANGER, user_id=user.id, session_id=session.id)


def test_tokens_are_kept_as_digests_only_and_never_show(room: Room) -> None:
    room.register()
    grant = room.login()
    (session,) = room.store.sessions.values()
    secrets = grant.refresh_token.split(".")[2:]
    kept = [str(getattr(session, name)) for name in Session.__slots__]
    assert not any(secret in value for secret in secrets for value in kept)
    assert not any(secret in repr((session, grant)) for secret in [*secrets, grant.access_token, session.current])


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
def test_an_unknown_email_costs_and_answers_what_a_wrong_password_does(room: Room, email: str) -> None:
    room.register()
    fail(room, 1, email)
    assert room.passwords.compared == 1
    tally = room.store.tally(Counters.of(email, "203.0.113.7"))
    assert [failures.count for failures in tally] == [1, 1, 1]
    assert not room.store.sessions


def test_a_failure_is_told_of_users_only(room: Room) -> None:
    user = room.register()
    fail(room, 1)
    fail(room, 1, "nobody@example.com")
    (event,) = [event for event in room.store.events if event.type == "user.login_failed"]
    assert (event.subject, event.data) == (user.id, {"user_id": user.id})
    assert event.sequence == int(room.clock().timestamp() * 1000)


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
def test_five_failures_bring_waits_that_double_up_to_an_hour(room: Room, email: str) -> None:
    room.register()
    fail(room, 5, email)
    for wait in (30, 60, 120, 240, 480, 960, 1920, 3600, 3600):
        assert refused("rate_limited", room.login, "wrong words", email).retry_after == wait
        room.clock.advance(seconds=wait - 0.5)
        assert refused("rate_limited", room.login, PASSWORD, email).retry_after == 1
        room.clock.advance(seconds=0.5)
        fail(room, 1, email)


def test_the_right_password_after_the_wait_is_in_and_forgets(room: Room) -> None:
    room.register()
    fail(room, 5)
    refused("rate_limited", room.login)
    room.clock.advance(seconds=30)
    room.login()
    assert [failures.count for failures in room.store.tally(HERE)] == [0, 5, 5]
    fail(room, 5)


def test_failures_are_forgotten_after_a_day(room: Room) -> None:
    room.register()
    fail(room, 4)
    room.clock.advance(hours=24)
    fail(room, 4)
    room.login()


def test_another_address_or_email_does_not_wait(room: Room) -> None:
    room.register()
    room.register("grace@example.com", "some other words")
    fail(room, 5)
    room.login("some other words", "grace@example.com")
    room.logins.login(EMAIL, PASSWORD, replace(STRANGER, ip="203.0.113.8"))
    refused("rate_limited", room.login)


def test_guesses_at_once_share_five_failures(room: Room) -> None:
    room.register()
    room.store.before("count_failure", lambda: fail(room, 5))
    refused("rate_limited", room.login, "wrong words")
    assert [failures.count for failures in room.store.tally(HERE)] == [5, 5, 5]


def test_a_right_guess_behind_five_wrong_ones_waits_as_well(room: Room) -> None:
    room.register()
    room.store.before("open_session", lambda: fail(room, 5))
    refused("rate_limited", room.login)
    assert not room.store.sessions


def test_two_failures_at_once_are_two(room: Room) -> None:
    room.register()
    room.store.before("count_failure", lambda: fail(room, 1))
    fail(room, 1)
    assert [failures.count for failures in room.store.tally(HERE)] == [2, 2, 2]


def test_a_suspended_user_is_told_so_after_the_right_password_only(room: Room) -> None:
    user = room.register()
    room.store.users[user.id] = replace(user, status="suspended")
    fail(room, 1)
    refused("account_suspended", room.login)
    assert not room.store.sessions


def test_a_right_guess_for_the_suspended_behind_five_wrong_ones_waits_as_well(room: Room) -> None:
    user = room.register()
    room.store.users[user.id] = replace(user, status="suspended")

    def others() -> None:
        room.passwords.meanwhile = lambda: None
        fail(room, 5)

    room.passwords.meanwhile = others
    refused("rate_limited", room.login)
