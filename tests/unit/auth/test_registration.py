from dataclasses import replace

import pytest
from common.errors import Contended, Refusal

from functions.auth.domain.users import User
from tests.unit.auth.world import ANONYMOUS, EMAIL, PASSWORD, World, conflict, refused


def test_a_new_user_is_an_unverified_customer_and_both_events_name_the_actor(world: World) -> None:
    user = world.register(phone="+4915112345678")
    assert (user.role, user.status, user.second_factor) == ("customer", "active", "none")
    assert (user.email_verified, user.phone_verified, user.phone) == (False, False, "+4915112345678")
    assert world.store.user_by_email(EMAIL) == world.store.user_by_phone("+4915112345678") == user
    registered, requested = world.stored.events
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
        "challenge_id": world.challenge_id(user),
        "user_id": user.id,
        "purpose": "verify_email",
    }
    assert registered.actor == requested.actor == ANONYMOUS


def test_an_email_and_a_phone_are_taken_once_even_while_unverified(world: World) -> None:
    world.register(phone="+4915112345678")
    refused("email_taken", world.register)
    refused("phone_taken", world.register, "grace@example.com", "a password of hers", "+4915112345678")
    assert len(world.stored.users) == 1
    assert len(world.stored.events) == 2


def test_who_registers_a_moment_earlier_wins(world: World) -> None:
    world.before_write("email", world.register)
    refused("email_taken", world.register)
    assert len(world.stored.users) == 1


@pytest.mark.parametrize("same", ["email", "phone"])
def test_of_fifty_parallel_registrations_one_wins(world: World, same: str) -> None:
    refusals: list[str] = []

    def register(number: int) -> None:
        email = EMAIL if same == "email" else f"user{number}@example.com"
        phone = "+4915112345678" if same == "phone" else None
        try:
            world.register(email, phone=phone)
        except Refusal as problem:
            refusals.append(problem.code)

    # Each of them finds the address free before the others register.
    world.before_write("email", *[lambda number=number: register(number) for number in range(1, 50)])
    register(0)
    assert refusals == [f"{same}_taken"] * 49
    assert len(world.stored.users) == 1
    assert world.stored.event_types() == ["user.registered", "code.requested"]


def test_a_weak_password_is_refused_before_anything_is_looked_up(world: World) -> None:
    world.register()
    before = len(world.table.calls)
    for email in (EMAIL, "nobody@example.com"):
        refused("weak_password", world.register, email, "password1")
    assert len(world.table.calls) == before


class TestPerAddress:
    def register(self, world: World, number: int, ip: str = "203.0.113.7") -> None:
        world.registration.register(
            replace(ANONYMOUS, ip=ip),
            email=f"user{number}@example.com",
            password=PASSWORD,
            first_name="Ada",
            last_name="Lovelace",
            phone=None,
        )

    def test_an_address_registers_so_many_users_an_hour(self, world: World) -> None:
        world.registration._per_address = 20
        for number in range(20):
            self.register(world, number)
        problem = refused("rate_limited", self.register, world, 20)
        assert problem.retry_after == 1800
        assert len(world.stored.users) == 20
        self.register(world, 20, "203.0.113.8")
        world.clock.advance(minutes=29, seconds=59)
        refused("rate_limited", self.register, world, 21)
        world.clock.advance(seconds=1)
        self.register(world, 21)

    def test_taken_addresses_count_too(self, world: World) -> None:
        world.register()
        world.registration._per_address = 3
        for _ in range(2):
            refused("email_taken", world.register)
        refused("rate_limited", world.register)

    def test_the_address_is_not_stored(self, world: World) -> None:
        world.register()
        assert "203.0.113.7" not in str([item for item in world.table.items() if item["sk"] == "T"])


@pytest.mark.parametrize(
    "password",
    ["password1", "PassWord1", EMAIL, "Ada@Example.COM", "adalovelace", "Lovelace-1815", "!!Lovelace Ada!!"],
)
def test_common_passwords_and_the_users_own_name_and_email_are_refused(world: World, password: str) -> None:
    refused("weak_password", world.register, EMAIL, password)
    assert not world.stored.users
    assert not world.stored.events


@pytest.mark.parametrize("password", ["correct horse", "lovely lace", "8675309867", "ada loves numbers"])
def test_any_other_password_is_accepted(world: World, password: str) -> None:
    assert world.register(password=password).password_hash == f"digest of {password}"


def test_a_password_never_shows_in_a_repr(world: World) -> None:
    assert "digest of" not in repr(world.register())


def test_a_mailed_code_verifies_the_address(world: World) -> None:
    user = world.register()
    world.clock.advance(minutes=1)
    world.verify(world.code(user))
    verified = world.stored.users[user.id]
    assert verified == replace(user, email_verified=True, sequence=2, updated_at="2026-11-21T09:31:00.000Z")
    assert world.stored.event_types() == ["user.registered", "code.requested", "user.verified"]
    assert world.stored.events[-1].sequence == 2
    assert world.stored.events[-1].data["email_verified"] is True
    assert world.store.attempts(user.id, "verify_email").wrong == ()  # type: ignore[union-attr]


def test_a_code_is_accepted_once(world: World) -> None:
    code = world.code(world.register())
    world.verify(code)
    refused("invalid_code", world.verify, code)
    assert world.stored.event_types().count("user.verified") == 1


def test_two_parallel_verifications_verify_once(world: World) -> None:
    code = world.code(world.register())
    world.before_write("user", lambda: world.verify(code))
    refused("invalid_code", world.verify, code)
    assert world.stored.event_types().count("user.verified") == 1


def test_a_code_replaced_while_it_is_tried_is_void(world: World) -> None:
    user = world.register()
    code = world.code(user)
    world.before_write("user", lambda: world.code(user))
    refused("invalid_code", world.verify, code)
    assert not world.stored.users[user.id].email_verified


def test_a_parallel_change_of_the_user_is_kept(world: World) -> None:
    user = world.register()
    code = world.code(user)

    def rename() -> None:
        world.put_user(replace(user, first_name="Augusta", sequence=2))

    world.before_write("user", rename)
    world.verify(code)
    verified = world.stored.users[user.id]
    assert (verified.first_name, verified.email_verified, verified.sequence) == ("Augusta", True, 3)


@pytest.mark.parametrize("gone", [True, False])
def test_a_code_proves_only_the_address_it_was_sent_to(world: World, gone: bool) -> None:
    user = world.register()
    code = world.code(user)

    def change() -> None:
        if gone:
            world.remove("user")
        else:
            world.put_user(replace(user, email="new@example.com", sequence=2))
        conflict()

    world.before_write("user", change)
    refused("invalid_code", world.verify, code)
    assert "user.verified" not in world.stored.event_types()


def test_an_unknown_address_and_one_without_a_code_look_like_a_wrong_code(world: World) -> None:
    world.register()
    refused("invalid_code", world.verify, "000000", "nobody@example.com")
    refused("invalid_code", world.verify, "000000")


def test_repeated_conflicts_are_a_fault(world: World) -> None:
    user = world.register()
    code = world.code(user)
    world.before_write("user", *[conflict] * 16)
    with pytest.raises(Contended):
        world.verify(code)
    assert not world.stored.users[user.id].email_verified


class TestResend:
    def resend(self, world: World, email: str = EMAIL) -> None:
        world.registration.resend_code(ANONYMOUS, email)

    def asked(self, world: World) -> list[int]:
        return [event.sequence for event in world.stored.events if event.type == "code.requested"]

    def test_requests_another_code_for_the_same_challenge(self, world: World) -> None:
        user = world.register()
        before = world.challenge_id(user)
        self.resend(world)
        assert self.asked(world) == [1, 2]
        assert world.challenge_id(user) == before
        assert len({event.id for event in world.stored.events}) == len(world.stored.events)

    @pytest.mark.parametrize("known", [True, False])
    def test_is_refused_within_a_minute_for_known_and_unknown_emails(self, world: World, known: bool) -> None:
        if known:
            world.register()
        self.resend(world)
        world.clock.advance(seconds=12.5)
        assert refused("rate_limited", self.resend, world).retry_after == 48
        assert self.asked(world) == ([1, 2] if known else [])
        world.clock.advance(seconds=47.5)
        self.resend(world)
        assert self.asked(world) == ([1, 2, 3] if known else [])

    def test_one_address_does_not_block_another(self, world: World) -> None:
        self.resend(world)
        self.resend(world, "nobody@example.com")
        keys = [item["pk"] for item in world.stored.items("code request")]
        assert len(keys) == 2
        assert not any("@" in key for key in keys)

    def test_two_parallel_requests_send_one_code(self, world: World) -> None:
        world.register()
        world.before_write("code request", lambda: self.resend(world))
        refused("rate_limited", self.resend, world)
        assert self.asked(world) == [1, 2]

    def test_does_nothing_for_a_verified_user(self, world: World) -> None:
        user = world.register()
        world.verify(world.code(user))
        self.resend(world)
        assert self.asked(world) == [1]
        refused("rate_limited", self.resend, world)

    def test_opens_a_new_challenge_if_the_tries_are_used_up(self, world: World) -> None:
        user = world.register()
        first = world.challenge_id(user)
        spend(world, user)
        self.resend(world)
        assert world.challenge_id(user) != first
        assert self.asked(world) == [1, 1]
        world.verify(world.code(user))
        assert world.stored.users[user.id].email_verified

    def test_opens_a_new_challenge_if_the_old_one_has_expired(self, world: World) -> None:
        user = world.register()
        world.remove("challenge")
        self.resend(world)
        world.verify(world.code(user))
        assert world.stored.users[user.id].email_verified

    def test_opens_the_first_challenge_if_there_is_none(self, world: World) -> None:
        user = world.register()
        world.remove("challenge")
        world.remove("attempts")
        self.resend(world)
        world.verify(world.code(user))
        assert world.stored.users[user.id].email_verified

    def test_reads_again_when_the_challenge_changes_meanwhile(self, world: World) -> None:
        user = world.register()
        world.before_write("code request", lambda: spend(world, user))
        self.resend(world)
        assert self.asked(world) == [1, 1]

    def test_mails_nothing_after_the_daily_limit(self, world: World) -> None:
        user = world.register()
        spend(world, user)
        self.resend(world)
        spend(world, user)
        world.clock.advance(minutes=2)
        self.resend(world)
        assert self.asked(world) == [1, 1]
        world.clock.advance(hours=24)
        self.resend(world)
        assert self.asked(world) == [1, 1, 1]


def spend(world: World, user: User) -> None:
    """Use up the tries of the user's open challenge."""
    wrong = f"9{world.code(user)[1:]}"
    for _ in range(5):
        refused("invalid_code", world.verify, wrong)
