"""The store of users, codes, sessions and failed logins."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import botocore.exceptions
import pytest
from common import clock, ids
from common.contracts.events import Actor
from common.dynamo import Table
from common.errors import Refusal, Stale

from functions.auth.domain.codes import Attempts, Challenge, CodeRequest, UsedCode
from functions.auth.domain.sessions import Device, RefreshToken, Session
from functions.auth.domain.throttle import CounterKeys, FailureCounter, LoginFailures, Quota
from functions.auth.domain.users import User
from functions.auth.store import AuthStore
from tests.support.clock import FakeClock
from tests.unit.auth.world import ANONYMOUS, RULES, refused

NOW = FakeClock().at
EMAIL = "ada@example.com"
PHONE = "+4915112345678"
SECRET = "s" * 43
HERE = CounterKeys.of(EMAIL, "203.0.113.7")
SAME_EMAIL, SAME_ADDRESS = CounterKeys("x", (HERE.shared[0], "y")), CounterKeys("x", ("y", HERE.shared[1]))
ELSEWHERE = CounterKeys.of("grace@example.com", "203.0.113.8")


def user(number: int = 1, email: str = EMAIL, phone: str | None = PHONE) -> User:
    return User.new(
        ids.derived_id("usr", NOW, str(number)),
        NOW,
        email=email,
        phone=phone,
        first_name="Ada",
        last_name="Lovelace",
        password_hash="digest",
    )


def add(store: AuthStore, who: User) -> tuple[Challenge, Attempts]:
    challenge = Challenge.new(ids.derived_id("chl", NOW, who.id), who.id, "verify_email", who.email, NOW)
    attempts = Attempts(who.id, "verify_email", challenge.id)
    events = (who.event("user.registered", NOW, ANONYMOUS), challenge.event(NOW, ANONYMOUS))
    store.add_user(who, challenge, attempts, events)
    return challenge, attempts


def session(user_id: str = user().id) -> Session:
    token = RefreshToken(user_id, ids.derived_id("ses", NOW, user_id), SECRET, SECRET)
    return Session.new(token, 0, NOW, ANONYMOUS)


def open_session(store: AuthStore, opened: Session, counters: CounterKeys = HERE) -> None:
    if store.user(opened.user_id) is None:
        add(store, user())
    open_at(store, opened, counters, NOW)


def open_at(
    store: AuthStore,
    opened: Session,
    counters: CounterKeys,
    at: datetime,
    passed: UsedCode | None = None,
    *,
    first: bool = False,
) -> None:
    """Open a session for Ada as she was at registration, or for another user id."""
    event = opened.login_event(at, ANONYMOUS, new_device=False)
    device = Device.of(opened.user_id, at, ANONYMOUS, 0)
    store.open_session(opened, replace(user(), id=opened.user_id), device, event, counters, at, passed, first=first)


def become(store: AuthStore, **changes: Any) -> User:
    """Change Ada and return her."""
    found = store.user(user().id)
    assert found is not None
    changed = found.revised(NOW, **changes)
    store.update_user(changed, changed.event("user.updated", NOW, ANONYMOUS))
    return changed


def event_types(table: Table) -> list[str]:
    """Return the types of all events in the outboxes of the table."""
    return sorted(event["type"] for item in table.scan() for event in json.loads(item.get("outbox", "[]")))


class TestUsers:
    @pytest.mark.parametrize("phone", [PHONE, None])
    def test_a_user_is_read_as_written_by_id_email_and_phone(self, store: AuthStore, phone: str | None) -> None:
        added = user(phone=phone)
        challenge, attempts = add(store, added)
        assert store.user(added.id) == store.user_by_email(EMAIL) == added
        assert store.user_by_phone(PHONE) == (added if phone else None)
        assert store.challenge(challenge.id) == challenge
        assert store.attempts(added.id, "verify_email") == attempts

    def test_an_unknown_user_is_none(self, store: AuthStore) -> None:
        assert store.user("usr_x") is store.user_by_email(EMAIL) is store.user_by_phone(PHONE) is None
        assert store.challenge("chl_x") is None
        assert store.attempts("usr_x", "verify_email") is None
        store.check_free(EMAIL)

    def test_an_email_and_a_phone_belong_to_one(self, store: AuthStore) -> None:
        add(store, user())
        refused("email_taken", store.check_free, EMAIL)
        refused("email_taken", add, store, user(2))
        refused("phone_taken", add, store, user(3, "grace@example.com"))
        assert store.user(user(2).id) is store.user_by_email("grace@example.com") is None

    def test_both_events_are_stored_with_their_items(self, store: AuthStore, table: Table) -> None:
        add(store, user())
        assert event_types(table) == ["code.requested", "user.registered"]

    def test_of_fifty_registrations_of_one_address_one_succeeds(self, store: AuthStore, table: Table) -> None:
        won = 0
        for number in range(50):
            try:
                add(store, user(number))
            except Refusal as problem:
                assert problem.code == "email_taken"
            else:
                won += 1
        assert won == 1
        assert sorted(item["sk"] for item in table.scan()) == ["C", "E", "N", "Q#verify_email", "U"]

    def test_writing_the_same_user_again_succeeds(self, store: AuthStore, table: Table) -> None:
        add(store, user())
        before = list(table.scan())
        add(store, user())
        assert list(table.scan()) == before

    def test_an_id_that_is_in_use_is_a_fault(self, store: AuthStore) -> None:
        add(store, user())
        with pytest.raises(Exception, match="cancelled"):
            add(store, user(1, "grace@example.com", None))


class TestVerification:
    def verify(self, store: AuthStore, who: User, challenge: Challenge, attempts: Attempts) -> None:
        verified = who.revised(NOW, email_verified=True)
        event = verified.event("user.verified", NOW, ANONYMOUS)
        store.update_user(verified, event, UsedCode(challenge.used(NOW), attempts.with_correct_code()))

    def test_writes_user_challenge_and_attempts_together(self, store: AuthStore) -> None:
        challenge, attempts = add(store, user())
        store.set_code(challenge.id, "d", "later")
        self.verify(store, user(), replace(challenge, digest="d"), attempts)
        found, used = store.user(user().id), store.challenge(challenge.id)
        assert found == user().revised(NOW, email_verified=True)
        assert used is not None
        assert (used.used_at, used.is_open) == (clock.timestamp(NOW), False)

    def test_the_event_is_stored_with_the_user(self, store: AuthStore, table: Table) -> None:
        challenge, attempts = add(store, user())
        store.set_code(challenge.id, "d", "later")
        self.verify(store, user(), replace(challenge, digest="d"), attempts)
        assert event_types(table) == ["code.requested", "user.verified"]

    @pytest.mark.parametrize("stale", ["user", "digest", "used", "attempts"])
    def test_fails_if_an_item_has_changed(self, store: AuthStore, stale: str) -> None:
        challenge, attempts = add(store, user())
        store.set_code(challenge.id, "d", "later")
        known = replace(challenge, digest="d")
        if stale == "used":
            self.verify(store, user(), known, attempts)
        who = replace(user(), sequence=7) if stale == "user" else store.user(user().id)
        assert who is not None
        if stale == "digest":
            known = replace(known, digest="other")
        following = store.attempts(user().id, "verify_email")
        assert following is not None
        if stale == "attempts":
            following = replace(following, version=9)
        before = store.user(user().id)
        with pytest.raises(Stale):
            self.verify(store, who, known, following)
        assert store.user(user().id) == before


class TestCodes:
    def count(self, store: AuthStore, challenge: Challenge, attempts: Attempts) -> Attempts:
        following = attempts.with_wrong_code(NOW)
        store.count_wrong_code(challenge, following, None)
        return following

    def test_a_wrong_code_counts_at_challenge_and_user(self, store: AuthStore) -> None:
        challenge, attempts = add(store, user())
        following = self.count(store, challenge, attempts)
        assert store.challenge(challenge.id) == replace(challenge, tries=1)
        assert store.attempts(user().id, "verify_email") == following
        assert following.wrong == (clock.timestamp(NOW),)

    def test_a_stale_count_is_not_written(self, store: AuthStore) -> None:
        challenge, attempts = add(store, user())
        following = self.count(store, challenge, attempts)
        with pytest.raises(Stale):
            self.count(store, challenge, attempts)
        assert store.challenge(challenge.id) == replace(challenge, tries=1)
        assert store.attempts(user().id, "verify_email") == following

    def test_after_five_tries_nothing_is_counted_and_no_code_is_set(self, store: AuthStore) -> None:
        challenge, attempts = add(store, user())
        for _ in range(5):
            attempts = self.count(store, challenge, attempts)
        with pytest.raises(Stale):
            self.count(store, challenge, attempts)
        assert not store.set_code(challenge.id, "d", "later")

    def test_a_new_code_replaces_the_one_before_and_keeps_the_tries(self, store: AuthStore) -> None:
        challenge, attempts = add(store, user())
        self.count(store, challenge, attempts)
        assert store.set_code(challenge.id, "one", "soon")
        assert store.set_code(challenge.id, "two", "later")
        expected = replace(challenge, tries=1, digest="two", code_expires_at="later")
        assert store.challenge(challenge.id) == expected

    def test_no_code_is_set_for_an_unknown_challenge(self, store: AuthStore) -> None:
        assert not store.set_code("chl_x", "d", "later")
        assert store.challenge("chl_x") is None


class TestRequests:
    def again(self, challenge: Challenge) -> CodeRequest:
        return CodeRequest(user(), challenge, None, challenge.event(NOW, ANONYMOUS))

    def test_one_request_a_minute_is_allowed_under_a_key(self, store: AuthStore) -> None:
        store.request_code("a", NOW, None)
        almost = NOW + timedelta(seconds=59.2)
        assert refused("rate_limited", store.request_code, "a", almost, None).retry_after == 1
        store.request_code("b", almost, None)
        store.request_code("a", NOW + timedelta(seconds=60), None)

    def test_another_request_updates_an_open_challenge(self, store: AuthStore) -> None:
        challenge, _ = add(store, user())
        store.set_code(challenge.id, "d", "later")
        again = challenge.requested_again(NOW)
        store.request_code("a", NOW, self.again(again))
        assert store.challenge(challenge.id) == replace(again, digest="d", code_expires_at="later")

    def test_a_refused_request_changes_nothing(self, store: AuthStore) -> None:
        challenge, _ = add(store, user())
        store.request_code("a", NOW, None)
        refused("rate_limited", store.request_code, "a", NOW, self.again(challenge.requested_again(NOW)))
        assert store.challenge(challenge.id) == challenge

    def test_a_stale_challenge_neither_changes_nor_counts_as_a_request(self, store: AuthStore) -> None:
        challenge, _ = add(store, user())
        with pytest.raises(Stale):
            store.request_code("a", NOW, self.again(replace(challenge, asked=5)))
        store.request_code("a", NOW, None)
        assert store.challenge(challenge.id) == challenge

    def test_a_new_challenge_replaces_the_old_one(self, store: AuthStore) -> None:
        _, attempts = add(store, user())
        fresh = Challenge.new("chl_fresh", user().id, "verify_email", EMAIL, NOW)
        asked = self.again(fresh)._replace(attempts=Attempts.opening(fresh, attempts))
        store.request_code("a", NOW, asked)
        assert store.challenge(fresh.id) == fresh
        assert store.attempts(user().id, "verify_email") == asked.attempts
        with pytest.raises(Stale):
            store.request_code("b", NOW, asked._replace(challenge=replace(fresh, id="chl_other")))

    @pytest.mark.parametrize("what", ["deleted", "moved"])
    def test_fails_if_the_user_is_deleted_or_has_another_email(self, store: AuthStore, what: str) -> None:
        add(store, user())
        fresh = Challenge.new("chl_fresh", user().id, "login", EMAIL, NOW)
        asked = self.again(fresh)._replace(attempts=Attempts(user().id, "login", fresh.id))
        if what == "deleted":
            store.delete_user(user(), user().deleted_event(NOW, ANONYMOUS))
        else:
            become(store, email="new@example.com")
        with pytest.raises(Stale):
            store.request_code("a", NOW, asked)
        with pytest.raises(Stale):
            store.add_login_challenge(asked, HERE, NOW)
        assert store.challenge(fresh.id) is None
        assert store.attempts(user().id, "login") is None

    def test_fails_while_failed_logins_cause_a_wait(self, store: AuthStore) -> None:
        add(store, user())
        fail(store, 5)
        fresh = Challenge.new("chl_fresh", user().id, "login", EMAIL, NOW)
        asked = self.again(fresh)._replace(attempts=Attempts(user().id, "login", fresh.id))
        with pytest.raises(Stale):
            store.request_code("a", NOW, asked, HERE)
        with pytest.raises(Stale):
            store.add_login_challenge(asked, HERE, NOW)
        store.add_login_challenge(asked, ELSEWHERE, NOW)
        assert store.challenge(fresh.id) == fresh
        store.request_code("a", NOW + timedelta(seconds=30), self.again(fresh.requested_again(NOW)), HERE)

    def test_the_event_is_stored_with_the_challenge(self, store: AuthStore, table: Table) -> None:
        challenge, _ = add(store, user())
        store.request_code("a", NOW, self.again(challenge.requested_again(NOW)))
        item = table.get((f"C#{challenge.id}", "C"))
        assert item is not None
        assert [event["sequence"] for event in json.loads(item["outbox"])] == [2]


class TestSessions:
    def test_a_session_is_read_only_with_its_user(self, store: AuthStore) -> None:
        open_session(store, session())
        assert store.session(session().user_id, session().id) == session()
        assert store.session("usr_x", session().id) is None

    @pytest.mark.parametrize("changes", [{"generation": 1}, {"status": "suspended"}, {"second_factor": "email"}])
    def test_is_not_opened_if_the_user_has_changed(self, store: AuthStore, changes: dict[str, Any]) -> None:
        add(store, user())
        become(store, **changes)
        with pytest.raises(Stale):
            open_session(store, session())
        assert store.session(session().user_id, session().id) is None

    def test_is_not_opened_for_an_unknown_user(self, store: AuthStore) -> None:
        add(store, user())
        with pytest.raises(Stale):
            open_at(store, session("usr_x"), HERE, NOW)
        assert store.session("usr_x", session("usr_x").id) is None

    def test_the_event_is_stored_with_the_session(self, store: AuthStore, table: Table) -> None:
        open_session(store, session())
        assert event_types(table) == ["code.requested", "user.login", "user.registered"]

    def test_live_sessions_are_listed_newest_first(self, store: AuthStore) -> None:
        add(store, user())
        opened = [replace(session(), id=ids.derived_id("ses", NOW + timedelta(seconds=n), "")) for n in range(5)]
        for each in opened:
            open_at(store, each, HERE, NOW)
        store.end_session(user().id, opened[3].id, NOW)
        live = [opened[4], opened[2], opened[1], opened[0]]
        assert list(store.live_sessions(user(), NOW, None)) == live
        assert list(store.live_sessions(user(), NOW, opened[2].id)) == live[2:]
        assert list(store.live_sessions(user(), NOW, opened[0].id)) == []
        assert list(store.live_sessions(user(), NOW + timedelta(days=30), None)) == []
        assert list(store.live_sessions(replace(user(), generation=1), NOW, None)) == []

    def test_other_items_of_a_user_are_not_listed(self, store: AuthStore) -> None:
        add(store, user())
        assert list(store.live_sessions(user(), NOW, None)) == []

    def test_a_login_makes_its_device_known(self, store: AuthStore) -> None:
        device = Device.of(user().id, NOW, ANONYMOUS, 0)
        assert not store.is_known_device(device, NOW)
        open_session(store, session())
        assert store.is_known_device(device, NOW + timedelta(days=90, seconds=-1))
        assert not store.is_known_device(device, NOW + timedelta(days=90))
        assert not store.is_known_device(replace(device, digest="other"), NOW)
        assert not store.is_known_device(replace(device, user_id="usr_x"), NOW)

    def test_a_first_login_is_recorded_once(self, store: AuthStore) -> None:
        add(store, user())
        assert not store.has_signed_in(user().id)
        open_at(store, session(), HERE, NOW, first=True)
        assert store.has_signed_in(user().id)
        another = replace(session(), id=ids.derived_id("ses", NOW, "2"))
        with pytest.raises(Stale):
            open_at(store, another, HERE, NOW, first=True)
        open_at(store, another, HERE, NOW)

    def test_a_live_one_is_kept_when_the_password_changes(self, store: AuthStore) -> None:
        def change_password(changed: User) -> None:
            event = changed.event("user.password_changed", NOW, ANONYMOUS)
            store.change_password(changed, event, session().id, HERE)

        open_session(store, session())
        changed = user().revised(NOW, generation=1)
        change_password(changed)
        assert store.session(user().id, session().id) == replace(session(), generation=1)
        store.end_session(user().id, session().id, NOW)
        for generation in (1, 2):
            with pytest.raises(Stale):
                change_password(changed.revised(NOW, generation=generation))

    def test_a_rotation_fails_if_the_session_has_changed(self, store: AuthStore) -> None:
        open_session(store, session())
        following = replace(
            session(),
            current="next",
            rotated_at="later",
            ip="203.0.113.8",
            expires_at=session().expires_at + 1,
            used={session().current: "now"},
        )
        store.rotate(following, session())
        assert store.session(session().user_id, session().id) == following
        with pytest.raises(Stale):
            store.rotate(replace(following, current="other"), session())
        assert store.session(session().user_id, session().id) == following

    def test_a_rotation_whose_reply_was_lost_succeeds_again(self, store: AuthStore) -> None:
        open_session(store, session())
        following = replace(session(), current="next")
        store.rotate(following, session())
        store.rotate(following, session())

    def test_a_session_ends_once(self, store: AuthStore) -> None:
        open_session(store, session())
        for later in range(3):
            store.end_session(session().user_id, session().id, NOW + timedelta(seconds=later))
        ended = store.session(session().user_id, session().id)
        assert ended == replace(session(), ended_at=clock.timestamp(NOW))
        with pytest.raises(Stale):
            store.rotate(replace(session(), current="next"), session())

    def test_ending_an_unknown_session_writes_nothing(self, store: AuthStore) -> None:
        store.end_session(session().user_id, session().id, NOW)
        assert store.session(session().user_id, session().id) is None


def fail(store: AuthStore, times: int, counters: CounterKeys = HERE) -> LoginFailures:
    for _ in range(times):
        before = store.login_failures(counters)
        store.count_failure(before.incremented(NOW, RULES), before, None)
    return store.login_failures(counters)


def counts(tally: LoginFailures) -> list[int]:
    return [failures.count for failures in tally]


class TestFailures:
    def test_count_up_under_every_counter(self, store: AuthStore) -> None:
        assert store.login_failures(HERE) == LoginFailures(map(FailureCounter, HERE))
        assert counts(fail(store, 3)) == [3, 3, 3]
        assert counts(store.login_failures(ELSEWHERE)) == [0, 0, 0]
        assert counts(store.login_failures(CounterKeys.of(EMAIL, "203.0.113.8"))) == [0, 3, 0]

    @pytest.mark.parametrize("other", [HERE, SAME_ADDRESS, SAME_EMAIL])
    def test_a_stale_count_is_not_written(self, store: AuthStore, other: CounterKeys) -> None:
        before = store.login_failures(HERE)
        fail(store, 1, other)
        known = store.login_failures(HERE)
        with pytest.raises(Stale):
            store.count_failure(before.incremented(NOW, RULES), before, None)
        assert store.login_failures(HERE) == known

    def test_the_event_is_stored_with_the_failure(self, store: AuthStore, table: Table) -> None:
        before = store.login_failures(HERE)
        store.count_failure(before.incremented(NOW, RULES), before, user().login_failed_event(NOW, Actor()))
        assert event_types(table) == ["user.login_failed"]
        assert counts(store.login_failures(HERE)) == [1, 1, 1]

    def test_a_login_resets_the_failures_of_email_and_address_together(self, store: AuthStore) -> None:
        fail(store, 4)
        fail(store, 4, ELSEWHERE)
        open_session(store, session())
        assert counts(store.login_failures(HERE)) == [0, 4, 4]
        assert counts(store.login_failures(ELSEWHERE)) == [4, 4, 4]

    def test_a_login_fails_during_a_wait_and_succeeds_after_it(self, store: AuthStore) -> None:
        fail(store, 5)
        with pytest.raises(Stale):
            open_session(store, session())
        assert store.session(session().user_id, session().id) is None
        later = NOW + timedelta(seconds=30)
        open_at(store, session(), HERE, later)
        assert counts(store.login_failures(HERE)) == [0, 5, 5]

    @pytest.mark.parametrize("shared", ["email", "address"])
    def test_a_login_fails_during_a_wait_of_either_counter(self, store: AuthStore, shared: str) -> None:
        others = SAME_EMAIL if shared == "email" else SAME_ADDRESS
        fail(store, 50 if shared == "email" else 100, others)
        with pytest.raises(Stale):
            open_session(store, session())
        open_at(store, session(), HERE, NOW + timedelta(seconds=30))


class TestQuotas:
    def quota(self, at: datetime = NOW, limit: int = 2) -> Quota:
        return Quota.of(limit, timedelta(hours=1), at, "texts", PHONE)

    def test_so_many_in_an_hour(self, store: AuthStore) -> None:
        for _ in range(2):
            store.take(self.quota(), NOW)
        assert refused("rate_limited", store.take, self.quota(), NOW).retry_after == 1800
        later = NOW + timedelta(minutes=30)
        store.take(self.quota(later), later)

    def test_a_count_is_deleted_when_its_period_ends(self, store: AuthStore, table: Table) -> None:
        store.take(self.quota(), NOW)
        (item,) = table.scan()
        assert item["expires_at"] == int((NOW + timedelta(minutes=30)).timestamp())
        assert PHONE not in str(item)

    def test_a_code_request_takes_one_only_if_it_succeeds(self, store: AuthStore, table: Table) -> None:
        store.request_code("a", NOW, None, quotas=(self.quota(),))
        refused("rate_limited", lambda: store.request_code("a", NOW, None, quotas=(self.quota(),)))
        store.request_code("b", NOW, None, quotas=(self.quota(),))
        assert (
            refused("rate_limited", lambda: store.request_code("c", NOW, None, quotas=(self.quota(),))).retry_after
            == 1800
        )
        assert table.get(("R#c", "R")) is None


def test_a_fault_of_aws_is_not_a_refusal(store: AuthStore, table: Table) -> None:
    table.name = "remit-gone"
    calls: Iterator[Callable[[], Any]] = iter(
        [
            lambda: store.user("usr_x"),
            lambda: store.set_code("chl_x", "d", "later"),
            lambda: store.rotate(session(), session()),
            lambda: store.end_session("usr_x", "ses_x", NOW),
            lambda: open_at(store, session(), HERE, NOW),
        ]
    )
    for call in calls:
        with pytest.raises(botocore.exceptions.ClientError):
            call()
