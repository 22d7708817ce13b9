from dataclasses import replace

import pytest
from common.tasks import CheckCode, MintCode, RequestCode, RequestedCode

from functions.auth.domain import Stale
from tests.unit.auth.fakes import STRANGER
from tests.unit.auth.room import EMAIL, Room, refused

WRONG = "999999"


def tries(room: Room) -> int:
    (challenge,) = room.store.challenges.values()
    return challenge.tries


def test_a_minted_code_comes_with_what_its_mail_needs(room: Room) -> None:
    user = room.register()
    minted = room.codes.mint(MintCode(room.challenge_id(user)))
    assert (minted.purpose, minted.address, minted.first_name, minted.minutes) == (
        "verify_email",
        user.email,
        "Ada",
        10,
    )
    assert len(minted.code) == 6


def test_only_a_keyed_digest_of_the_code_is_kept(room: Room) -> None:
    user = room.register()
    code = room.mint(user)
    challenge = room.store.challenges[room.challenge_id(user)]
    assert code not in str(challenge.digest)
    assert challenge.digest is not None
    assert len(challenge.digest) == 64
    assert challenge.digest not in repr(challenge)


def test_minting_again_voids_the_code_before_but_keeps_the_tries(room: Room) -> None:
    user = room.register()
    first = room.mint(user)
    refused("invalid_code", room.verify, WRONG)
    second = room.mint(user)
    assert tries(room) == 1
    refused("invalid_code", room.verify, first)
    room.verify(second)


def test_nothing_is_minted_for_a_challenge_that_is_over(room: Room) -> None:
    user = room.register()
    code = room.mint(user)
    challenge = MintCode(room.challenge_id(user))
    room.store.before("set_code", lambda: room.verify(code))
    assert room.codes.mint(challenge).outcome == "gone"
    assert room.codes.mint(challenge).outcome == "gone"
    assert room.codes.mint(MintCode("chl_unknown")).outcome == "gone"
    room.store.users.clear()
    assert room.codes.mint(challenge).outcome == "gone"


def test_a_code_is_good_for_ten_minutes_and_then_expired(room: Room) -> None:
    user = room.register()
    code = room.mint(user)
    room.clock.advance(minutes=10)
    refused("code_expired", room.verify, code)
    refused("invalid_code", room.verify, WRONG)
    assert not room.store.users[user.id].email_verified
    code = room.mint(user)
    room.clock.advance(minutes=9, seconds=59)
    room.verify(code)


def test_the_fifth_try_may_be_right_but_not_the_sixth(room: Room) -> None:
    user = room.register()
    code = room.mint(user)
    for _ in range(4):
        refused("invalid_code", room.verify, WRONG)
    assert room.store.challenges[room.challenge_id(user)].is_open
    room.verify(code)

    other = room.register("grace@example.com", "some other words")
    code = room.mint(other)
    for _ in range(5):
        refused("invalid_code", room.verify, WRONG, other.email)
    refused("invalid_code", room.verify, code, other.email)
    assert room.codes.mint(MintCode(room.challenge_id(other))).outcome == "gone"


def test_a_right_guess_behind_five_wrong_ones_is_too_late(room: Room) -> None:
    user = room.register()
    code = room.mint(user)
    guesses = [lambda: [refused("invalid_code", room.verify, WRONG) for _ in range(5)]]
    room.store.before("revise", *guesses)
    refused("invalid_code", room.verify, code)
    assert tries(room) == 5
    assert not room.store.users[user.id].email_verified


def test_wrong_guesses_at_once_share_five_tries(room: Room) -> None:
    room.mint(room.register())
    room.store.before("count_try", lambda: [refused("invalid_code", room.verify, WRONG) for _ in range(5)])
    refused("invalid_code", room.verify, WRONG)
    assert tries(room) == 5


def test_two_wrong_tries_at_once_are_two(room: Room) -> None:
    user = room.register()
    room.mint(user)
    room.store.before("count_try", lambda: refused("invalid_code", room.verify, WRONG))
    refused("invalid_code", room.verify, WRONG)
    assert tries(room) == 2
    assert len(room.store.open_attempts[user.id, "verify_email"].wrong) == 2


def test_a_right_try_counts_nowhere(room: Room) -> None:
    user = room.register()
    code = room.mint(user)
    room.store.before("revise", lambda: refused("invalid_code", room.verify, WRONG))
    room.verify(code)
    assert tries(room) == 1
    assert len(room.store.open_attempts[user.id, "verify_email"].wrong) == 1


def test_ten_wrong_codes_in_a_day_are_all_there_are_over_all_challenges(room: Room) -> None:
    user = room.register()
    for _ in range(2):
        room.mint(user)
        for _ in range(5):
            room.clock.advance(minutes=30)
            refused("invalid_code", room.verify, WRONG)
        room.clock.advance(minutes=1)
        room.registration.resend(STRANGER, user.email)
    spent = room.challenge_id(user)
    assert room.codes.mint(MintCode(spent)).outcome == "gone"
    room.clock.advance(hours=19, minutes=26)
    room.registration.resend(STRANGER, user.email)
    assert room.challenge_id(user) == spent
    room.clock.advance(minutes=2)
    # The first wrong code is 24 hours old now.
    room.registration.resend(STRANGER, user.email)
    room.mint(user)
    refused("invalid_code", room.verify, WRONG)
    refused("invalid_code", room.verify, room.mint(user))


def test_the_days_limit_holds_for_an_open_challenge_too(room: Room) -> None:
    user = room.register()
    for number in range(3):
        room.password_changes.forgot(STRANGER, EMAIL)
        code = room.code(user, "reset_password")
        for _ in range(4 if number < 2 else 2):
            refused("invalid_code", reset, room, WRONG)
        if number < 2:
            reset(room, code)
            room.clock.advance(minutes=1)
    challenge_id = room.store.open_attempts[user.id, "reset_password"].challenge_id
    assert room.store.challenges[challenge_id].is_open
    refused("invalid_code", reset, room, room.code(user, "reset_password"))
    assert len(room.store.open_attempts[user.id, "reset_password"].wrong) == 10
    # Counted by purpose: another is not held up.
    room.verify(room.mint(user))
    room.clock.advance(hours=24)
    reset(room, room.code(user, "reset_password"))


def reset(room: Room, code: str) -> None:
    room.password_changes.reset(STRANGER, EMAIL, code, "some other words")


@pytest.mark.parametrize("code", ["", "12345", "0000000", "½½½½½½"])
def test_what_is_no_code_is_a_wrong_code(room: Room, code: str) -> None:
    room.mint(room.register())
    refused("invalid_code", room.verify, code)


class TestForAnotherRoom:
    """The tasks by which the accounts room guards a PIN."""

    def ask(self, room: Room, user_id: str, subject: str = "acc_1") -> RequestedCode:
        return room.codes.request(RequestCode(user_id, "pin_reset", subject, STRANGER))

    def check(self, room: Room, user_id: str, code: str, subject: str = "acc_1") -> str:
        return room.codes.check(CheckCode(user_id, "pin_reset", subject, code)).outcome

    def test_a_code_is_asked_for_mailed_and_right_once(self, room: Room) -> None:
        user = room.register()
        assert self.ask(room, user.id) == RequestedCode("requested")
        event = room.store.events[-1]
        assert (event.type, event.data["purpose"], event.actor) == ("code.requested", "pin_reset", STRANGER)
        code = room.code(user, "pin_reset")
        assert self.check(room, user.id, code) == "right"
        assert self.check(room, user.id, code) == "invalid_code"

    def test_once_a_minute(self, room: Room) -> None:
        user = room.register()
        self.ask(room, user.id)
        room.clock.advance(seconds=20)
        assert self.ask(room, user.id) == RequestedCode("rate_limited", 40)
        room.clock.advance(seconds=40)
        assert self.ask(room, user.id) == RequestedCode("requested")

    def test_the_subject_must_match(self, room: Room) -> None:
        user = room.register()
        self.ask(room, user.id)
        code = room.code(user, "pin_reset")
        assert self.check(room, user.id, code, "acc_2") == "invalid_code"
        assert self.check(room, user.id, code) == "right"

    def test_a_code_for_another_subject_takes_the_place_of_the_first(self, room: Room) -> None:
        user = room.register()
        self.ask(room, user.id)
        first = room.code(user, "pin_reset")
        self.ask(room, user.id, "acc_2")
        assert self.check(room, user.id, first) == "invalid_code"
        assert self.check(room, user.id, room.code(user, "pin_reset"), "acc_2") == "right"

    def test_five_tries_and_ten_minutes(self, room: Room) -> None:
        user = room.register()
        self.ask(room, user.id)
        code = room.code(user, "pin_reset")
        room.clock.advance(minutes=10)
        assert self.check(room, user.id, code) == "code_expired"
        for _ in range(4):
            assert self.check(room, user.id, WRONG) == "invalid_code"
        assert self.check(room, user.id, code) == "invalid_code"

    def test_for_nobody_it_looks_the_same(self, room: Room) -> None:
        assert self.ask(room, "usr_x") == RequestedCode("requested")
        assert self.ask(room, "usr_x").outcome == "rate_limited"
        assert self.check(room, "usr_x", "000000") == "invalid_code"
        assert not room.store.events

    def test_a_code_to_an_address_that_has_changed_is_void(self, room: Room) -> None:
        user = room.register()
        self.ask(room, user.id)
        code = room.code(user, "pin_reset")
        become = replace(user, email="new@example.com")
        room.store.before("use_code", lambda: room.store.users.update({user.id: become}))
        assert self.check(room, user.id, code) == "invalid_code"

    def test_a_fault_is_no_answer(self, room: Room) -> None:
        user = room.register()
        room.store.before("ask", *[stale] * 100)
        refused("unavailable", self.ask, room, user.id)
        room.store.before("ask")
        self.ask(room, user.id)
        room.store.before("use_code", *[stale] * 100)
        refused("unavailable", self.check, room, user.id, room.code(user, "pin_reset"))


def stale() -> None:
    raise Stale
