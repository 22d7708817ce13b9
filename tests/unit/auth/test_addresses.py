from dataclasses import replace

import pytest
from common.contracts.events import SYSTEM

from functions.auth.domain.users import User
from functions.auth.store.items import keyed
from functions.auth.store.keys import email_key
from tests.unit.auth.world import ANONYMOUS, EMAIL, PASSWORD, World, refused, repeat

NEW = "countess@example.com"
PHONE = "+4915112345678"
OTHER = "+14155550100"
WRONG = "999999"


@pytest.fixture
def ada(world: World) -> User:
    return world.verified()


class TestEmail:
    def change(self, world: World, user: User, email: str = NEW, password: str = PASSWORD) -> None:
        world.addresses.change_email(ANONYMOUS, user.id, email, password)

    def confirm(self, world: World, user: User, code: str) -> User:
        return world.addresses.confirm_email(ANONYMOUS, user.id, code)

    def code(self, world: World, user: User) -> str:
        return world.code(user, "change_email")

    def test_a_code_goes_to_the_new_address_and_nothing_changes_yet(self, world: World, ada: User) -> None:
        self.change(world, ada)
        event = world.stored.events[-1]
        assert (event.type, event.data["purpose"], event.actor) == ("code.requested", "change_email", ANONYMOUS)
        challenge = world.stored.challenges[event.subject]
        assert challenge.address == NEW
        assert world.stored.users[ada.id] == ada
        assert world.store.user_by_email(NEW) is None

    def test_a_password_reset_voids_an_open_change(self, world: World, ada: User) -> None:
        self.change(world, ada)
        code = self.code(world, ada)
        world.passwords.forgot(ANONYMOUS, EMAIL)
        world.passwords.reset(ANONYMOUS, EMAIL, world.code(ada, "reset_password"), "difference engine")
        refused("invalid_code", self.confirm, world, ada, code)
        assert world.stored.users[ada.id].email == EMAIL

    def test_a_password_reset_during_the_confirmation_voids_the_change(self, world: World, ada: User) -> None:
        self.change(world, ada)
        code = self.code(world, ada)
        reset = replace(ada, sequence=ada.sequence + 1, generation=ada.generation + 1)
        world.before_write("user", lambda: world.put_user(reset))
        refused("invalid_code", self.confirm, world, ada, code)

    def test_a_correct_code_sets_the_verified_address_and_frees_the_old_one(self, world: World, ada: User) -> None:
        self.change(world, ada)
        changed = self.confirm(world, ada, self.code(world, ada))
        assert (changed.email, changed.email_verified) == (NEW, True)
        assert world.store.user_by_email(NEW) == changed
        assert world.store.user_by_email(EMAIL) is None
        event = world.stored.events[-1]
        assert (event.type, event.data["changed"], event.data["email"]) == ("user.updated", ["email"], NEW)
        assert event.data["previous_email"] == EMAIL
        assert (event.actor, event.sequence) == (ANONYMOUS, ada.sequence + 1)
        world.login(email=NEW)
        world.register()

    def test_confirming_the_address_verifies_an_unverified_user(self, world: World) -> None:
        user = world.register()
        self.change(world, user)
        assert self.confirm(world, user, self.code(world, user)).email_verified

    def test_a_taken_address_is_refused_only_after_the_password(self, world: World, ada: User) -> None:
        world.register(NEW)
        refused("invalid_credentials", self.change, world, ada, NEW, "wrong words")
        refused("email_taken", self.change, world, ada)
        refused("email_taken", self.change, world, ada, EMAIL)

    def test_twenty_addresses_a_day_can_be_tried_whether_they_are_taken_or_not(self, world: World, ada: User) -> None:
        world.register("bob@example.com")
        for _ in range(20):
            refused("email_taken", world.addresses.change_email, ANONYMOUS, ada.id, "bob@example.com", PASSWORD)
        refused("rate_limited", world.addresses.change_email, ANONYMOUS, ada.id, "bob@example.com", PASSWORD)
        refused("rate_limited", world.addresses.change_email, ANONYMOUS, ada.id, "free@example.com", PASSWORD)
        world.clock.advance(days=1)
        refused("email_taken", world.addresses.change_email, ANONYMOUS, ada.id, "bob@example.com", PASSWORD)

    def test_an_address_that_was_registered_meanwhile_is_refused(self, world: World, ada: User) -> None:
        self.change(world, ada)
        code = self.code(world, ada)
        world.before_write("user", lambda: world.register(NEW))
        refused("email_taken", self.confirm, world, ada, code)
        assert world.stored.users[ada.id] == ada
        assert world.store.user_by_email(EMAIL) == ada

    def test_of_two_users_who_confirm_the_same_address_one_gets_it(self, world: World, ada: User) -> None:
        eve = world.verified("eve@example.com")
        for user in (ada, eve):
            self.change(world, user)
        codes = self.code(world, ada), self.code(world, eve)
        world.before_write("user", lambda: self.confirm(world, eve, codes[1]))
        refused("email_taken", self.confirm, world, ada, codes[0])
        assert world.store.user_by_email(NEW) == world.stored.users[eve.id]

    def test_a_wrong_password_counts_as_a_failed_login(self, world: World, ada: User) -> None:
        for _ in range(5):
            refused("invalid_credentials", self.change, world, ada, NEW, "wrong words")
        refused("rate_limited", self.change, world, ada)
        refused("rate_limited", world.login)

    def test_a_correct_password_after_five_parallel_failures_waits(self, world: World, ada: User) -> None:
        world.before_write(
            "code request", repeat(5, "invalid_credentials", self.change, world, ada, NEW, "wrong words")
        )
        assert refused("rate_limited", self.change, world, ada).retry_after == 30
        assert world.store.attempts(ada.id, "change_email") is None

    def test_a_password_change_meanwhile_requests_no_code(self, world: World, ada: User) -> None:
        changed = replace(ada, password_hash="another", sequence=ada.sequence + 1)
        world.hasher.meanwhile = lambda: world.put_user(changed)
        refused("invalid_credentials", self.change, world, ada)
        assert world.store.attempts(ada.id, "change_email") is None

    def test_a_code_can_be_requested_once_a_minute_for_any_address(self, world: World, ada: User) -> None:
        self.change(world, ada)
        refused("rate_limited", self.change, world, ada, "third@example.com")
        world.clock.advance(minutes=1)
        self.change(world, ada, "third@example.com")

    def test_a_user_mails_ten_new_addresses_a_day_and_an_address_gets_ten_mails(self, world: World, ada: User) -> None:
        eve = world.verified("eve@example.com")
        for number in range(10):
            self.change(world, ada, NEW if number < 6 else f"new{number}@example.com")
            world.clock.advance(minutes=1)
        refused("rate_limited", self.change, world, ada, "third@example.com")
        for _ in range(4):
            self.change(world, eve)
            world.clock.advance(minutes=1)
        refused("rate_limited", self.change, world, eve)
        self.change(world, eve, "third@example.com")

    def test_a_later_address_replaces_the_first(self, world: World, ada: User) -> None:
        self.change(world, ada)
        first = self.code(world, ada)
        world.clock.advance(minutes=1)
        self.change(world, ada, "third@example.com")
        refused("invalid_code", self.confirm, world, ada, first)
        assert self.confirm(world, ada, self.code(world, ada)).email == "third@example.com"

    def test_the_same_address_again_continues_the_challenge(self, world: World, ada: User) -> None:
        self.change(world, ada)
        first = self.code(world, ada)
        refused("invalid_code", self.confirm, world, ada, WRONG)
        world.clock.advance(minutes=1)
        self.change(world, ada)
        assert [each.asked for each in world.stored.challenges.values() if each.purpose == "change_email"] == [2]
        second = self.code(world, ada)
        assert first != second
        self.confirm(world, ada, second)

    def test_a_challenge_allows_five_tries(self, world: World, ada: User) -> None:
        self.change(world, ada)
        code = self.code(world, ada)
        for _ in range(5):
            refused("invalid_code", self.confirm, world, ada, WRONG)
        refused("invalid_code", self.confirm, world, ada, code)

    def test_a_user_and_an_open_challenge_are_required(self, world: World, ada: User) -> None:
        refused("invalid_code", self.confirm, world, ada, WRONG)
        self.change(world, ada)
        code = self.code(world, ada)
        world.remove("user")
        refused("invalid_code", self.confirm, world, ada, code)
        refused("unauthenticated", self.change, world, ada)

    def test_codes_to_the_old_address_are_void_after_the_change(self, world: World) -> None:
        user = world.register()
        verification = world.code(user)
        world.passwords.forgot(ANONYMOUS, EMAIL)
        reset = world.code(user, "reset_password")
        self.change(world, user)
        self.confirm(world, user, self.code(world, user))
        refused("invalid_code", world.verify, verification, NEW)
        refused("invalid_code", world.passwords.reset, ANONYMOUS, NEW, reset, "some other words")
        world.passwords.forgot(ANONYMOUS, NEW)
        world.passwords.reset(ANONYMOUS, NEW, world.code(user, "reset_password"), "some other words")


class TestPhone:
    def set(self, world: World, user: User, phone: str = PHONE) -> None:
        world.addresses.set_phone(ANONYMOUS, user.id, phone)

    def confirm(self, world: World, user: User, code: str) -> User:
        return world.addresses.confirm_phone(ANONYMOUS, user.id, code)

    def code(self, world: World, user: User) -> str:
        return world.code(user, "verify_phone")

    def given(self, world: World, user: User, phone: str = PHONE) -> User:
        self.set(world, user, phone)
        return self.confirm(world, user, self.code(world, user))

    def test_a_code_goes_to_the_number_and_nothing_changes_yet(self, world: World, ada: User) -> None:
        self.set(world, ada)
        event = world.stored.events[-1]
        assert (event.type, event.data["purpose"], event.actor) == ("code.requested", "verify_phone", ANONYMOUS)
        assert world.stored.challenges[event.subject].address == PHONE
        assert world.stored.users[ada.id] == ada
        assert world.store.user_by_phone(PHONE) is None

    def test_a_correct_code_sets_the_number_and_publishes_an_event(self, world: World, ada: User) -> None:
        changed = self.given(world, ada)
        assert (changed.phone, changed.phone_verified) == (PHONE, True)
        assert world.store.user_by_phone(PHONE) == changed
        event = world.stored.events[-1]
        assert (event.type, event.data["changed"], event.data["phone"]) == ("user.updated", ["phone"], PHONE)
        assert event.actor == ANONYMOUS

    def test_the_number_of_the_registration_can_be_verified(self, world: World) -> None:
        user = world.register(phone=PHONE)
        assert self.given(world, user).phone_verified

    def test_a_new_number_frees_the_old_one(self, world: World, ada: User) -> None:
        self.given(world, ada)
        world.clock.advance(minutes=1)
        assert self.given(world, ada, OTHER).phone == OTHER
        assert world.store.user_by_phone(PHONE) is None
        eve = world.register("eve@example.com", phone=PHONE)
        assert world.store.user_by_phone(PHONE) == eve

    def test_a_number_that_was_never_verified_moves_to_the_user_who_verifies_it(self, world: World, ada: User) -> None:
        eve = world.register("eve@example.com", phone=PHONE)
        self.set(world, ada)
        assert world.stored.users[eve.id].phone == PHONE
        self.confirm(world, ada, self.code(world, ada))
        lost = world.stored.users[eve.id]
        assert (lost.phone, lost.phone_verified, lost.sequence) == (None, False, 2)
        assert world.store.user_by_phone(PHONE) == world.stored.users[ada.id]
        taken, lost_event = world.stored.events[-2:]
        assert (taken.subject, taken.data["phone"], taken.actor) == (ada.id, PHONE, ANONYMOUS)
        assert (lost_event.subject, lost_event.type, lost_event.data["phone"]) == (eve.id, "user.updated", None)
        assert (lost_event.data["changed"], lost_event.actor) == (["phone"], SYSTEM)

    def test_a_number_that_another_user_verified_is_taken(self, world: World, ada: User) -> None:
        eve = world.verified("eve@example.com")
        self.given(world, eve)
        refused("phone_taken", self.set, world, ada)

    def test_a_number_that_another_user_verifies_meanwhile_is_taken(self, world: World, ada: User) -> None:
        eve = world.register("eve@example.com", phone=PHONE)
        self.set(world, ada)
        self.set(world, eve)
        codes = self.code(world, ada), self.code(world, eve)
        world.before_write("user", lambda: self.confirm(world, eve, codes[1]))
        refused("phone_taken", self.confirm, world, ada, codes[0])
        assert world.stored.users[eve.id].phone_verified
        assert world.stored.users[ada.id] == ada

    def test_a_number_that_is_registered_meanwhile_still_moves(self, world: World, ada: User) -> None:
        self.set(world, ada)
        code = self.code(world, ada)
        world.before_write("user", lambda: world.register("eve@example.com", phone=PHONE))
        assert self.confirm(world, ada, code).phone == PHONE
        (eve,) = [user for user in world.stored.users.values() if user.id != ada.id]
        assert eve.phone is None

    def test_a_previous_owner_keeps_a_parallel_change(self, world: World, ada: User) -> None:
        eve = world.register("eve@example.com", phone=PHONE)
        renamed = replace(eve, first_name="Evelyn", sequence=2)
        self.set(world, ada)
        code = self.code(world, ada)
        world.before_write("user", lambda: world.put_user(renamed))
        self.confirm(world, ada, code)
        assert (world.stored.users[eve.id].first_name, world.stored.users[eve.id].phone) == ("Evelyn", None)

    def test_a_code_can_be_requested_once_a_minute(self, world: World, ada: User) -> None:
        self.set(world, ada)
        refused("rate_limited", self.set, world, ada, OTHER)

    def test_a_number_gets_three_texts_a_day_whoever_asks(self, world: World, ada: User) -> None:
        eve = world.verified("eve@example.com")
        for user in (ada, eve, ada):
            self.set(world, user)
            world.clock.advance(minutes=1)
        before = len(world.stored.events)
        # It is 09:33 UTC.
        assert refused("rate_limited", self.set, world, eve).retry_after == (14 * 60 + 27) * 60
        assert len(world.stored.events) == before
        self.set(world, eve, OTHER)
        world.clock.advance(hours=14, minutes=27)
        self.set(world, eve)

    def test_a_user_has_ten_texts_a_day(self, world: World, ada: User) -> None:
        for number in range(10):
            self.set(world, ada, f"+1415555010{number}")
            world.clock.advance(minutes=1)
        refused("rate_limited", self.set, world, ada)
        world.clock.advance(hours=24)
        self.set(world, ada)

    def test_a_request_that_is_refused_takes_nothing_of_the_quota(self, world: World, ada: User) -> None:
        for _ in range(3):
            self.set(world, ada)
            for _ in range(5):
                refused("rate_limited", self.set, world, ada)
            world.clock.advance(minutes=1)

    def test_parallel_requests_share_the_quota(self, world: World, ada: User) -> None:
        users = [world.verified(f"user{number}@example.com") for number in range(3)]
        world.before_write("code request", *[lambda user=user: self.set(world, user) for user in users])
        refused("rate_limited", self.set, world, ada)

    def test_a_password_reset_voids_an_open_change(self, world: World, ada: User) -> None:
        self.set(world, ada)
        code = self.code(world, ada)
        world.passwords.forgot(ANONYMOUS, EMAIL)
        world.passwords.reset(ANONYMOUS, EMAIL, world.code(ada, "reset_password"), "difference engine")
        refused("invalid_code", self.confirm, world, ada, code)
        assert world.stored.users[ada.id].phone is None

    def test_a_change_of_email_does_not_void_an_open_change(self, world: World, ada: User) -> None:
        self.set(world, ada)
        code = self.code(world, ada)
        world.put_user(replace(ada, email=NEW))
        world.table.put(keyed(email_key(NEW), {"user_id": ada.id}))
        assert self.confirm(world, ada, code).phone == PHONE

    def test_a_deleted_user_is_refused(self, world: World) -> None:
        refused("unauthenticated", world.addresses.set_phone, ANONYMOUS, "usr_x", PHONE)
        refused("invalid_code", world.addresses.confirm_phone, ANONYMOUS, "usr_x", WRONG)
