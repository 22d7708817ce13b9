from dataclasses import replace

import pytest
from common.errors import Problem

from functions.auth.domain import Stale
from functions.auth.domain.users import User
from tests.unit.auth.fakes import STRANGER
from tests.unit.auth.room import EMAIL, Room, refused


def stale() -> None:
    raise Stale


def test_a_new_user_is_an_unverified_customer_and_both_events_say_who_caused_them(room: Room) -> None:
    user = room.register(phone="+4915112345678")
    assert (user.role, user.status, user.second_factor) == ("customer", "active", "none")
    assert (user.email_verified, user.phone_verified, user.phone) == (False, False, "+4915112345678")
    assert room.store.user_by_email(EMAIL) == room.store.user_by_phone("+4915112345678") == user
    registered, requested = room.store.events
    assert (registered.type, registered.subject, registered.sequence) == ("user.registered", user.id, 1)
    assert registered.data == {
        "user_id": user.id,
        "email": EMAIL,
        "email_verified": False,
        "phone": "+4915112345678",
        "phone_verified": False,
        "first_name": "Ada",
        "last_name": "Lovelace",
        "role": "customer",
        "status": "active",
        "changed": [],
    }
    assert (requested.type, requested.sequence) == ("code.requested", 1)
    assert requested.data == {
        "challenge_id": room.challenge_id(user),
        "user_id": user.id,
        "purpose": "verify_email",
    }
    assert registered.actor == requested.actor == STRANGER


def test_an_email_and_a_phone_are_taken_once_even_while_unverified(room: Room) -> None:
    room.register(phone="+4915112345678")
    refused("email_taken", room.register)
    refused("phone_taken", room.register, "grace@example.com", "a password of hers", "+4915112345678")
    assert len(room.store.users) == 1
    assert len(room.store.events) == 2


def test_who_registers_a_moment_earlier_wins(room: Room) -> None:
    room.store.before("add_user", room.register)
    refused("email_taken", room.register)
    assert len(room.store.users) == 1


@pytest.mark.parametrize("same", ["email", "phone"])
def test_of_fifty_who_register_one_address_at_once_one_wins(room: Room, same: str) -> None:
    refusals: list[str] = []

    def register(number: int) -> None:
        email = EMAIL if same == "email" else f"user{number}@example.com"
        phone = "+4915112345678" if same == "phone" else None
        try:
            room.register(email, phone=phone)
        except Problem as problem:
            refusals.append(problem.code)

    # Each finds the address free, and then all the others come in between.
    room.store.before("add_user", *[lambda number=number: register(number) for number in range(1, 50)])
    register(0)
    assert refusals == [f"{same}_taken"] * 49
    assert len(room.store.users) == 1
    assert room.store.types() == ["user.registered", "code.requested"]


def test_a_taken_email_is_told_before_a_weak_password(room: Room) -> None:
    room.register()
    refused("email_taken", room.register, EMAIL, "password1")


@pytest.mark.parametrize(
    "password",
    ["password1", "PassWord1", EMAIL, "Ada@Example.COM", "adalovelace", "Lovelace-1815", "!!Lovelace Ada!!"],
)
def test_common_passwords_and_the_users_own_name_and_email_are_refused(room: Room, password: str) -> None:
    refused("weak_password", room.register, EMAIL, password)
    assert not room.store.users
    assert not room.store.events


@pytest.mark.parametrize("password", ["correct horse", "lovely lace", "8675309867", "ada loves numbers"])
def test_any_other_password_is_fine(room: Room, password: str) -> None:
    assert room.register(password=password).password_hash == f"digest of {password}"


def test_a_password_never_shows_in_a_repr(room: Room) -> None:
    assert "digest of" not in repr(room.register())


def test_a_mailed_code_verifies_the_address(room: Room) -> None:
    user = room.register()
    room.clock.advance(minutes=1)
    room.verify(room.mint(user))
    verified = room.store.users[user.id]
    assert verified == replace(user, email_verified=True, sequence=2, updated_at="2026-11-21T09:31:00.000Z")
    assert room.store.types() == ["user.registered", "code.requested", "user.verified"]
    assert room.store.events[-1].sequence == 2
    assert room.store.events[-1].data["email_verified"] is True
    assert room.store.attempts(user.id, "verify_email").wrong == ()  # type: ignore[union-attr]


def test_a_code_is_good_once(room: Room) -> None:
    code = room.mint(room.register())
    room.verify(code)
    refused("invalid_code", room.verify, code)
    assert room.store.types().count("user.verified") == 1


def test_two_who_send_the_right_code_at_once_verify_once(room: Room) -> None:
    code = room.mint(room.register())
    room.store.before("revise", lambda: room.verify(code))
    refused("invalid_code", room.verify, code)
    assert room.store.types().count("user.verified") == 1


def test_a_code_replaced_while_it_is_tried_is_void(room: Room) -> None:
    user = room.register()
    code = room.mint(user)
    room.store.before("revise", lambda: room.mint(user))
    refused("invalid_code", room.verify, code)
    assert not room.store.users[user.id].email_verified


def test_a_user_who_changes_meanwhile_keeps_the_change(room: Room) -> None:
    user = room.register()
    code = room.mint(user)

    def rename() -> None:
        room.store.users[user.id] = replace(user, first_name="Augusta", sequence=2)

    room.store.before("revise", rename)
    room.verify(code)
    verified = room.store.users[user.id]
    assert (verified.first_name, verified.email_verified, verified.sequence) == ("Augusta", True, 3)


@pytest.mark.parametrize("gone", [True, False])
def test_a_code_proves_only_the_address_it_was_sent_to(room: Room, gone: bool) -> None:
    user = room.register()
    code = room.mint(user)

    def change() -> None:
        if gone:
            del room.store.users[user.id]
        else:
            room.store.users[user.id] = replace(user, email="new@example.com", sequence=2)
        stale()

    room.store.before("revise", change)
    refused("invalid_code", room.verify, code)
    assert "user.verified" not in room.store.types()


def test_an_unknown_address_and_one_without_a_code_look_like_a_wrong_code(room: Room) -> None:
    room.register()
    refused("invalid_code", room.verify, "000000", "nobody@example.com")
    refused("invalid_code", room.verify, "000000")


def test_patience_ends(room: Room) -> None:
    user = room.register()
    code = room.mint(user)
    room.store.before("revise", *[stale] * 100)
    assert refused("unavailable", room.verify, code).retry_after == 1
    assert not room.store.users[user.id].email_verified


class TestResend:
    def resend(self, room: Room, email: str = EMAIL) -> None:
        room.registration.resend(STRANGER, email)

    def asked(self, room: Room) -> list[int]:
        return [event.sequence for event in room.store.events if event.type == "code.requested"]

    def test_asks_for_another_code_of_the_same_challenge(self, room: Room) -> None:
        user = room.register()
        before = room.challenge_id(user)
        self.resend(room)
        assert self.asked(room) == [1, 2]
        assert room.challenge_id(user) == before
        assert len({event.id for event in room.store.events}) == len(room.store.events)

    @pytest.mark.parametrize("known", [True, False])
    def test_is_refused_within_a_minute_whoever_asks(self, room: Room, known: bool) -> None:
        if known:
            room.register()
        self.resend(room)
        room.clock.advance(seconds=12.5)
        assert refused("rate_limited", self.resend, room).retry_after == 48
        assert self.asked(room) == ([1, 2] if known else [])
        room.clock.advance(seconds=47.5)
        self.resend(room)
        assert self.asked(room) == ([1, 2, 3] if known else [])

    def test_one_address_does_not_hold_up_another(self, room: Room) -> None:
        self.resend(room)
        self.resend(room, "nobody@example.com")
        assert len(room.store.asked) == 2
        assert not any("@" in key for key in room.store.asked)

    def test_two_at_once_ask_once(self, room: Room) -> None:
        room.register()
        room.store.before("ask", lambda: self.resend(room))
        refused("rate_limited", self.resend, room)
        assert self.asked(room) == [1, 2]

    def test_does_nothing_for_who_is_verified(self, room: Room) -> None:
        user = room.register()
        room.verify(room.mint(user))
        self.resend(room)
        assert self.asked(room) == [1]
        refused("rate_limited", self.resend, room)

    def test_opens_a_new_challenge_when_the_tries_are_spent(self, room: Room) -> None:
        user = room.register()
        first = room.challenge_id(user)
        spend(room, user)
        self.resend(room)
        assert room.challenge_id(user) != first
        assert self.asked(room) == [1, 1]
        room.verify(room.mint(user))
        assert room.store.users[user.id].email_verified

    def test_opens_a_new_challenge_when_the_old_one_has_gone(self, room: Room) -> None:
        user = room.register()
        room.store.challenges.clear()
        self.resend(room)
        room.verify(room.mint(user))
        assert room.store.users[user.id].email_verified

    def test_opens_the_first_challenge_where_there_is_none(self, room: Room) -> None:
        user = room.register()
        room.store.challenges.clear()
        room.store.open_attempts.clear()
        self.resend(room)
        room.verify(room.mint(user))
        assert room.store.users[user.id].email_verified

    def test_reads_again_when_the_challenge_changes_meanwhile(self, room: Room) -> None:
        user = room.register()
        room.store.before("ask", lambda: spend(room, user))
        self.resend(room)
        assert self.asked(room) == [1, 1]

    def test_mails_nothing_once_the_days_tries_are_spent(self, room: Room) -> None:
        user = room.register()
        spend(room, user)
        self.resend(room)
        spend(room, user)
        room.clock.advance(minutes=2)
        self.resend(room)
        assert self.asked(room) == [1, 1]
        room.clock.advance(hours=24)
        self.resend(room)
        assert self.asked(room) == [1, 1, 1]


def spend(room: Room, user: User) -> None:
    """Uses up the tries of the user's open challenge."""
    wrong = f"9{room.mint(user)[1:]}"
    for _ in range(5):
        refused("invalid_code", room.verify, wrong)
