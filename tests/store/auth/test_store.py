"""What the services rely on, proven of the table and of the fake that their own tests use."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import botocore.exceptions
import pytest
from common import clock, ids
from common.dynamo import Cancelled, Table
from common.errors import Problem
from common.events import Actor

from functions.auth.domain import Stale
from functions.auth.domain.codes import Asked, Attempts, Challenge, Passed
from functions.auth.domain.sessions import Device, RefreshToken, Session
from functions.auth.domain.throttle import Counters, Failures, Tally
from functions.auth.domain.users import User
from functions.auth.store import Store
from functions.auth.store.sessions import keep_session
from tests.support.clock import FakeClock
from tests.unit.auth.fakes import STRANGER, FakeStore
from tests.unit.auth.room import RULES, refused

NOW = FakeClock().at
EMAIL = "ada@example.com"
PHONE = "+4915112345678"
SECRET = "s" * 43
HERE = Counters.of(EMAIL, "203.0.113.7")
ELSEWHERE = Counters.of("grace@example.com", "203.0.113.8")

AnyStore = Store | FakeStore


@pytest.fixture(params=["table", "fake"], name="any_store")
def either(request: pytest.FixtureRequest) -> AnyStore:
    if request.param == "fake":
        return FakeStore()
    store: Store = request.getfixturevalue("store")
    return store


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


def add(store: AnyStore, who: User) -> tuple[Challenge, Attempts]:
    challenge = Challenge.new(ids.derived_id("chl", NOW, who.id), who.id, "verify_email", who.email, NOW)
    attempts = Attempts(who.id, "verify_email", challenge.id)
    events = (who.event("user.registered", NOW, STRANGER), challenge.event(NOW, STRANGER))
    store.add_user(who, challenge, attempts, events)
    return challenge, attempts


def session(user_id: str = user().id) -> Session:
    token = RefreshToken(user_id, ids.derived_id("ses", NOW, user_id), SECRET, SECRET)
    return Session.new(token, 0, NOW, STRANGER)


def open_session(store: AnyStore, opened: Session, counters: Counters = HERE) -> None:
    if store.user(opened.user_id) is None:
        add(store, user())
    open_at(store, opened, counters, NOW)


def open_at(
    store: AnyStore,
    opened: Session,
    counters: Counters,
    at: datetime,
    passed: Passed | None = None,
    *,
    first: bool = False,
) -> None:
    """Opens a session of Ada's as she was when she registered, or of who has its id."""
    event = opened.login_event(at, STRANGER, new_device=False)
    device = Device.of(opened.user_id, at, STRANGER)
    store.open_session(opened, replace(user(), id=opened.user_id), device, event, counters, at, passed, first=first)


def become(store: AnyStore, **changes: Any) -> User:
    """Ada after a change."""
    found = store.user(user().id)
    assert found is not None
    changed = found.revised(NOW, **changes)
    store.change_user(changed, changed.event("user.updated", NOW, STRANGER), 0)
    return changed


def told(table: Table) -> list[str]:
    """The types of all events in the outboxes that stand in the table."""
    return sorted(event["type"] for item in table.scan() for event in json.loads(item.get("outbox", "[]")))


class TestUsers:
    @pytest.mark.parametrize("phone", [PHONE, None])
    def test_comes_back_as_it_was_by_id_email_and_phone(self, any_store: AnyStore, phone: str | None) -> None:
        added = user(phone=phone)
        challenge, attempts = add(any_store, added)
        assert any_store.user(added.id) == any_store.user_by_email(EMAIL) == added
        assert any_store.user_by_phone(PHONE) == (added if phone else None)
        assert any_store.challenge(challenge.id) == challenge
        assert any_store.attempts(added.id, "verify_email") == attempts

    def test_nobody_is_none(self, any_store: AnyStore) -> None:
        assert any_store.user("usr_x") is any_store.user_by_email(EMAIL) is any_store.user_by_phone(PHONE) is None
        assert any_store.challenge("chl_x") is None
        assert any_store.attempts("usr_x", "verify_email") is None
        any_store.check_free(EMAIL, PHONE)

    def test_an_email_and_a_phone_belong_to_one(self, any_store: AnyStore) -> None:
        add(any_store, user())
        refused("email_taken", any_store.check_free, EMAIL, None)
        refused("phone_taken", any_store.check_free, "grace@example.com", PHONE)
        refused("email_taken", add, any_store, user(2))
        refused("phone_taken", add, any_store, user(3, "grace@example.com"))
        assert any_store.user(user(2).id) is any_store.user_by_email("grace@example.com") is None

    def test_both_events_stand_beside_the_state(self, store: Store, table: Table) -> None:
        add(store, user())
        assert told(table) == ["code.requested", "user.registered"]

    def test_of_fifty_who_register_one_address_one_wins(self, store: Store, table: Table) -> None:
        won = 0
        for number in range(50):
            try:
                add(store, user(number))
            except Problem as problem:
                assert problem.code == "email_taken"
            else:
                won += 1
        assert won == 1
        assert sorted(item["sk"] for item in table.scan()) == ["C", "E", "N", "Q#verify_email", "U"]

    def test_writing_the_very_same_user_again_is_the_same_success(self, store: Store, table: Table) -> None:
        add(store, user())
        before = list(table.scan())
        add(store, user())
        assert list(table.scan()) == before

    def test_an_id_that_somebody_else_has_is_a_fault(self, store: Store) -> None:
        add(store, user())
        with pytest.raises(Exception, match="cancelled"):
            add(store, user(1, "grace@example.com", None))


class TestVerification:
    def verify(self, store: AnyStore, who: User, challenge: Challenge, attempts: Attempts) -> None:
        verified = who.revised(NOW, email_verified=True)
        event = verified.event("user.verified", NOW, STRANGER)
        store.revise(verified, event, Passed(challenge.used(NOW), attempts.passed()))

    def test_writes_user_challenge_and_attempts_together(self, any_store: AnyStore) -> None:
        challenge, attempts = add(any_store, user())
        any_store.set_code(challenge.id, "d", "later")
        self.verify(any_store, user(), replace(challenge, digest="d"), attempts)
        found, used = any_store.user(user().id), any_store.challenge(challenge.id)
        assert found == user().revised(NOW, email_verified=True)
        assert used is not None
        assert (used.used_at, used.is_open) == (clock.timestamp(NOW), False)

    def test_is_told_with_the_user(self, store: Store, table: Table) -> None:
        challenge, attempts = add(store, user())
        store.set_code(challenge.id, "d", "later")
        self.verify(store, user(), replace(challenge, digest="d"), attempts)
        assert told(table) == ["code.requested", "user.verified"]

    @pytest.mark.parametrize("stale", ["user", "digest", "used", "attempts"])
    def test_what_was_read_must_still_hold(self, any_store: AnyStore, stale: str) -> None:
        challenge, attempts = add(any_store, user())
        any_store.set_code(challenge.id, "d", "later")
        known = replace(challenge, digest="d")
        if stale == "used":
            self.verify(any_store, user(), known, attempts)
        who = replace(user(), sequence=7) if stale == "user" else any_store.user(user().id)
        assert who is not None
        if stale == "digest":
            known = replace(known, digest="other")
        following = any_store.attempts(user().id, "verify_email")
        assert following is not None
        if stale == "attempts":
            following = replace(following, version=9)
        before = any_store.user(user().id)
        with pytest.raises(Stale):
            self.verify(any_store, who, known, following)
        assert any_store.user(user().id) == before


class TestCodes:
    def count(self, store: AnyStore, challenge: Challenge, attempts: Attempts) -> Attempts:
        following = attempts.counted(NOW)
        store.count_try(challenge, following, None)
        return following

    def test_a_try_counts_at_challenge_and_user(self, any_store: AnyStore) -> None:
        challenge, attempts = add(any_store, user())
        following = self.count(any_store, challenge, attempts)
        assert any_store.challenge(challenge.id) == replace(challenge, tries=1)
        assert any_store.attempts(user().id, "verify_email") == following
        assert following.wrong == (clock.timestamp(NOW),)

    def test_a_try_on_a_stale_count_counts_nothing(self, any_store: AnyStore) -> None:
        challenge, attempts = add(any_store, user())
        following = self.count(any_store, challenge, attempts)
        with pytest.raises(Stale):
            self.count(any_store, challenge, attempts)
        assert any_store.challenge(challenge.id) == replace(challenge, tries=1)
        assert any_store.attempts(user().id, "verify_email") == following

    def test_there_are_five_tries_and_then_no_code_either(self, any_store: AnyStore) -> None:
        challenge, attempts = add(any_store, user())
        for _ in range(5):
            attempts = self.count(any_store, challenge, attempts)
        with pytest.raises(Stale):
            self.count(any_store, challenge, attempts)
        assert not any_store.set_code(challenge.id, "d", "later")

    def test_a_code_replaces_the_one_before_and_keeps_the_tries(self, any_store: AnyStore) -> None:
        challenge, attempts = add(any_store, user())
        self.count(any_store, challenge, attempts)
        assert any_store.set_code(challenge.id, "one", "soon")
        assert any_store.set_code(challenge.id, "two", "later")
        expected = replace(challenge, tries=1, digest="two", code_expires_at="later")
        assert any_store.challenge(challenge.id) == expected

    def test_no_code_for_a_challenge_that_is_not_there(self, any_store: AnyStore) -> None:
        assert not any_store.set_code("chl_x", "d", "later")
        assert any_store.challenge("chl_x") is None


class TestAsk:
    def again(self, challenge: Challenge) -> Asked:
        return Asked(user(), challenge, None, challenge.event(NOW, STRANGER))

    def test_once_a_minute_under_a_key(self, any_store: AnyStore) -> None:
        any_store.ask("a", NOW, None)
        almost = NOW + timedelta(seconds=59.2)
        assert refused("rate_limited", any_store.ask, "a", almost, None).retry_after == 1
        any_store.ask("b", almost, None)
        any_store.ask("a", NOW + timedelta(seconds=60), None)

    def test_again_for_an_open_challenge(self, any_store: AnyStore) -> None:
        challenge, _ = add(any_store, user())
        any_store.set_code(challenge.id, "d", "later")
        again = challenge.asked_again(NOW)
        any_store.ask("a", NOW, self.again(again))
        assert any_store.challenge(challenge.id) == replace(again, digest="d", code_expires_at="later")

    def test_one_ask_too_many_changes_nothing(self, any_store: AnyStore) -> None:
        challenge, _ = add(any_store, user())
        any_store.ask("a", NOW, None)
        refused("rate_limited", any_store.ask, "a", NOW, self.again(challenge.asked_again(NOW)))
        assert any_store.challenge(challenge.id) == challenge

    def test_a_stale_challenge_neither_changes_nor_costs_the_minute(self, any_store: AnyStore) -> None:
        challenge, _ = add(any_store, user())
        with pytest.raises(Stale):
            any_store.ask("a", NOW, self.again(replace(challenge, asked=5)))
        any_store.ask("a", NOW, None)
        assert any_store.challenge(challenge.id) == challenge

    def test_a_new_challenge_takes_the_old_ones_place(self, any_store: AnyStore) -> None:
        _, attempts = add(any_store, user())
        fresh = Challenge.new("chl_fresh", user().id, "verify_email", EMAIL, NOW)
        asked = self.again(fresh)._replace(attempts=Attempts.following(attempts, fresh))
        any_store.ask("a", NOW, asked)
        assert any_store.challenge(fresh.id) == fresh
        assert any_store.attempts(user().id, "verify_email") == asked.attempts
        with pytest.raises(Stale):
            any_store.ask("b", NOW, asked._replace(challenge=replace(fresh, id="chl_other")))

    @pytest.mark.parametrize("what", ["gone", "moved"])
    def test_not_for_somebody_who_is_not_there_any_more(self, any_store: AnyStore, what: str) -> None:
        add(any_store, user())
        fresh = Challenge.new("chl_fresh", user().id, "login", EMAIL, NOW)
        asked = self.again(fresh)._replace(attempts=Attempts(user().id, "login", fresh.id))
        if what == "gone":
            any_store.bury(user(), user().deletion(NOW, STRANGER))
        else:
            become(any_store, email="new@example.com")
        with pytest.raises(Stale):
            any_store.ask("a", NOW, asked)
        with pytest.raises(Stale):
            any_store.ask_for_login(asked, HERE, NOW)
        assert any_store.challenge(fresh.id) is any_store.attempts(user().id, "login") is None

    def test_not_while_there_is_a_wait(self, any_store: AnyStore) -> None:
        add(any_store, user())
        fail(any_store, 5)
        fresh = Challenge.new("chl_fresh", user().id, "login", EMAIL, NOW)
        asked = self.again(fresh)._replace(attempts=Attempts(user().id, "login", fresh.id))
        with pytest.raises(Stale):
            any_store.ask("a", NOW, asked, HERE)
        with pytest.raises(Stale):
            any_store.ask_for_login(asked, HERE, NOW)
        any_store.ask_for_login(asked, ELSEWHERE, NOW)
        assert any_store.challenge(fresh.id) == fresh
        any_store.ask("a", NOW + timedelta(seconds=30), self.again(fresh.asked_again(NOW)), HERE)

    def test_is_told_with_the_challenge(self, store: Store, table: Table) -> None:
        challenge, _ = add(store, user())
        store.ask("a", NOW, self.again(challenge.asked_again(NOW)))
        item = table.get((f"C#{challenge.id}", "C"))
        assert item is not None
        assert [event["sequence"] for event in json.loads(item["outbox"])] == [2]


class TestSessions:
    def test_comes_back_to_its_user_alone(self, any_store: AnyStore) -> None:
        open_session(any_store, session())
        assert any_store.session(session().user_id, session().id) == session()
        assert any_store.session("usr_x", session().id) is None

    @pytest.mark.parametrize("changes", [{"generation": 1}, {"status": "suspended"}, {"second_factor": "email"}])
    def test_is_not_opened_for_a_user_who_has_changed_in_between(
        self, any_store: AnyStore, changes: dict[str, Any]
    ) -> None:
        add(any_store, user())
        become(any_store, **changes)
        with pytest.raises(Stale):
            open_session(any_store, session())
        assert any_store.session(session().user_id, session().id) is None

    def test_is_not_opened_for_nobody(self, any_store: AnyStore) -> None:
        add(any_store, user())
        with pytest.raises(Stale):
            open_at(any_store, session("usr_x"), HERE, NOW)
        assert any_store.session("usr_x", session("usr_x").id) is None

    def test_is_told_with_the_session(self, store: Store, table: Table) -> None:
        open_session(store, session())
        assert told(table) == ["code.requested", "user.login", "user.registered"]

    def test_the_live_ones_are_listed_newest_first(self, any_store: AnyStore) -> None:
        add(any_store, user())
        opened = [replace(session(), id=ids.derived_id("ses", NOW + timedelta(seconds=n), "")) for n in range(5)]
        for each in opened:
            open_at(any_store, each, HERE, NOW)
        any_store.end_session(user().id, opened[3].id, NOW)
        live = [opened[4], opened[2], opened[1], opened[0]]
        assert list(any_store.live_sessions(user(), NOW, None)) == live
        assert list(any_store.live_sessions(user(), NOW, opened[2].id)) == live[2:]
        assert list(any_store.live_sessions(user(), NOW, opened[0].id)) == []
        assert list(any_store.live_sessions(user(), NOW + timedelta(days=30), None)) == []
        assert list(any_store.live_sessions(replace(user(), generation=1), NOW, None)) == []

    def test_what_else_a_user_has_is_no_session(self, any_store: AnyStore) -> None:
        add(any_store, user())
        assert list(any_store.live_sessions(user(), NOW, None)) == []

    def test_a_login_makes_its_device_known(self, any_store: AnyStore) -> None:
        device = Device.of(user().id, NOW, STRANGER)
        assert not any_store.is_known(device, NOW)
        open_session(any_store, session())
        assert any_store.is_known(device, NOW + timedelta(days=90, seconds=-1))
        assert not any_store.is_known(device, NOW + timedelta(days=90))
        assert not any_store.is_known(replace(device, digest="other"), NOW)
        assert not any_store.is_known(replace(device, user_id="usr_x"), NOW)

    def test_there_is_one_first_login(self, any_store: AnyStore) -> None:
        add(any_store, user())
        assert not any_store.has_signed_in(user().id)
        open_at(any_store, session(), HERE, NOW, first=True)
        assert any_store.has_signed_in(user().id)
        another = replace(session(), id=ids.derived_id("ses", NOW, "2"))
        with pytest.raises(Stale):
            open_at(any_store, another, HERE, NOW, first=True)
        open_at(any_store, another, HERE, NOW)

    def test_one_is_taken_along_into_the_next_generation(self, store: Store, table: Table) -> None:
        open_session(store, session())
        table.transact([keep_session(user().id, session().id, 1)])
        assert store.session(user().id, session().id) == replace(session(), generation=1)
        store.end_session(user().id, session().id, NOW)
        for generation in (1, 2):
            with pytest.raises(Cancelled):
                table.transact([keep_session(user().id, session().id, generation)])

    def test_rotates_from_what_was_read_only(self, any_store: AnyStore) -> None:
        open_session(any_store, session())
        following = replace(
            session(),
            current="next",
            rotated_at="later",
            ip="203.0.113.8",
            expires_at=session().expires_at + 1,
            used={session().current: "now"},
        )
        any_store.rotate(following, session())
        assert any_store.session(session().user_id, session().id) == following
        with pytest.raises(Stale):
            any_store.rotate(replace(following, current="other"), session())
        assert any_store.session(session().user_id, session().id) == following

    def test_a_rotation_whose_reply_was_lost_is_the_same_success(self, store: Store) -> None:
        open_session(store, session())
        following = replace(session(), current="next")
        store.rotate(following, session())
        store.rotate(following, session())

    def test_ends_once_and_for_all(self, any_store: AnyStore) -> None:
        open_session(any_store, session())
        for later in range(3):
            any_store.end_session(session().user_id, session().id, NOW + timedelta(seconds=later))
        ended = any_store.session(session().user_id, session().id)
        assert ended == replace(session(), ended_at=clock.timestamp(NOW))
        with pytest.raises(Stale):
            any_store.rotate(replace(session(), current="next"), session())

    def test_ending_what_never_was_makes_nothing(self, any_store: AnyStore) -> None:
        any_store.end_session(session().user_id, session().id, NOW)
        assert any_store.session(session().user_id, session().id) is None


def fail(store: AnyStore, times: int, counters: Counters = HERE) -> Tally:
    for _ in range(times):
        before = store.tally(counters)
        store.count_failure(before.with_one_more(NOW, RULES), before, None)
    return store.tally(counters)


def counts(tally: Tally) -> list[int]:
    return [failures.count for failures in tally]


class TestFailures:
    def test_count_up_under_every_counter(self, any_store: AnyStore) -> None:
        assert any_store.tally(HERE) == Tally(*map(Failures, HERE))
        assert counts(fail(any_store, 3)) == [3, 3, 3]
        assert counts(any_store.tally(ELSEWHERE)) == [0, 0, 0]
        assert counts(any_store.tally(Counters.of(EMAIL, "203.0.113.8"))) == [0, 3, 0]

    @pytest.mark.parametrize("other", [HERE, HERE._replace(pair="x", email="y"), HERE._replace(pair="x", address="y")])
    def test_one_on_a_stale_count_counts_nothing(self, any_store: AnyStore, other: Counters) -> None:
        before = any_store.tally(HERE)
        fail(any_store, 1, other)
        known = any_store.tally(HERE)
        with pytest.raises(Stale):
            any_store.count_failure(before.with_one_more(NOW, RULES), before, None)
        assert any_store.tally(HERE) == known

    def test_are_told_where_they_hit_a_user(self, store: Store, table: Table) -> None:
        before = store.tally(HERE)
        store.count_failure(before.with_one_more(NOW, RULES), before, user().login_failed(NOW, Actor()))
        assert told(table) == ["user.login_failed"]
        assert counts(store.tally(HERE)) == [1, 1, 1]

    def test_a_login_forgets_those_for_the_email_from_the_address(self, any_store: AnyStore) -> None:
        fail(any_store, 4)
        fail(any_store, 4, ELSEWHERE)
        open_session(any_store, session())
        assert counts(any_store.tally(HERE)) == [0, 4, 4]
        assert counts(any_store.tally(ELSEWHERE)) == [4, 4, 4]

    def test_a_login_waits_with_them_and_not_longer(self, any_store: AnyStore) -> None:
        fail(any_store, 5)
        with pytest.raises(Stale):
            open_session(any_store, session())
        assert any_store.session(session().user_id, session().id) is None
        later = NOW + timedelta(seconds=30)
        open_at(any_store, session(), HERE, later)
        assert counts(any_store.tally(HERE)) == [0, 5, 5]

    @pytest.mark.parametrize("shared", ["email", "address"])
    def test_a_login_waits_with_either_of_the_others(self, any_store: AnyStore, shared: str) -> None:
        others = Counters("x", HERE.email, "y") if shared == "email" else Counters("x", "y", HERE.address)
        fail(any_store, 50 if shared == "email" else 100, others)
        with pytest.raises(Stale):
            open_session(any_store, session())
        open_at(any_store, session(), HERE, NOW + timedelta(seconds=30))


def test_a_fault_of_aws_is_no_refusal(store: Store, table: Table) -> None:
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
