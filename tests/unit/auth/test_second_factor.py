"""Logins in two steps with mailed codes. test_authenticators.py has those with an app."""

from dataclasses import replace

import pytest
from common.contracts.auth import MintCode

from functions.auth.domain.codes import LoginChallenge
from functions.auth.domain.sessions import GrantedTokens
from functions.auth.domain.users import User
from tests.unit.auth.world import ANONYMOUS, EMAIL, PASSWORD, World, refused, repeat

WRONG = "999999"


@pytest.fixture
def ada(world: World) -> User:
    """A user with mailed codes as a second factor."""
    user = world.verified()
    return world.profile.change(ANONYMOUS, user.id, second_factor="email")


def mailed(world: World, challenged: LoginChallenge) -> str:
    return world.codes.mint(MintCode(challenged.challenge_id)).code


def requested(world: World) -> int:
    return len([each for each in world.stored.events if each.data.get("purpose") == "login"])


def failures(world: World) -> int:
    return world.stored.event_types().count("user.login_failed")


def test_a_correct_password_opens_no_session_but_requests_a_code(world: World, ada: User) -> None:
    challenged = world.begin()
    assert challenged.methods == ("email",)
    assert not world.stored.sessions
    event = world.stored.events[-1]
    assert (event.type, event.subject, event.actor) == ("code.requested", challenged.challenge_id, ANONYMOUS)
    assert event.data == {"challenge_id": challenged.challenge_id, "user_id": ada.id, "purpose": "login"}
    minted = world.codes.mint(MintCode(challenged.challenge_id))
    assert (minted.purpose, minted.address) == ("login", EMAIL)


def test_the_mailed_code_opens_the_session(world: World, ada: User) -> None:
    challenged = world.begin()
    granted = world.finish(challenged, mailed(world, challenged))
    claims = world.tokens.verify(granted.access_token)
    assert world.stored.sessions[claims.session_id].user_id == ada.id == granted.user.id
    assert world.stored.event_types()[-1] == "user.login"


def test_a_code_is_accepted_once(world: World, ada: User) -> None:
    challenged = world.begin()
    code = mailed(world, challenged)
    world.finish(challenged, code)
    refused("invalid_code", world.finish, challenged, code)
    assert len(world.stored.sessions) == 1


def test_two_parallel_answers_open_one_session(world: World, ada: User) -> None:
    challenged = world.begin()
    code = mailed(world, challenged)
    world.before_write("session", lambda: world.finish(challenged, code))
    refused("invalid_code", world.finish, challenged, code)
    assert len(world.stored.sessions) == 1


def test_a_wrong_password_does_not_reveal_the_factor(world: World, ada: User) -> None:
    refused("invalid_credentials", world.begin, "wrong words")
    assert requested(world) == 0


def test_a_challenge_allows_five_tries_and_each_publishes_an_event(world: World, ada: User) -> None:
    challenged = world.begin()
    code = mailed(world, challenged)
    for _ in range(5):
        refused("invalid_code", world.finish, challenged, WRONG)
        world.clock.advance(seconds=1)
    refused("invalid_code", world.finish, challenged, code)
    events = [event for event in world.stored.events if event.type == "user.login_failed"]
    assert len({event.id for event in events}) == 5
    assert (events[0].subject, events[0].data, events[0].actor) == (ada.id, {"user_id": ada.id}, ANONYMOUS)


def test_ten_wrong_codes_a_day_are_allowed_over_all_challenges(world: World, ada: User) -> None:
    for _ in range(2):
        challenged = world.begin()
        for _ in range(5):
            refused("invalid_code", world.finish, challenged, WRONG)
    asked = requested(world)
    challenged = world.begin()
    assert requested(world) == asked
    refused("invalid_code", world.finish, challenged, mailed(world, challenged))
    world.codes.resend_login_code(challenged.challenge_id, ANONYMOUS)
    assert requested(world) == asked
    world.clock.advance(hours=24)
    challenged = world.begin()
    world.finish(challenged, mailed(world, challenged))


def test_a_correct_code_after_five_parallel_wrong_ones_is_too_late(world: World, ada: User) -> None:
    challenged = world.begin()
    code = mailed(world, challenged)
    world.before_write("session", repeat(5, "invalid_code", world.finish, challenged, WRONG))
    refused("invalid_code", world.finish, challenged, code)
    assert not world.stored.sessions


def test_a_code_expires_after_ten_minutes(world: World, ada: User) -> None:
    challenged = world.begin()
    code = mailed(world, challenged)
    world.clock.advance(minutes=10)
    refused("code_expired", world.finish, challenged, code)
    assert failures(world) == 0
    assert not world.stored.sessions


def test_a_second_login_within_a_minute_is_the_same_challenge_and_no_second_mail(world: World, ada: User) -> None:
    challenged = world.begin()
    world.clock.advance(seconds=59)
    assert world.begin() == challenged
    assert requested(world) == 1
    world.clock.advance(seconds=1)
    other = world.begin()
    assert other != challenged
    assert requested(world) == 2
    world.finish(challenged, mailed(world, challenged))
    world.finish(other, mailed(world, other))


def test_a_second_login_after_the_first_is_complete_is_mailed_at_once(world: World, ada: User) -> None:
    challenged = world.begin()
    world.finish(challenged, mailed(world, challenged))
    other = world.begin()
    assert requested(world) == 2
    world.finish(other, mailed(world, other))


def test_a_user_who_is_suspended_in_between_is_refused(world: World, ada: User) -> None:
    challenged = world.begin()
    code = mailed(world, challenged)
    world.put_user(replace(ada, status="suspended", generation=ada.generation + 1))
    refused("invalid_code", world.finish, challenged, WRONG)
    refused("account_suspended", world.finish, challenged, code)
    assert not world.stored.sessions


@pytest.mark.parametrize(
    "changes",
    [{"generation": 1}, {"second_factor": "none"}, {"second_factor": "totp"}],
    ids=lambda each: next(iter(each)),
)
def test_a_password_or_factor_that_changes_in_between_is_refused(
    world: World, ada: User, changes: dict[str, object]
) -> None:
    challenged = world.begin()
    world.put_user(replace(ada, **changes))  # type: ignore[arg-type]
    refused("invalid_credentials", world.finish, challenged, mailed(world, challenged))
    assert not world.stored.sessions


def test_an_address_that_changes_in_between_voids_the_code(world: World, ada: User) -> None:
    challenged = world.begin()
    code = mailed(world, challenged)
    world.put_user(replace(ada, email="new@example.com"))
    refused("invalid_code", world.finish, challenged, code)
    assert world.codes.mint(MintCode(challenged.challenge_id)).outcome == "gone"


def test_a_user_who_is_deleted_in_between_is_refused(world: World, ada: User) -> None:
    challenged = world.begin()
    code = mailed(world, challenged)
    world.remove("user")
    refused("invalid_code", world.finish, challenged, code)
    refused("invalid_code", world.second_factor.verify, "chl_x", code, ANONYMOUS)


def test_a_challenge_of_another_purpose_opens_nothing(world: World, ada: User) -> None:
    world.passwords.forgot(ANONYMOUS, EMAIL)
    challenge_id = world.challenge_id(ada, "reset_password")
    code = world.code(ada, "reset_password")
    refused("invalid_code", world.second_factor.verify, challenge_id, code, ANONYMOUS)


def test_a_wait_for_failed_logins_applies_to_the_second_step_too(world: World, ada: User) -> None:
    challenged = world.begin()
    code = mailed(world, challenged)
    for _ in range(5):
        refused("invalid_credentials", world.begin, "wrong words")
    refused("rate_limited", world.finish, challenged, code)
    world.clock.advance(seconds=30)
    world.finish(challenged, code)


def test_a_correct_password_after_five_parallel_failures_sends_no_code(world: World, ada: User) -> None:
    world.before_write("challenge", repeat(5, "invalid_credentials", world.begin, "wrong words"))
    refused("rate_limited", world.begin)
    assert requested(world) == 0


def test_without_a_factor_a_login_has_one_step(world: World, ada: User) -> None:
    world.profile.change(ANONYMOUS, ada.id, second_factor="none", password=PASSWORD)
    assert isinstance(world.logins.login(EMAIL, PASSWORD, ANONYMOUS), GrantedTokens)


class TestResend:
    def resend(self, world: World, challenge_id: str) -> None:
        world.codes.resend_login_code(challenge_id, ANONYMOUS)

    def test_sends_another_code_and_voids_the_one_before(self, world: World, ada: User) -> None:
        challenged = world.begin()
        first = mailed(world, challenged)
        self.resend(world, challenged.challenge_id)
        event = world.stored.events[-1]
        assert (event.type, event.subject, event.sequence) == ("code.requested", challenged.challenge_id, 2)
        second = mailed(world, challenged)
        refused("invalid_code", world.finish, challenged, first)
        world.finish(challenged, second)

    @pytest.mark.parametrize("known", [True, False])
    def test_is_refused_within_a_minute_for_known_and_unknown_challenges(
        self, world: World, ada: User, known: bool
    ) -> None:
        challenge_id = world.begin().challenge_id if known else "chl_x"
        self.resend(world, challenge_id)
        world.clock.advance(seconds=12)
        assert refused("rate_limited", self.resend, world, challenge_id).retry_after == 48
        world.clock.advance(seconds=48)
        self.resend(world, challenge_id)
        assert requested(world) == (3 if known else 0)

    def test_keeps_the_tries(self, world: World, ada: User) -> None:
        challenged = world.begin()
        for _ in range(4):
            refused("invalid_code", world.finish, challenged, WRONG)
        self.resend(world, challenged.challenge_id)
        refused("invalid_code", world.finish, challenged, WRONG)
        refused("invalid_code", world.finish, challenged, mailed_or_not(world, challenged))

    @pytest.mark.parametrize("what", ["used", "spent", "expired", "moved", "other purpose", "gone"])
    def test_sends_nothing_for_a_closed_challenge(self, world: World, ada: User, what: str) -> None:
        challenged = world.begin()
        code = mailed(world, challenged)
        challenge_id = challenged.challenge_id
        if what == "used":
            world.finish(challenged, code)
        elif what == "spent":
            for _ in range(5):
                refused("invalid_code", world.finish, challenged, WRONG)
        elif what == "expired":
            world.clock.advance(minutes=10)
        elif what == "moved":
            world.put_user(replace(ada, email="new@example.com"))
        elif what == "gone":
            world.remove("user")
        else:
            challenge_id = world.challenge_id(ada)
        before = len(world.stored.events)
        self.resend(world, challenge_id)
        assert len(world.stored.events) == before
        refused("rate_limited", self.resend, world, challenge_id)

    def test_sends_nothing_if_the_attempts_are_missing(self, world: World, ada: User) -> None:
        challenged = world.begin()
        world.remove("attempts")
        self.resend(world, challenged.challenge_id)
        assert requested(world) == 1

    def test_works_before_the_first_mail_is_written(self, world: World, ada: User) -> None:
        challenged = world.begin()
        self.resend(world, challenged.challenge_id)
        assert requested(world) == 2


def mailed_or_not(world: World, challenged: LoginChallenge) -> str:
    minted = world.codes.mint(MintCode(challenged.challenge_id))
    assert minted.outcome == "gone"
    return WRONG
