"""What changes only for who has proven that they may: of the table and of the fake alike."""

from dataclasses import replace

import boto3
import pytest
from common.dynamo import Table
from common.errors import Problem
from common.events import Event

from functions.auth.cipher import KmsCipher
from functions.auth.domain import Stale
from functions.auth.domain.authenticators import Authenticator
from functions.auth.domain.codes import AUTHENTICATOR, Asked, Attempts, Challenge, Passed, Purpose
from functions.auth.domain.throttle import Counters
from functions.auth.domain.users import User
from functions.auth.store import Store
from tests.store.auth.test_store import (
    EMAIL,
    HERE,
    NOW,
    PHONE,
    AnyStore,
    add,
    become,
    either,
    fail,
    open_at,
    open_session,
    session,
    told,
    user,
)
from tests.unit.auth.fakes import STRANGER
from tests.unit.auth.room import refused

NEW = "countess@example.com"
OTHER = "+14155550100"


__all__ = ["either"]


def app(version: int = 1) -> Authenticator:
    return Authenticator(user().id, b"\x00sealed\xff", ("a", "b"), version=version)


def event_of(who: User) -> Event:
    return who.event("user.updated", NOW, STRANGER)


def passed(store: AnyStore, purpose: Purpose, address: str = EMAIL) -> Passed:
    """A challenge of Ada's that a right code has just answered."""
    challenge = Challenge.new(f"chl_{purpose}", user().id, purpose, address, NOW)
    attempts = Attempts(user().id, purpose, challenge.id)
    store.ask(purpose, NOW, Asked(user(), challenge, attempts, None))
    return Passed(challenge.used(NOW), attempts.passed())


class TestChallenges:
    """Used up with what they allow, in one transaction."""

    def test_of_another_room(self, any_store: AnyStore) -> None:
        add(any_store, user())
        right = passed(any_store, "pin_reset")
        any_store.use_code(user(), right)
        assert any_store.challenge("chl_pin_reset") == right.challenge
        assert any_store.attempts(user().id, "pin_reset") == right.attempts
        with pytest.raises(Stale):
            any_store.use_code(user(), right)

    def test_not_for_another_address(self, any_store: AnyStore) -> None:
        add(any_store, user())
        right = passed(any_store, "pin_reset")
        become(any_store, email=NEW)
        with pytest.raises(Stale):
            any_store.use_code(user(), right)

    def test_of_a_login_with_its_session_and_authenticator(self, any_store: AnyStore) -> None:
        add(any_store, user())
        any_store.enrol(user(), app())
        right = passed(any_store, "login", AUTHENTICATOR)._replace(authenticator=app().used(7))
        open_at(any_store, session(), HERE, NOW, right)
        assert any_store.session(user().id, session().id) == session()
        assert any_store.authenticator(user().id) == app().used(7)
        challenge = any_store.challenge("chl_login")
        assert challenge is not None
        assert not challenge.is_open

    @pytest.mark.parametrize("stale", ["challenge", "attempts", "authenticator"])
    def test_what_was_read_must_still_hold(self, any_store: AnyStore, stale: str) -> None:
        add(any_store, user())
        any_store.enrol(user(), app())
        right = passed(any_store, "login", AUTHENTICATOR)._replace(authenticator=app().used(7))
        if stale == "authenticator":
            any_store.enrol(user(), app(2))
        elif stale == "attempts":
            any_store.count_try(None, replace(right.attempts, wrong=("once",)), None)
        else:
            any_store.set_code("chl_login", "digest", "later")
        with pytest.raises(Stale):
            open_at(any_store, session(), HERE, NOW, right)
        assert any_store.session(user().id, session().id) is None

    def test_a_try_without_one_counts_over_the_day(self, any_store: AnyStore) -> None:
        add(any_store, user())
        counted = Attempts(user().id, "login", "", version=0).counted(NOW)
        any_store.count_try(None, counted, None)
        assert any_store.attempts(user().id, "login") == counted
        with pytest.raises(Stale):
            any_store.count_try(None, counted, None)

    def test_a_wrong_one_is_told_where_it_is_a_login(self, store: Store, table: Table) -> None:
        challenge, attempts = add(store, user())
        store.count_try(challenge, attempts.counted(NOW), user().login_failed(NOW, STRANGER))
        assert told(table) == ["code.requested", "user.login_failed", "user.registered"]

    def test_nothing_is_counted_for_the_deleted(self, any_store: AnyStore) -> None:
        challenge, attempts = add(any_store, user())
        any_store.bury(user(), user().deletion(NOW, STRANGER))
        if isinstance(any_store, Store):
            any_store.clear(user().id)
            with pytest.raises(Stale):
                any_store.count_try(None, attempts.counted(NOW), None)
            with pytest.raises(Stale):
                any_store.count_try(challenge, attempts.counted(NOW), None)
            first = Attempts(user().id, "login", "", version=0).counted(NOW)
            with pytest.raises(Stale):
                any_store.count_try(None, first, None)
            assert any_store.attempts(user().id, "login") is None
            assert any_store.attempts(user().id, "verify_email") is None


class TestPassword:
    def changed(self) -> User:
        return user().revised(NOW, password_hash="another", generation=1)

    def test_changes_with_the_session_that_stays(self, any_store: AnyStore) -> None:
        open_session(any_store, session())
        any_store.change_password(self.changed(), event_of(self.changed()), session().id, HERE)
        assert any_store.user(user().id) == self.changed()
        kept = any_store.session(user().id, session().id)
        assert kept == replace(session(), generation=1)

    @pytest.mark.parametrize("stale", ["user", "session", "wait"])
    def test_what_was_read_must_still_hold(self, any_store: AnyStore, stale: str) -> None:
        open_session(any_store, session())
        if stale == "user":
            become(any_store, first_name="Augusta")
        elif stale == "session":
            any_store.end_session(user().id, session().id, NOW)
        else:
            fail(any_store, 50, Counters("x", HERE.email, "y"))
        before = any_store.user(user().id)
        with pytest.raises(Stale):
            any_store.change_password(self.changed(), event_of(self.changed()), session().id, HERE)
        assert any_store.user(user().id) == before


class TestFactors:
    def with_app(self, store: AnyStore) -> User:
        add(store, user())
        store.enrol(user(), app())
        confirmed = user().revised(NOW, second_factor="totp")
        store.change_factor(confirmed, event_of(confirmed), app().used(7))
        return confirmed

    def without(self, confirmed: User) -> User:
        return confirmed.revised(NOW, second_factor="none")

    def test_an_app_comes_back_as_it_was(self, any_store: AnyStore) -> None:
        add(any_store, user())
        assert any_store.authenticator(user().id) is None
        any_store.enrol(user(), app())
        assert any_store.authenticator(user().id) == app()

    def test_another_takes_its_place_until_it_is_confirmed(self, any_store: AnyStore) -> None:
        confirmed = self.with_app(any_store)
        assert any_store.user(user().id) == confirmed
        assert any_store.authenticator(user().id) == app().used(7)
        with pytest.raises(Stale):
            any_store.enrol(confirmed, app(3))

    def test_enrolling_stands_on_what_was_read(self, any_store: AnyStore) -> None:
        add(any_store, user())
        any_store.enrol(user(), app())
        with pytest.raises(Stale):
            any_store.enrol(user(), app())
        any_store.enrol(user(), app(2))

    def test_is_for_who_is_there_and_active(self, any_store: AnyStore) -> None:
        with pytest.raises(Stale):
            any_store.enrol(user(), app())
        add(any_store, user())
        become(any_store, status="suspended")
        with pytest.raises(Stale):
            any_store.enrol(user(), app())
        assert any_store.authenticator(user().id) is None

    def test_is_given_up_with_the_user_changed(self, any_store: AnyStore) -> None:
        off = self.without(self.with_app(any_store))
        any_store.change_factor(off, event_of(off), app().used(7).used(8), HERE, Attempts(user().id, "login", ""))
        assert any_store.user(user().id) == off
        assert any_store.authenticator(user().id) is None
        assert any_store.attempts(user().id, "login") is not None

    def test_is_given_up_whatever_it_is_where_the_password_is_enough(self, any_store: AnyStore) -> None:
        off = self.without(self.with_app(any_store))
        any_store.change_factor(off, event_of(off), None, HERE)
        assert any_store.authenticator(user().id) is None

    @pytest.mark.parametrize("stale", ["user", "wait", "attempts", "step"])
    def test_what_was_read_must_still_hold(self, any_store: AnyStore, stale: str) -> None:
        off = self.without(self.with_app(any_store))
        attempts, used = Attempts(user().id, "login", ""), app().used(7).used(8)
        if stale == "user":
            become(any_store, first_name="Augusta")
        elif stale == "wait":
            fail(any_store, 5)
        elif stale == "attempts":
            attempts = replace(attempts, version=2)
        else:
            used = app().used(8)
        before = any_store.user(user().id)
        with pytest.raises(Stale):
            any_store.change_factor(off, event_of(off), used, HERE, attempts)
        assert any_store.user(user().id) == before
        assert any_store.authenticator(user().id) == app().used(7)


class TestEmail:
    def move(self, store: AnyStore, right: Passed, email: str = NEW) -> User:
        before = store.user(user().id)
        assert before is not None
        moved = before.revised(NOW, email=email, email_verified=True)
        store.change_email(moved, before, event_of(moved), right)
        return moved

    def test_claims_the_new_and_frees_the_old(self, any_store: AnyStore) -> None:
        add(any_store, user())
        moved = self.move(any_store, passed(any_store, "change_email", NEW))
        assert any_store.user_by_email(NEW) == moved == any_store.user(user().id)
        assert any_store.user_by_email(EMAIL) is None
        add(any_store, user(2, phone=None))

    def test_taken_changes_nothing(self, any_store: AnyStore) -> None:
        add(any_store, user())
        add(any_store, user(2, NEW, None))
        right = passed(any_store, "change_email", NEW)
        refused("email_taken", self.move, any_store, right)
        assert any_store.user_by_email(EMAIL) == user()
        challenge = any_store.challenge(right.challenge.id)
        assert challenge is not None
        assert challenge.is_open

    def test_a_code_is_good_once(self, any_store: AnyStore) -> None:
        add(any_store, user())
        right = passed(any_store, "change_email", NEW)
        self.move(any_store, right)
        with pytest.raises(Stale):
            self.move(any_store, right, "third@example.com")
        assert any_store.user_by_email("third@example.com") is None

    def test_of_fifty_who_want_one_address_one_gets_it(self, store: Store) -> None:
        won = 0
        for number in range(50):
            who = user(number, f"user{number}@example.com", None)
            add(store, who)
            challenge = Challenge.new(f"chl_{number}", who.id, "change_email", NEW, NOW)
            attempts = Attempts(who.id, "change_email", challenge.id)
            store.ask(str(number), NOW, Asked(who, challenge, attempts, None))
            moved = who.revised(NOW, email=NEW, email_verified=True)
            try:
                store.change_email(moved, who, event_of(moved), Passed(challenge.used(NOW), attempts.passed()))
            except Problem as problem:
                assert problem.code == "email_taken"
            else:
                won += 1
        assert won == 1


class TestPhone:
    def move(self, store: AnyStore, right: Passed, loser: User | None = None, phone: str = OTHER) -> User:
        before = store.user(user().id)
        assert before is not None
        moved = before.revised(NOW, phone=phone, phone_verified=True)
        lost = loser.revised(NOW, phone=None) if loser else None
        store.change_phone(moved, before, event_of(moved), right, (lost, event_of(lost)) if lost else None)
        return moved

    def test_claims_the_new_and_frees_the_old(self, any_store: AnyStore) -> None:
        add(any_store, user())
        moved = self.move(any_store, passed(any_store, "verify_phone", OTHER))
        assert any_store.user_by_phone(OTHER) == moved
        assert any_store.user_by_phone(PHONE) is None

    @pytest.mark.parametrize("phone", [PHONE, None])
    def test_the_first_and_ones_own(self, any_store: AnyStore, phone: str | None) -> None:
        add(any_store, user(phone=phone))
        moved = self.move(any_store, passed(any_store, "verify_phone", PHONE), phone=PHONE)
        assert any_store.user_by_phone(PHONE) == moved

    def test_is_taken_from_who_had_it(self, any_store: AnyStore) -> None:
        grace = user(2, "grace@example.com", OTHER)
        add(any_store, user())
        add(any_store, grace)
        moved = self.move(any_store, passed(any_store, "verify_phone", OTHER), grace)
        assert any_store.user_by_phone(OTHER) == moved
        assert any_store.user(grace.id) == grace.revised(NOW, phone=None)

    @pytest.mark.parametrize("stale", ["unseen", "changed", "code"])
    def test_what_was_read_must_still_hold(self, any_store: AnyStore, stale: str) -> None:
        grace = user(2, "grace@example.com", OTHER)
        add(any_store, user())
        add(any_store, grace)
        right = passed(any_store, "verify_phone", OTHER)
        loser: User | None = grace
        if stale == "unseen":
            loser = None
        elif stale == "changed":
            loser = replace(grace, sequence=7)
        else:
            any_store.set_code(right.challenge.id, "another", "later")
        with pytest.raises(Stale):
            self.move(any_store, right, loser)
        assert any_store.user_by_phone(OTHER) == grace
        assert any_store.user_by_phone(PHONE) == user()


class TestCipher:
    @pytest.mark.usefixtures("table")
    def test_what_was_sealed_for_one_opens_for_no_other(self) -> None:
        client = boto3.client("kms")
        cipher = KmsCipher(client, client.create_key()["KeyMetadata"]["KeyId"])
        sealed = cipher.encrypt("usr_1", "a secret")
        assert b"a secret" not in sealed
        assert cipher.decrypt("usr_1", sealed) == "a secret"
        with pytest.raises(client.exceptions.InvalidCiphertextException):
            cipher.decrypt("usr_2", sealed)
