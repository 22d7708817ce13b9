import pytest
from common.events import Event
from common.tasks import MintCode

from functions.auth.domain.codes import Attempts, Challenge
from tests.unit.auth.fakes import STRANGER
from tests.unit.auth.room import Room, refused

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


def test_guesses_at_once_share_five_tries(room: Room) -> None:
    code = room.mint(room.register())
    guesses = [lambda: refused("invalid_code", room.verify, WRONG)] * 5
    room.store.before("count_try", *guesses)
    refused("invalid_code", room.verify, code)
    assert tries(room) == 5


def test_a_try_that_found_the_count_stale_counts_once(room: Room) -> None:
    user = room.register()
    code = room.mint(user)
    room.store.before("count_try", lambda: refused("invalid_code", room.verify, WRONG))
    room.verify(code)
    assert tries(room) == 2
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
    for challenge in range(3):
        code = room.mint(user)
        for _ in range(4 if challenge < 2 else 2):
            refused("invalid_code", room.verify, WRONG)
        if challenge < 2:
            room.verify(code)
            room.clock.advance(minutes=1)
            room.store.ask("other", room.clock(), *room_again(room, user.id))
    refused("invalid_code", room.verify, room.mint(user))
    assert len(room.store.open_attempts[user.id, "verify_email"].wrong) == 10
    room.clock.advance(hours=24)
    room.verify(room.mint(user))


def room_again(room: Room, user_id: str) -> tuple[Challenge, Attempts, Event]:
    """Another challenge of a purpose whose last one was passed, as a second login would ask for."""
    challenge, _ = room.codes.first(user_id, "verify_email", "ada@example.com", room.clock())
    attempts = room.store.open_attempts[user_id, "verify_email"].moved_to(challenge.id)
    return challenge, attempts, challenge.event(room.clock(), STRANGER)


@pytest.mark.parametrize("code", ["", "12345", "0000000", "½½½½½½"])
def test_what_is_no_code_is_a_wrong_code(room: Room, code: str) -> None:
    room.mint(room.register())
    refused("invalid_code", room.verify, code)
