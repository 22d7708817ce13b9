import re
from dataclasses import replace

import pytest
from common.contracts.auth import CheckCode, MintCode, RequestCode
from common.contracts.task import Done
from common.errors import Contended

from tests.unit.auth.world import ANONYMOUS, EMAIL, PASSWORD, World, conflict, refused, repeat

WRONG = "999999"


def tries(world: World) -> int:
    (challenge,) = world.stored.challenges.values()
    return challenge.tries


def test_a_new_code_comes_with_the_data_for_its_mail(world: World) -> None:
    user = world.register()
    minted = world.codes.mint(MintCode(world.challenge_id(user)))
    assert (minted.purpose, minted.address, minted.minutes) == ("verify_email", user.email, 10)
    assert len(minted.code) == 6


def test_only_a_mail_to_a_verified_address_carries_the_name(world: World) -> None:
    """Whoever registers another person's address must not be able to send them a text of their choice."""
    user = world.register()
    world.passwords.forgot(ANONYMOUS, EMAIL)
    assert world.codes.mint(MintCode(world.challenge_id(user))).first_name == ""
    assert world.codes.mint(MintCode(world.challenge_id(user, "reset_password"))).first_name == ""
    world.verify(world.code(user))
    assert world.codes.mint(MintCode(world.challenge_id(user, "reset_password"))).first_name == "Ada"
    world.addresses.change_email(ANONYMOUS, user.id, "new@example.com", PASSWORD)
    assert world.codes.mint(MintCode(world.challenge_id(user, "change_email"))).first_name == ""


def test_only_a_keyed_digest_of_the_code_is_stored(world: World) -> None:
    user = world.register()
    code = world.code(user)
    challenge = world.stored.challenges[world.challenge_id(user)]
    assert code not in str(challenge.digest)
    assert challenge.digest is not None
    assert re.fullmatch("1:[0-9a-f]{64}", challenge.digest)
    assert challenge.digest not in repr(challenge)


def test_a_code_stays_valid_when_the_key_is_rotated(world: World) -> None:
    user = world.register()
    code = world.code(user)
    world.keys["2"] = b"the next key"
    refused("invalid_code", world.verify, WRONG)
    world.verify(code)


def test_new_codes_use_the_newest_key_and_old_ones_end_with_theirs(world: World) -> None:
    user = world.register()
    old = world.code(user)
    world.keys = {"2": b"the next key"}
    refused("invalid_code", world.verify, old)
    new = world.code(user)
    assert str(world.stored.challenges[world.challenge_id(user)].digest).startswith("2:")
    world.verify(new)


def test_minting_again_voids_the_code_before_but_keeps_the_tries(world: World) -> None:
    user = world.register()
    first = world.code(user)
    refused("invalid_code", world.verify, WRONG)
    second = world.code(user)
    assert tries(world) == 1
    refused("invalid_code", world.verify, first)
    world.verify(second)


def test_no_code_is_made_for_a_closed_challenge(world: World) -> None:
    user = world.register()
    code = world.code(user)
    challenge = MintCode(world.challenge_id(user))
    world.before_write("challenge", lambda: world.verify(code))
    assert world.codes.mint(challenge).outcome == "gone"
    assert world.codes.mint(challenge).outcome == "gone"
    assert world.codes.mint(MintCode("chl_unknown")).outcome == "gone"
    world.remove("user")
    assert world.codes.mint(challenge).outcome == "gone"


def test_a_code_expires_after_ten_minutes(world: World) -> None:
    user = world.register()
    code = world.code(user)
    world.clock.advance(minutes=10)
    refused("code_expired", world.verify, code)
    refused("invalid_code", world.verify, WRONG)
    assert not world.stored.users[user.id].email_verified
    code = world.code(user)
    world.clock.advance(minutes=9, seconds=59)
    world.verify(code)


def test_the_fifth_try_can_succeed_but_not_the_sixth(world: World) -> None:
    user = world.register()
    code = world.code(user)
    for _ in range(4):
        refused("invalid_code", world.verify, WRONG)
    assert world.stored.challenges[world.challenge_id(user)].is_open
    world.verify(code)

    other = world.register("grace@example.com", "some other words")
    code = world.code(other)
    for _ in range(5):
        refused("invalid_code", world.verify, WRONG, other.email)
    refused("invalid_code", world.verify, code, other.email)
    assert world.codes.mint(MintCode(world.challenge_id(other))).outcome == "gone"


def test_a_correct_code_after_five_parallel_wrong_ones_is_too_late(world: World) -> None:
    user = world.register()
    code = world.code(user)
    world.before_write("user", repeat(5, "invalid_code", world.verify, WRONG))
    refused("invalid_code", world.verify, code)
    assert tries(world) == 5
    assert not world.stored.users[user.id].email_verified


def test_parallel_wrong_codes_share_five_tries(world: World) -> None:
    world.code(world.register())
    world.before_write("attempts", repeat(5, "invalid_code", world.verify, WRONG))
    refused("invalid_code", world.verify, WRONG)
    assert tries(world) == 5


def test_two_parallel_wrong_codes_both_count(world: World) -> None:
    user = world.register()
    world.code(user)
    world.before_write("attempts", lambda: refused("invalid_code", world.verify, WRONG))
    refused("invalid_code", world.verify, WRONG)
    assert tries(world) == 2
    assert len(world.stored.attempts[user.id, "verify_email"].wrong) == 2


def test_a_correct_code_does_not_count(world: World) -> None:
    user = world.register()
    code = world.code(user)
    world.before_write("user", lambda: refused("invalid_code", world.verify, WRONG))
    world.verify(code)
    assert tries(world) == 1
    assert len(world.stored.attempts[user.id, "verify_email"].wrong) == 1


def test_ten_wrong_codes_a_day_are_allowed_over_all_challenges(world: World) -> None:
    user = world.register()
    for _ in range(2):
        world.code(user)
        for _ in range(5):
            world.clock.advance(minutes=30)
            refused("invalid_code", world.verify, WRONG)
        world.clock.advance(minutes=1)
        world.registration.resend_code(ANONYMOUS, user.email)
    spent = world.challenge_id(user)
    assert world.codes.mint(MintCode(spent)).outcome == "gone"
    world.clock.advance(hours=19, minutes=26)
    world.registration.resend_code(ANONYMOUS, user.email)
    assert world.challenge_id(user) == spent
    world.clock.advance(minutes=2)
    # The first wrong code is 24 hours old now.
    world.registration.resend_code(ANONYMOUS, user.email)
    world.code(user)
    refused("invalid_code", world.verify, WRONG)
    refused("invalid_code", world.verify, world.code(user))


def test_the_daily_limit_applies_to_an_open_challenge_too(world: World) -> None:
    user = world.register()
    for number in range(3):
        world.passwords.forgot(ANONYMOUS, EMAIL)
        code = world.code(user, "reset_password")
        for _ in range(4 if number < 2 else 2):
            refused("invalid_code", reset, world, WRONG)
        if number < 2:
            reset(world, code)
            world.clock.advance(minutes=1)
    challenge_id = world.challenge_id(user, "reset_password")
    assert world.stored.challenges[challenge_id].is_open
    refused("invalid_code", reset, world, world.code(user, "reset_password"))
    assert len(world.stored.attempts[user.id, "reset_password"].wrong) == 10
    # Wrong codes count per purpose: another purpose is not affected.
    world.verify(world.code(user))
    world.clock.advance(hours=24)
    reset(world, world.code(user, "reset_password"))


def reset(world: World, code: str) -> None:
    world.passwords.reset(ANONYMOUS, EMAIL, code, "some other words")


@pytest.mark.parametrize("code", ["", "12345", "0000000", "½½½½½½"])
def test_a_malformed_code_is_a_wrong_code(world: World, code: str) -> None:
    world.code(world.register())
    refused("invalid_code", world.verify, code)


class TestForAnotherContext:
    """The tasks that the accounts context calls to reset a PIN."""

    def ask(self, world: World, user_id: str, subject: str = "acc_1") -> Done:
        return world.codes.request(RequestCode(user_id, "pin_reset", subject, ANONYMOUS))

    def check(self, world: World, user_id: str, code: str, subject: str = "acc_1") -> Done:
        return world.codes.check(CheckCode(user_id, "pin_reset", subject, code))

    def test_a_code_is_requested_mailed_and_accepted_once(self, world: World) -> None:
        user = world.register()
        assert self.ask(world, user.id) == Done()
        event = world.stored.events[-1]
        assert (event.type, event.data["purpose"], event.actor) == ("code.requested", "pin_reset", ANONYMOUS)
        code = world.code(user, "pin_reset")
        assert self.check(world, user.id, code) == Done()
        refused("invalid_code", self.check, world, user.id, code)

    def test_a_code_can_be_requested_once_a_minute(self, world: World) -> None:
        user = world.register()
        self.ask(world, user.id)
        world.clock.advance(seconds=20)
        assert refused("rate_limited", self.ask, world, user.id).retry_after == 40
        world.clock.advance(seconds=40)
        assert self.ask(world, user.id) == Done()

    def test_the_subject_must_match(self, world: World) -> None:
        user = world.register()
        self.ask(world, user.id)
        code = world.code(user, "pin_reset")
        refused("invalid_code", self.check, world, user.id, code, "acc_2")
        assert self.check(world, user.id, code) == Done()

    def test_a_code_for_another_subject_replaces_the_first(self, world: World) -> None:
        user = world.register()
        self.ask(world, user.id)
        first = world.code(user, "pin_reset")
        self.ask(world, user.id, "acc_2")
        refused("invalid_code", self.check, world, user.id, first)
        assert self.check(world, user.id, world.code(user, "pin_reset"), "acc_2") == Done()

    def test_a_code_allows_five_tries_and_ten_minutes(self, world: World) -> None:
        user = world.register()
        self.ask(world, user.id)
        code = world.code(user, "pin_reset")
        world.clock.advance(minutes=10)
        refused("code_expired", self.check, world, user.id, code)
        for _ in range(4):
            refused("invalid_code", self.check, world, user.id, WRONG)
        refused("invalid_code", self.check, world, user.id, code)

    def test_an_unknown_user_looks_the_same(self, world: World) -> None:
        assert self.ask(world, "usr_x") == Done()
        refused("rate_limited", self.ask, world, "usr_x")
        refused("invalid_code", self.check, world, "usr_x", "000000")
        assert not world.stored.events

    def test_a_code_to_an_address_that_has_changed_is_void(self, world: World) -> None:
        user = world.register()
        self.ask(world, user.id)
        code = world.code(user, "pin_reset")
        become = replace(user, email="new@example.com")
        world.before_write("challenge", lambda: world.put_user(become))
        refused("invalid_code", self.check, world, user.id, code)

    def test_repeated_conflicts_are_a_fault(self, world: World) -> None:
        user = world.register()
        world.before_write("code request", *[conflict] * 16)
        with pytest.raises(Contended):
            self.ask(world, user.id)
        self.ask(world, user.id)
        code = world.code(user, "pin_reset")
        world.before_write("challenge", *[conflict] * 16)
        with pytest.raises(Contended):
            self.check(world, user.id, code)
