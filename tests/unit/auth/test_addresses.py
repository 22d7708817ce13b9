from dataclasses import replace

import pytest
from common.events import SYSTEM

from functions.auth.domain.users import User
from tests.unit.auth.fakes import STRANGER
from tests.unit.auth.room import EMAIL, PASSWORD, Room, refused

NEW = "countess@example.com"
PHONE = "+4915112345678"
OTHER = "+14155550100"
WRONG = "999999"


@pytest.fixture
def ada(room: Room) -> User:
    return room.verified()


class TestEmail:
    def change(self, room: Room, user: User, email: str = NEW, password: str = PASSWORD) -> None:
        room.addresses.change_email(STRANGER, user.id, email, password)

    def confirm(self, room: Room, user: User, code: str) -> User:
        return room.addresses.confirm_email(STRANGER, user.id, code)

    def code(self, room: Room, user: User) -> str:
        return room.code(user, "change_email")

    def test_a_code_goes_to_the_new_address_and_nothing_changes_yet(self, room: Room, ada: User) -> None:
        self.change(room, ada)
        event = room.store.events[-1]
        assert (event.type, event.data["purpose"], event.actor) == ("code.requested", "change_email", STRANGER)
        challenge = room.store.challenges[event.subject]
        assert challenge.address == NEW
        assert room.store.users[ada.id] == ada
        assert room.store.user_by_email(NEW) is None

    def test_a_reset_of_the_password_voids_what_was_asked_for_before(self, room: Room, ada: User) -> None:
        self.change(room, ada)
        code = self.code(room, ada)
        room.password_changes.forgot(STRANGER, EMAIL)
        room.password_changes.reset(STRANGER, EMAIL, room.code(ada, "reset_password"), "difference engine")
        refused("invalid_code", self.confirm, room, ada, code)
        assert room.store.users[ada.id].email == EMAIL

    def test_a_reset_while_it_is_confirmed_voids_it(self, room: Room, ada: User) -> None:
        self.change(room, ada)
        code = self.code(room, ada)
        reset = replace(ada, sequence=ada.sequence + 1, generation=ada.generation + 1)
        room.store.before("change_email", lambda: room.store.users.update({ada.id: reset}))
        refused("invalid_code", self.confirm, room, ada, code)

    def test_the_code_makes_it_theirs_verified_and_frees_the_old(self, room: Room, ada: User) -> None:
        self.change(room, ada)
        changed = self.confirm(room, ada, self.code(room, ada))
        assert (changed.email, changed.email_verified) == (NEW, True)
        assert room.store.user_by_email(NEW) == changed
        assert room.store.user_by_email(EMAIL) is None
        event = room.store.events[-1]
        assert (event.type, event.data["changed"], event.data["email"]) == ("user.updated", ["email"], NEW)
        assert (event.actor, event.sequence) == (STRANGER, ada.sequence + 1)
        room.login(email=NEW)
        room.register()

    def test_an_unverified_user_is_verified_by_it(self, room: Room) -> None:
        user = room.register()
        self.change(room, user)
        assert self.confirm(room, user, self.code(room, user)).email_verified

    def test_taken_is_refused_after_the_password(self, room: Room, ada: User) -> None:
        room.register(NEW)
        refused("invalid_credentials", self.change, room, ada, NEW, "wrong words")
        refused("email_taken", self.change, room, ada)
        refused("email_taken", self.change, room, ada, EMAIL)

    def test_who_was_faster_has_it(self, room: Room, ada: User) -> None:
        self.change(room, ada)
        code = self.code(room, ada)
        room.store.before("change_email", lambda: room.register(NEW))
        refused("email_taken", self.confirm, room, ada, code)
        assert room.store.users[ada.id] == ada
        assert room.store.user_by_email(EMAIL) == ada

    def test_two_who_want_one_address_one_gets_it(self, room: Room, ada: User) -> None:
        eve = room.verified("eve@example.com")
        for user in (ada, eve):
            self.change(room, user)
        codes = self.code(room, ada), self.code(room, eve)
        room.store.before("change_email", lambda: self.confirm(room, eve, codes[1]))
        refused("email_taken", self.confirm, room, ada, codes[0])
        assert room.store.user_by_email(NEW) == room.store.users[eve.id]

    def test_a_wrong_password_counts_as_a_failed_login(self, room: Room, ada: User) -> None:
        for _ in range(5):
            refused("invalid_credentials", self.change, room, ada, NEW, "wrong words")
        refused("rate_limited", self.change, room, ada)
        refused("rate_limited", room.login)

    def test_a_right_password_behind_five_wrong_ones_waits(self, room: Room, ada: User) -> None:
        wrong = [lambda: [refused("invalid_credentials", self.change, room, ada, NEW, "wrong words") for _ in range(5)]]
        room.store.before("ask", *wrong)
        assert refused("rate_limited", self.change, room, ada).retry_after == 30
        assert room.store.attempts(ada.id, "change_email") is None

    def test_another_password_meanwhile_asks_for_nothing(self, room: Room, ada: User) -> None:
        changed = replace(ada, password_hash="another", sequence=ada.sequence + 1)
        room.passwords.meanwhile = lambda: room.store.users.update({ada.id: changed})
        refused("invalid_credentials", self.change, room, ada)
        assert room.store.attempts(ada.id, "change_email") is None

    def test_once_a_minute_whatever_the_address(self, room: Room, ada: User) -> None:
        self.change(room, ada)
        refused("rate_limited", self.change, room, ada, "third@example.com")
        room.clock.advance(minutes=1)
        self.change(room, ada, "third@example.com")

    def test_a_later_address_takes_the_place_of_the_first(self, room: Room, ada: User) -> None:
        self.change(room, ada)
        first = self.code(room, ada)
        room.clock.advance(minutes=1)
        self.change(room, ada, "third@example.com")
        refused("invalid_code", self.confirm, room, ada, first)
        assert self.confirm(room, ada, self.code(room, ada)).email == "third@example.com"

    def test_the_same_address_again_is_the_same_challenge(self, room: Room, ada: User) -> None:
        self.change(room, ada)
        first = self.code(room, ada)
        refused("invalid_code", self.confirm, room, ada, WRONG)
        room.clock.advance(minutes=1)
        self.change(room, ada)
        assert [each.asked for each in room.store.challenges.values() if each.purpose == "change_email"] == [2]
        second = self.code(room, ada)
        assert first != second
        self.confirm(room, ada, second)

    def test_five_tries(self, room: Room, ada: User) -> None:
        self.change(room, ada)
        code = self.code(room, ada)
        for _ in range(5):
            refused("invalid_code", self.confirm, room, ada, WRONG)
        refused("invalid_code", self.confirm, room, ada, code)

    def test_there_must_be_somebody_with_a_challenge(self, room: Room, ada: User) -> None:
        refused("invalid_code", self.confirm, room, ada, WRONG)
        self.change(room, ada)
        code = self.code(room, ada)
        room.store.users.clear()
        refused("invalid_code", self.confirm, room, ada, code)
        refused("unauthenticated", self.change, room, ada)

    def test_codes_to_the_old_address_are_void_after_it(self, room: Room) -> None:
        user = room.register()
        verification = room.mint(user)
        room.password_changes.forgot(STRANGER, EMAIL)
        reset = room.code(user, "reset_password")
        self.change(room, user)
        self.confirm(room, user, self.code(room, user))
        refused("invalid_code", room.verify, verification, NEW)
        refused("invalid_code", room.password_changes.reset, STRANGER, NEW, reset, "some other words")
        room.password_changes.forgot(STRANGER, NEW)
        room.password_changes.reset(STRANGER, NEW, room.code(user, "reset_password"), "some other words")


class TestPhone:
    def set(self, room: Room, user: User, phone: str = PHONE) -> None:
        room.addresses.set_phone(STRANGER, user.id, phone)

    def confirm(self, room: Room, user: User, code: str) -> User:
        return room.addresses.confirm_phone(STRANGER, user.id, code)

    def code(self, room: Room, user: User) -> str:
        return room.code(user, "verify_phone")

    def given(self, room: Room, user: User, phone: str = PHONE) -> User:
        self.set(room, user, phone)
        return self.confirm(room, user, self.code(room, user))

    def test_a_code_goes_to_the_number_and_nothing_changes_yet(self, room: Room, ada: User) -> None:
        self.set(room, ada)
        event = room.store.events[-1]
        assert (event.type, event.data["purpose"], event.actor) == ("code.requested", "verify_phone", STRANGER)
        assert room.store.challenges[event.subject].address == PHONE
        assert room.store.users[ada.id] == ada
        assert room.store.user_by_phone(PHONE) is None

    def test_the_code_makes_it_theirs_and_is_told(self, room: Room, ada: User) -> None:
        changed = self.given(room, ada)
        assert (changed.phone, changed.phone_verified) == (PHONE, True)
        assert room.store.user_by_phone(PHONE) == changed
        event = room.store.events[-1]
        assert (event.type, event.data["changed"], event.data["phone"]) == ("user.updated", ["phone"], PHONE)
        assert event.actor == STRANGER

    def test_the_number_given_at_registration_is_verified_by_it(self, room: Room) -> None:
        user = room.register(phone=PHONE)
        assert self.given(room, user).phone_verified

    def test_another_number_frees_the_first(self, room: Room, ada: User) -> None:
        self.given(room, ada)
        room.clock.advance(minutes=1)
        assert self.given(room, ada, OTHER).phone == OTHER
        assert room.store.user_by_phone(PHONE) is None
        eve = room.register("eve@example.com", phone=PHONE)
        assert room.store.user_by_phone(PHONE) == eve

    def test_one_that_was_never_verified_is_taken_over(self, room: Room, ada: User) -> None:
        eve = room.register("eve@example.com", phone=PHONE)
        self.set(room, ada)
        assert room.store.users[eve.id].phone == PHONE
        self.confirm(room, ada, self.code(room, ada))
        lost = room.store.users[eve.id]
        assert (lost.phone, lost.phone_verified, lost.sequence) == (None, False, 2)
        assert room.store.user_by_phone(PHONE) == room.store.users[ada.id]
        taken, told = room.store.events[-2:]
        assert (taken.subject, taken.data["phone"], taken.actor) == (ada.id, PHONE, STRANGER)
        assert (told.subject, told.type, told.data["phone"]) == (eve.id, "user.updated", None)
        assert (told.data["changed"], told.actor) == (["phone"], SYSTEM)

    def test_one_that_somebody_verified_is_taken(self, room: Room, ada: User) -> None:
        eve = room.verified("eve@example.com")
        self.given(room, eve)
        refused("phone_taken", self.set, room, ada)

    def test_verified_by_another_meanwhile_it_is_taken(self, room: Room, ada: User) -> None:
        eve = room.register("eve@example.com", phone=PHONE)
        self.set(room, ada)
        self.set(room, eve)
        codes = self.code(room, ada), self.code(room, eve)
        room.store.before("change_phone", lambda: self.confirm(room, eve, codes[1]))
        refused("phone_taken", self.confirm, room, ada, codes[0])
        assert room.store.users[eve.id].phone_verified
        assert room.store.users[ada.id] == ada

    def test_claimed_at_registration_meanwhile_it_is_taken_over(self, room: Room, ada: User) -> None:
        self.set(room, ada)
        code = self.code(room, ada)
        room.store.before("change_phone", lambda: room.register("eve@example.com", phone=PHONE))
        assert self.confirm(room, ada, code).phone == PHONE
        (eve,) = [user for user in room.store.users.values() if user.id != ada.id]
        assert eve.phone is None

    def test_who_loses_it_keeps_what_they_change_meanwhile(self, room: Room, ada: User) -> None:
        eve = room.register("eve@example.com", phone=PHONE)
        renamed = replace(eve, first_name="Evelyn", sequence=2)
        self.set(room, ada)
        code = self.code(room, ada)
        room.store.before("change_phone", lambda: room.store.users.update({eve.id: renamed}))
        self.confirm(room, ada, code)
        assert (room.store.users[eve.id].first_name, room.store.users[eve.id].phone) == ("Evelyn", None)

    def test_once_a_minute(self, room: Room, ada: User) -> None:
        self.set(room, ada)
        refused("rate_limited", self.set, room, ada, OTHER)

    def test_a_reset_of_the_password_voids_it(self, room: Room, ada: User) -> None:
        self.set(room, ada)
        code = self.code(room, ada)
        room.password_changes.forgot(STRANGER, EMAIL)
        room.password_changes.reset(STRANGER, EMAIL, room.code(ada, "reset_password"), "difference engine")
        refused("invalid_code", self.confirm, room, ada, code)
        assert room.store.users[ada.id].phone is None

    def test_a_change_of_email_does_not_void_it(self, room: Room, ada: User) -> None:
        self.set(room, ada)
        code = self.code(room, ada)
        room.store.users[ada.id] = replace(ada, email=NEW)
        room.store.emails[NEW] = ada.id
        assert self.confirm(room, ada, code).phone == PHONE

    def test_only_for_who_is_there(self, room: Room) -> None:
        refused("unauthenticated", room.addresses.set_phone, STRANGER, "usr_x", PHONE)
        refused("invalid_code", room.addresses.confirm_phone, STRANGER, "usr_x", WRONG)
