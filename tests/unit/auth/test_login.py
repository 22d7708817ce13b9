from dataclasses import replace

import pytest

from functions.auth.domain.sessions import Session
from functions.auth.domain.throttle import CounterKeys
from tests.unit.auth.world import ANONYMOUS, EMAIL, PASSWORD, World, refused

HERE = CounterKeys.of(EMAIL, "203.0.113.7")


def fail(world: World, times: int, email: str = EMAIL) -> None:
    for _ in range(times):
        refused("invalid_credentials", world.login, "wrong words", email)


def test_a_correct_password_opens_a_session(world: World) -> None:
    user = world.register()
    granted = world.login()
    assert granted.user == user
    claims = world.tokens.verify(granted.access_token)
    session = world.stored.sessions[claims.session_id]
    assert (session.user_id, session.device, session.ip, session.ended_at) == (user.id, "tests", "203.0.113.7", None)
    assert session.is_live(world.clock(), user)
    login = world.stored.events[-1]
    assert (login.type, login.subject, login.sequence) == ("user.login", session.id, 1)
    assert login.data == {"user_id": user.id, "new_device": False, "device": "tests"}
    assert login.actor == replace(ANONYMOUS, user_id=user.id, session_id=session.id)


def test_tokens_are_stored_as_digests_and_never_shown(world: World) -> None:
    world.register()
    granted = world.login()
    (session,) = world.stored.sessions.values()
    secrets = granted.refresh_token.split(".")[2:]
    kept = [str(getattr(session, name)) for name in Session.__slots__]
    assert not any(secret in value for secret in secrets for value in kept)
    assert not any(secret in repr((session, granted)) for secret in [*secrets, granted.access_token, session.current])


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
def test_an_unknown_email_looks_like_a_wrong_password(world: World, email: str) -> None:
    world.register()
    fail(world, 1, email)
    assert world.hasher.compared == 1
    tally = world.store.login_failures(CounterKeys.of(email, "203.0.113.7"))
    assert [failures.count for failures in tally] == [1, 1, 1]
    assert not world.stored.sessions


def test_only_failures_of_known_users_publish_events(world: World) -> None:
    user = world.register()
    fail(world, 1)
    fail(world, 1, "nobody@example.com")
    (event,) = [event for event in world.stored.events if event.type == "user.login_failed"]
    assert (event.subject, event.data) == (user.id, {"user_id": user.id})
    assert event.sequence == int(world.clock().timestamp() * 1000)


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
def test_five_failures_cause_waits_that_double_up_to_an_hour(world: World, email: str) -> None:
    world.register()
    fail(world, 5, email)
    for wait in (30, 60, 120, 240, 480, 960, 1920, 3600, 3600):
        assert refused("rate_limited", world.login, "wrong words", email).retry_after == wait
        world.clock.advance(seconds=wait - 0.5)
        assert refused("rate_limited", world.login, PASSWORD, email).retry_after == 1
        world.clock.advance(seconds=0.5)
        fail(world, 1, email)


def test_a_correct_password_after_the_wait_succeeds_and_resets_the_pair(world: World) -> None:
    world.register()
    fail(world, 5)
    refused("rate_limited", world.login)
    world.clock.advance(seconds=30)
    world.login()
    assert [failures.count for failures in world.store.login_failures(HERE)] == [0, 5, 5]
    fail(world, 5)


def test_failures_are_forgotten_after_a_day(world: World) -> None:
    world.register()
    fail(world, 4)
    world.clock.advance(hours=24)
    fail(world, 4)
    world.login()


def test_another_address_or_email_does_not_wait(world: World) -> None:
    world.register()
    world.register("grace@example.com", "some other words")
    fail(world, 5)
    world.login("some other words", "grace@example.com")
    world.logins.login(EMAIL, PASSWORD, replace(ANONYMOUS, ip="198.51.100.8"))
    refused("rate_limited", world.login)


def test_parallel_guesses_share_five_failures(world: World) -> None:
    world.register()
    world.before_write("failures", lambda: fail(world, 5))
    refused("rate_limited", world.login, "wrong words")
    assert [failures.count for failures in world.store.login_failures(HERE)] == [5, 5, 5]


def test_a_correct_password_after_five_parallel_failures_waits(world: World) -> None:
    world.register()
    world.before_write("session", lambda: fail(world, 5))
    refused("rate_limited", world.login)
    assert not world.stored.sessions


def test_two_parallel_failures_both_count(world: World) -> None:
    world.register()
    world.before_write("failures", lambda: fail(world, 1))
    fail(world, 1)
    assert [failures.count for failures in world.store.login_failures(HERE)] == [2, 2, 2]


def test_a_suspended_user_learns_it_only_after_the_correct_password(world: World) -> None:
    user = world.register()
    world.put_user(replace(user, status="suspended"))
    fail(world, 1)
    refused("account_suspended", world.login)
    assert not world.stored.sessions


def test_a_correct_password_of_a_suspended_user_waits_too(world: World) -> None:
    user = world.register()
    world.put_user(replace(user, status="suspended"))

    def others() -> None:
        world.hasher.meanwhile = lambda: None
        fail(world, 5)

    world.hasher.meanwhile = others
    refused("rate_limited", world.login)
