"""The store of codes, passwords, authenticator apps and addresses."""

from dataclasses import replace
from datetime import timedelta

import boto3
import pytest
from common.contracts.events import Event
from common.dynamo import Table
from common.errors import Refusal, Stale

from functions.auth.adapters.cipher import KmsCipher
from functions.auth.domain.api_keys import ApiKey
from functions.auth.domain.authenticators import Authenticator
from functions.auth.domain.codes import AUTHENTICATOR, Attempts, Challenge, CodeRequest, Purpose, UsedCode
from functions.auth.domain.sessions import RefreshToken, Session
from functions.auth.domain.throttle import CounterKeys
from functions.auth.domain.users import User
from functions.auth.store import AuthStore
from functions.auth.store.items import item_of, keyed
from functions.auth.store.keys import api_key_ids_key, api_key_key
from tests.store.auth.test_store import (
    EMAIL,
    HERE,
    NOW,
    PHONE,
    add,
    become,
    event_types,
    fail,
    open_at,
    open_session,
    session,
    user,
)
from tests.unit.auth.world import ANONYMOUS, refused

NEW = "countess@example.com"
OTHER = "+14155550100"


def app(version: int = 1) -> Authenticator:
    return Authenticator(user().id, b"\x00sealed\xff", ("a", "b"), version=version)


def event_of(who: User) -> Event:
    return who.event("user.updated", NOW, ANONYMOUS)


def used_code(store: AuthStore, purpose: Purpose, address: str = EMAIL) -> UsedCode:
    """Return the effect of a correct code of Ada."""
    challenge = Challenge.new(f"chl_{purpose}", user().id, purpose, address, NOW)
    attempts = Attempts(user().id, purpose, challenge.id)
    store.request_code(purpose, NOW, CodeRequest(user(), challenge, attempts, None))
    return UsedCode(challenge.used(NOW), attempts.with_correct_code())


class TestChallenges:
    """A challenge is used up in the transaction of what it allows."""

    def test_a_challenge_of_another_context_is_used_up(self, store: AuthStore) -> None:
        add(store, user())
        right = used_code(store, "pin_reset")
        store.use_code(user(), right)
        assert store.challenge("chl_pin_reset") == right.challenge
        assert store.attempts(user().id, "pin_reset") == right.attempts
        with pytest.raises(Stale):
            store.use_code(user(), right)

    def test_fails_if_the_email_has_changed(self, store: AuthStore) -> None:
        add(store, user())
        right = used_code(store, "pin_reset")
        become(store, email=NEW)
        with pytest.raises(Stale):
            store.use_code(user(), right)

    def test_a_login_uses_up_challenge_and_authenticator_code(self, store: AuthStore) -> None:
        add(store, user())
        store.enrol(user(), app())
        right = used_code(store, "login", AUTHENTICATOR)._replace(authenticator=app().used(7))
        open_at(store, session(), HERE, NOW, right)
        assert store.session(user().id, session().id) == session()
        assert store.authenticator(user().id) == app().used(7)
        challenge = store.challenge("chl_login")
        assert challenge is not None
        assert not challenge.is_open

    @pytest.mark.parametrize("stale", ["challenge", "attempts", "authenticator"])
    def test_fails_if_an_item_has_changed(self, store: AuthStore, stale: str) -> None:
        add(store, user())
        store.enrol(user(), app())
        right = used_code(store, "login", AUTHENTICATOR)._replace(authenticator=app().used(7))
        if stale == "authenticator":
            store.enrol(user(), app(2))
        elif stale == "attempts":
            store.count_wrong_code(None, replace(right.attempts, wrong=("once",)), None)
        else:
            store.set_code("chl_login", "digest", "later")
        with pytest.raises(Stale):
            open_at(store, session(), HERE, NOW, right)
        assert store.session(user().id, session().id) is None

    def test_a_wrong_code_without_a_challenge_counts_for_the_day(self, store: AuthStore) -> None:
        add(store, user())
        counted = Attempts(user().id, "login", "", version=0).with_wrong_code(NOW)
        store.count_wrong_code(None, counted, None)
        assert store.attempts(user().id, "login") == counted
        with pytest.raises(Stale):
            store.count_wrong_code(None, counted, None)

    def test_the_event_of_a_wrong_code_is_stored(self, store: AuthStore, table: Table) -> None:
        challenge, attempts = add(store, user())
        store.count_wrong_code(challenge, attempts.with_wrong_code(NOW), user().login_failed_event(NOW, ANONYMOUS))
        assert event_types(table) == ["code.requested", "user.login_failed", "user.registered"]

    def test_nothing_is_counted_for_a_deleted_user(self, store: AuthStore) -> None:
        challenge, attempts = add(store, user())
        store.delete_user(user(), user().deleted_event(NOW, ANONYMOUS))
        store.delete_user_data(user().id)
        with pytest.raises(Stale):
            store.count_wrong_code(None, attempts.with_wrong_code(NOW), None)
        with pytest.raises(Stale):
            store.count_wrong_code(challenge, attempts.with_wrong_code(NOW), None)
        first = Attempts(user().id, "login", "", version=0).with_wrong_code(NOW)
        with pytest.raises(Stale):
            store.count_wrong_code(None, first, None)
        assert store.attempts(user().id, "login") is None
        assert store.attempts(user().id, "verify_email") is None


class TestReauthentication:
    def reauthenticate(self, store: AuthStore, before: Session, used: UsedCode | None = None) -> Session:
        token = RefreshToken(user().id, before.id, "f" * 43, "n" * 43)
        following = before.reauthenticated(token, NOW + timedelta(minutes=10), ANONYMOUS)
        found = store.user(user().id)
        assert found is not None
        store.reauthenticate(following, before, found, HERE, NOW, used, None, None)
        return following

    def test_a_session_is_written_with_the_code_used(self, store: AuthStore) -> None:
        open_session(store, session())
        fail(store, 3)
        right = used_code(store, "login")
        following = self.reauthenticate(store, session(), right)
        assert store.session(user().id, session().id) == following
        assert following.auth_time == session().auth_time + 600
        assert store.challenge("chl_login") == right.challenge
        assert [failures.count for failures in store.login_failures(HERE)] == [0, 3, 3]

    @pytest.mark.parametrize("stale", ["rotated", "ended", "used", "wait"])
    def test_fails_if_an_item_has_changed(self, store: AuthStore, stale: str) -> None:
        open_session(store, session())
        right = used_code(store, "login")
        if stale == "rotated":
            store.rotate(replace(session(), current="next"), session())
        elif stale == "ended":
            store.end_session(user().id, session().id, NOW)
        elif stale == "used":
            store.use_code(user(), right)
        else:
            fail(store, 5)
        before = store.session(user().id, session().id)
        with pytest.raises(Stale):
            self.reauthenticate(store, session(), right)
        assert store.session(user().id, session().id) == before

    def test_an_app_or_recovery_code_is_used_up(self, store: AuthStore) -> None:
        open_session(store, session())
        store.enrol(user(), app())
        attempts = Attempts(user().id, "login", "")
        following = session().reauthenticated(RefreshToken(user().id, session().id, "f", "n"), NOW, ANONYMOUS)
        store.reauthenticate(following, session(), user(), HERE, NOW, None, attempts, app().used(7))
        assert store.authenticator(user().id) == app().used(7)
        assert store.attempts(user().id, "login") == attempts


class TestReset:
    def reset(self, store: AuthStore, right: UsedCode, key_ids: tuple[str, ...] = ()) -> User:
        changed = user().revised(NOW, password_hash="another", generation=1)
        store.reset_password(changed, event_of(changed), right, key_ids)
        return changed

    def test_deletes_every_key_their_list_and_an_unconfirmed_app(self, store: AuthStore, table: Table) -> None:
        add(store, user())
        store.enrol(user(), app())
        keys = [ApiKey.new(f"key_{number}", "s" * 43, user(), "n", {"read"}, NOW) for number in range(20)]
        for key in keys:
            table.put(item_of(api_key_key(key.id), key))
        table.put(keyed(api_key_ids_key(user().id), {"ids": tuple(key.id for key in keys)}))
        changed = self.reset(store, used_code(store, "reset_password"), store.api_key_ids(user().id))
        assert store.user(user().id) == changed
        assert store.api_key_ids(user().id) == ()
        assert store.api_keys(tuple(key.id for key in keys)) == []
        assert store.authenticator(user().id) is None

    def test_fails_if_the_user_has_changed(self, store: AuthStore) -> None:
        add(store, user())
        right = used_code(store, "reset_password")
        become(store, first_name="Augusta")
        with pytest.raises(Stale):
            self.reset(store, right)

    def test_a_known_device_has_attempts_of_its_own(self, store: AuthStore) -> None:
        add(store, user())
        challenge = Challenge.new("chl_device", user().id, "reset_password", EMAIL, NOW)
        attempts = Attempts.opening(challenge, None, "device")
        store.request_code("a", NOW, CodeRequest(user(), challenge, attempts, None))
        assert store.attempts(user().id, "reset_password", "device") == attempts
        assert store.attempts(user().id, "reset_password") is None
        store.delete_user(user(), user().deleted_event(NOW, ANONYMOUS))
        store.delete_user_data(user().id)
        assert store.challenge("chl_device") is None
        assert store.attempts(user().id, "reset_password", "device") is None


class TestPassword:
    def changed(self) -> User:
        return user().revised(NOW, password_hash="another", generation=1)

    def test_the_password_changes_with_the_session_that_is_kept(self, store: AuthStore) -> None:
        open_session(store, session())
        store.change_password(self.changed(), event_of(self.changed()), session().id, HERE)
        assert store.user(user().id) == self.changed()
        kept = store.session(user().id, session().id)
        assert kept == replace(session(), generation=1)

    @pytest.mark.parametrize("stale", ["user", "session", "wait"])
    def test_fails_if_an_item_has_changed(self, store: AuthStore, stale: str) -> None:
        open_session(store, session())
        if stale == "user":
            become(store, first_name="Augusta")
        elif stale == "session":
            store.end_session(user().id, session().id, NOW)
        else:
            fail(store, 50, CounterKeys("x", (HERE.shared[0], "y")))
        before = store.user(user().id)
        with pytest.raises(Stale):
            store.change_password(self.changed(), event_of(self.changed()), session().id, HERE)
        assert store.user(user().id) == before


class TestFactors:
    def with_app(self, store: AuthStore) -> User:
        add(store, user())
        store.enrol(user(), app())
        confirmed = user().revised(NOW, second_factor="totp")
        store.change_second_factor(confirmed, event_of(confirmed), app().used(7))
        return confirmed

    def without(self, confirmed: User) -> User:
        return confirmed.revised(NOW, second_factor="none")

    def test_an_app_is_read_as_written(self, store: AuthStore) -> None:
        add(store, user())
        assert store.authenticator(user().id) is None
        store.enrol(user(), app())
        assert store.authenticator(user().id) == app()

    def test_an_app_is_replaced_only_until_it_is_confirmed(self, store: AuthStore) -> None:
        confirmed = self.with_app(store)
        assert store.user(user().id) == confirmed
        assert store.authenticator(user().id) == app().used(7)
        with pytest.raises(Stale):
            store.enrol(confirmed, app(3))

    def test_enrolling_needs_the_next_version(self, store: AuthStore) -> None:
        add(store, user())
        store.enrol(user(), app())
        with pytest.raises(Stale):
            store.enrol(user(), app())
        store.enrol(user(), app(2))

    def test_enrolling_needs_an_active_user(self, store: AuthStore) -> None:
        with pytest.raises(Stale):
            store.enrol(user(), app())
        add(store, user())
        become(store, status="suspended")
        with pytest.raises(Stale):
            store.enrol(user(), app())
        assert store.authenticator(user().id) is None

    def test_an_app_is_deleted_with_the_change_of_the_user(self, store: AuthStore) -> None:
        off = self.without(self.with_app(store))
        store.change_second_factor(off, event_of(off), app().used(7).used(8), HERE, Attempts(user().id, "login", ""))
        assert store.user(user().id) == off
        assert store.authenticator(user().id) is None
        assert store.attempts(user().id, "login") is not None

    def test_an_app_of_any_version_is_deleted_if_the_password_is_enough(self, store: AuthStore) -> None:
        off = self.without(self.with_app(store))
        store.change_second_factor(off, event_of(off), None, HERE)
        assert store.authenticator(user().id) is None

    @pytest.mark.parametrize("stale", ["user", "wait", "attempts", "step"])
    def test_fails_if_an_item_has_changed(self, store: AuthStore, stale: str) -> None:
        off = self.without(self.with_app(store))
        attempts, used = Attempts(user().id, "login", ""), app().used(7).used(8)
        if stale == "user":
            become(store, first_name="Augusta")
        elif stale == "wait":
            fail(store, 5)
        elif stale == "attempts":
            attempts = replace(attempts, version=2)
        else:
            used = app().used(8)
        before = store.user(user().id)
        with pytest.raises(Stale):
            store.change_second_factor(off, event_of(off), used, HERE, attempts)
        assert store.user(user().id) == before
        assert store.authenticator(user().id) == app().used(7)


class TestEmail:
    def move(self, store: AuthStore, right: UsedCode, email: str = NEW) -> User:
        before = store.user(user().id)
        assert before is not None
        moved = before.revised(NOW, email=email, email_verified=True)
        store.change_email(moved, before, event_of(moved), right)
        return moved

    def test_the_new_one_is_claimed_and_the_old_one_freed(self, store: AuthStore) -> None:
        add(store, user())
        moved = self.move(store, used_code(store, "change_email", NEW))
        assert store.user_by_email(NEW) == moved == store.user(user().id)
        assert store.user_by_email(EMAIL) is None
        add(store, user(2, phone=None))

    def test_a_taken_address_changes_nothing(self, store: AuthStore) -> None:
        add(store, user())
        add(store, user(2, NEW, None))
        right = used_code(store, "change_email", NEW)
        refused("email_taken", self.move, store, right)
        assert store.user_by_email(EMAIL) == user()
        challenge = store.challenge(right.challenge.id)
        assert challenge is not None
        assert challenge.is_open

    def test_a_code_is_used_once(self, store: AuthStore) -> None:
        add(store, user())
        right = used_code(store, "change_email", NEW)
        self.move(store, right)
        with pytest.raises(Stale):
            self.move(store, right, "third@example.com")
        assert store.user_by_email("third@example.com") is None

    def test_of_fifty_changes_to_one_address_one_succeeds(self, store: AuthStore) -> None:
        won = 0
        for number in range(50):
            who = user(number, f"user{number}@example.com", None)
            add(store, who)
            challenge = Challenge.new(f"chl_{number}", who.id, "change_email", NEW, NOW)
            attempts = Attempts(who.id, "change_email", challenge.id)
            store.request_code(str(number), NOW, CodeRequest(who, challenge, attempts, None))
            moved = who.revised(NOW, email=NEW, email_verified=True)
            try:
                store.change_email(
                    moved, who, event_of(moved), UsedCode(challenge.used(NOW), attempts.with_correct_code())
                )
            except Refusal as problem:
                assert problem.code == "email_taken"
            else:
                won += 1
        assert won == 1


class TestPhone:
    def move(self, store: AuthStore, right: UsedCode, loser: User | None = None, phone: str = OTHER) -> User:
        before = store.user(user().id)
        assert before is not None
        moved = before.revised(NOW, phone=phone, phone_verified=True)
        lost = loser.revised(NOW, phone=None) if loser else None
        store.change_phone(moved, before, event_of(moved), right, (lost, event_of(lost)) if lost else None)
        return moved

    def test_the_new_one_is_claimed_and_the_old_one_freed(self, store: AuthStore) -> None:
        add(store, user())
        moved = self.move(store, used_code(store, "verify_phone", OTHER))
        assert store.user_by_phone(OTHER) == moved
        assert store.user_by_phone(PHONE) is None

    @pytest.mark.parametrize("phone", [PHONE, None])
    def test_a_first_number_and_the_own_number_can_be_claimed(self, store: AuthStore, phone: str | None) -> None:
        add(store, user(phone=phone))
        moved = self.move(store, used_code(store, "verify_phone", PHONE), phone=PHONE)
        assert store.user_by_phone(PHONE) == moved

    def test_a_number_moves_from_its_previous_owner(self, store: AuthStore) -> None:
        grace = user(2, "grace@example.com", OTHER)
        add(store, user())
        add(store, grace)
        moved = self.move(store, used_code(store, "verify_phone", OTHER), grace)
        assert store.user_by_phone(OTHER) == moved
        assert store.user(grace.id) == grace.revised(NOW, phone=None)

    @pytest.mark.parametrize("stale", ["unseen", "changed", "code"])
    def test_fails_if_an_item_has_changed(self, store: AuthStore, stale: str) -> None:
        grace = user(2, "grace@example.com", OTHER)
        add(store, user())
        add(store, grace)
        right = used_code(store, "verify_phone", OTHER)
        loser: User | None = grace
        if stale == "unseen":
            loser = None
        elif stale == "changed":
            loser = replace(grace, sequence=7)
        else:
            store.set_code(right.challenge.id, "another", "later")
        with pytest.raises(Stale):
            self.move(store, right, loser)
        assert store.user_by_phone(OTHER) == grace
        assert store.user_by_phone(PHONE) == user()


class TestCipher:
    @pytest.mark.usefixtures("table")
    def test_a_secret_of_one_user_can_not_be_decrypted_for_another(self) -> None:
        client = boto3.client("kms")
        cipher = KmsCipher(client, client.create_key()["KeyMetadata"]["KeyId"])
        sealed = cipher.encrypt("usr_1", "a secret")
        assert b"a secret" not in sealed
        assert cipher.decrypt("usr_1", sealed) == "a secret"
        with pytest.raises(client.exceptions.InvalidCiphertextException):
            cipher.decrypt("usr_2", sealed)
