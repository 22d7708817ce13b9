from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from common.errors import Problem

from functions.auth.domain.throttle import PAIR_RULE, Counters, Failures, Rule, Rules, Tally
from tests.support.clock import FakeClock
from tests.unit.auth.fakes import STRANGER
from tests.unit.auth.room import EMAIL, PASSWORD, Room, refused

HOUR = Rule(3, timedelta(hours=1), after_first=True)


def attempt(room: Room, password: str, email: str = EMAIL, ip: str = "203.0.113.7") -> None:
    room.logins.login(email, password, replace(STRANGER, ip=ip))


def guess(room: Room, times: int, who: Callable[[int], tuple[str, str]]) -> None:
    """Wrong passwords, each for an email from an address that follow from its number."""
    for number in range(times):
        refused("invalid_credentials", attempt, room, "wrong words", *who(number))


def from_everywhere(number: int) -> tuple[str, str]:
    return EMAIL, f"198.51.100.{number}"


def for_everybody(number: int) -> tuple[str, str]:
    return f"user{number}@example.com", "203.0.113.7"


class TestPerEmail:
    @pytest.mark.parametrize("known", [True, False])
    def test_fifty_an_hour_over_all_addresses(self, room: Room, known: bool) -> None:
        if known:
            room.register()
        guess(room, 50, from_everywhere)
        assert refused("rate_limited", attempt, room, "wrong words", EMAIL, "192.0.2.1").retry_after == 30
        assert refused("rate_limited", attempt, room, PASSWORD, EMAIL, "192.0.2.1").retry_after == 30

    def test_waits_grow_and_the_right_password_is_in_after_them(self, room: Room) -> None:
        room.register()
        guess(room, 50, from_everywhere)
        for number, wait in enumerate((30, 60, 120)):
            assert refused("rate_limited", attempt, room, PASSWORD).retry_after == wait
            room.clock.advance(seconds=wait)
            guess(room, 1, lambda _, number=number: (EMAIL, f"192.0.2.{number}"))  # type: ignore[misc]
        room.clock.advance(seconds=240)
        attempt(room, PASSWORD)

    def test_another_email_does_not_wait(self, room: Room) -> None:
        room.register("grace@example.com")
        guess(room, 50, from_everywhere)
        attempt(room, PASSWORD, "grace@example.com")

    def test_is_over_after_an_hour(self, room: Room) -> None:
        room.register()
        guess(room, 49, from_everywhere)
        room.clock.advance(hours=1)
        guess(room, 49, from_everywhere)
        attempt(room, PASSWORD)

    def test_a_login_does_not_forget_it(self, room: Room) -> None:
        room.register()
        guess(room, 49, from_everywhere)
        attempt(room, PASSWORD)
        guess(room, 1, from_everywhere)
        refused("rate_limited", attempt, room, PASSWORD)


class TestPerAddress:
    def test_a_hundred_an_hour_over_all_emails(self, room: Room) -> None:
        room.register()
        guess(room, 100, for_everybody)
        assert refused("rate_limited", attempt, room, PASSWORD).retry_after == 30
        attempt(room, PASSWORD, EMAIL, "192.0.2.1")

    def test_a_login_of_ones_own_does_not_forget_it(self, room: Room) -> None:
        room.register()
        guess(room, 99, for_everybody)
        attempt(room, PASSWORD)
        guess(room, 1, for_everybody)
        refused("rate_limited", attempt, room, PASSWORD)


def test_the_longest_of_all_waits_counts(room: Room) -> None:
    room.register()
    guess(room, 45, from_everywhere)
    guess(room, 4, lambda _: (EMAIL, "203.0.113.7"))
    room.clock.advance(seconds=1)
    # The fifth for the pair, the fiftieth for the email: another brings the pair twice the wait.
    guess(room, 1, lambda _: (EMAIL, "203.0.113.7"))
    room.clock.advance(seconds=30)
    guess(room, 1, lambda _: (EMAIL, "203.0.113.7"))
    room.clock.advance(seconds=30)
    assert refused("rate_limited", attempt, room, PASSWORD, EMAIL, "192.0.2.9").retry_after == 30
    assert refused("rate_limited", attempt, room, PASSWORD).retry_after == 30


@pytest.mark.parametrize("who", [from_everywhere, for_everybody])
def test_a_right_guess_behind_the_last_free_wrong_one_waits_as_well(
    room: Room, who: Callable[[int], tuple[str, str]]
) -> None:
    room.register()
    room.store.before("open_session", lambda: guess(room, 100 if who is for_everybody else 50, who))
    refused("rate_limited", attempt, room, PASSWORD)
    assert not room.store.sessions


def test_during_a_wait_nothing_is_compared_and_nothing_counted(room: Room) -> None:
    room.register()
    guess(room, 50, from_everywhere)
    before, compared = dict(room.store.counted), room.passwords.compared
    for _ in range(3):
        refused("rate_limited", attempt, room, "wrong words")
    assert (room.store.counted, room.passwords.compared) == (before, compared)


class TestRule:
    """One counter at a time, to the second."""

    def count(self, clock: FakeClock, rule: Rule, failures: Failures, times: int = 1) -> Failures:
        for _ in range(times):
            failures = failures.with_one_more(clock(), rule)
        return failures

    def test_a_window_starts_with_its_first_failure(self) -> None:
        clock = FakeClock()
        first = self.count(clock, HOUR, Failures("k"))
        clock.advance(minutes=59, seconds=59)
        second = self.count(clock, HOUR, first)
        assert (second.count, second.expires_at) == (2, first.expires_at)
        clock.advance(seconds=1)
        assert self.count(clock, HOUR, second).count == 1

    def test_a_row_is_forgotten_after_its_last_failure(self) -> None:
        clock = FakeClock()
        failures = self.count(clock, PAIR_RULE, Failures("k"))
        for expected in (2, 3):
            clock.advance(hours=23, minutes=59)
            failures = self.count(clock, PAIR_RULE, failures)
            assert failures.count == expected
        clock.advance(hours=24)
        assert self.count(clock, PAIR_RULE, failures).count == 1

    def test_a_wait_is_not_forgotten_before_it_is_over(self) -> None:
        clock = FakeClock()
        failures = self.count(clock, HOUR, Failures("k"), 2)
        clock.advance(minutes=59)
        failures = self.count(clock, HOUR, failures, 8)
        assert failures.wait(clock()) == timedelta(hours=1)
        assert failures.expires_at == (clock() + timedelta(hours=1)).timestamp()
        clock.advance(minutes=60)
        assert failures.wait(clock()) == timedelta(0)
        assert self.count(clock, HOUR, failures).count == 1

    def test_waits_stop_growing_at_an_hour_however_many_there_are(self) -> None:
        clock = FakeClock()
        failures = self.count(clock, HOUR, Failures("k"), 2000)
        assert failures.wait(clock()) == timedelta(hours=1)

    def test_the_contracts_numbers(self) -> None:
        rules = Rules.of(50, 100)
        assert [rule.limit for rule in rules] == [5, 50, 100]

    def test_a_tally_waits_for_the_longest(self) -> None:
        clock = FakeClock()
        short, long = self.count(clock, HOUR, Failures("a"), 3), self.count(clock, HOUR, Failures("b"), 4)
        for tally in (Tally(short, long, Failures("c")), Tally(long, Failures("c"), short)):
            with pytest.raises(Problem) as raised:
                tally.check(clock())
            assert raised.value.retry_after == 60
        clock.advance(seconds=60)
        Tally(short, long, Failures("c")).check(clock())

    def test_what_is_counted_shows_neither_email_nor_address(self) -> None:
        counters = Counters.of(EMAIL, "203.0.113.7")
        assert len(set(counters)) == 3
        assert all(len(key) == 64 for key in counters)
