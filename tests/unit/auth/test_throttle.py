from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from common.errors import Refusal

from functions.auth.domain.throttle import (
    OWN_RULE,
    CounterKeys,
    FailureCounter,
    LoginFailures,
    ThrottleRule,
    ThrottleRules,
)
from tests.support.clock import FakeClock
from tests.unit.auth.world import ANONYMOUS, EMAIL, PASSWORD, World, refused

HOUR = ThrottleRule(3, timedelta(hours=1), after_first=True)


def attempt(world: World, password: str, email: str = EMAIL, ip: str = "203.0.113.7") -> None:
    world.logins.login(email, password, replace(ANONYMOUS, ip=ip))


def guess(world: World, times: int, who: Callable[[int], tuple[str, str]]) -> None:
    """Enter wrong passwords. `who` gives the email and the address of each."""
    for number in range(times):
        refused("invalid_credentials", attempt, world, "wrong words", *who(number))


def from_everywhere(number: int) -> tuple[str, str]:
    return EMAIL, f"198.51.100.{number}"


def for_everybody(number: int) -> tuple[str, str]:
    return f"user{number}@example.com", "203.0.113.7"


class TestPerEmail:
    @pytest.mark.parametrize("known", [True, False])
    def test_fifty_failures_an_hour_over_all_addresses(self, world: World, known: bool) -> None:
        if known:
            world.register()
        guess(world, 50, from_everywhere)
        assert refused("rate_limited", attempt, world, "wrong words", EMAIL, "192.0.2.1").retry_after == 30
        assert refused("rate_limited", attempt, world, PASSWORD, EMAIL, "192.0.2.1").retry_after == 30

    def test_waits_grow_and_a_correct_password_succeeds_after_them(self, world: World) -> None:
        world.register()
        guess(world, 50, from_everywhere)
        for number, wait in enumerate((30, 60, 120)):
            assert refused("rate_limited", attempt, world, PASSWORD).retry_after == wait
            world.clock.advance(seconds=wait)
            guess(world, 1, lambda _, number=number: (EMAIL, f"192.0.2.{number}"))  # type: ignore[misc]
        world.clock.advance(seconds=240)
        attempt(world, PASSWORD)

    def test_another_email_does_not_wait(self, world: World) -> None:
        world.register("grace@example.com")
        guess(world, 50, from_everywhere)
        attempt(world, PASSWORD, "grace@example.com")

    def test_is_forgotten_after_an_hour(self, world: World) -> None:
        world.register()
        guess(world, 49, from_everywhere)
        world.clock.advance(hours=1)
        guess(world, 49, from_everywhere)
        attempt(world, PASSWORD)

    def test_a_login_does_not_reset_it(self, world: World) -> None:
        world.register()
        guess(world, 49, from_everywhere)
        attempt(world, PASSWORD)
        guess(world, 1, from_everywhere)
        refused("rate_limited", attempt, world, PASSWORD, EMAIL, "192.0.2.1")


class TestPerAddress:
    def test_a_hundred_failures_an_hour_over_all_emails(self, world: World) -> None:
        world.register()
        guess(world, 100, for_everybody)
        assert refused("rate_limited", attempt, world, PASSWORD).retry_after == 30
        attempt(world, PASSWORD, EMAIL, "192.0.2.1")

    def test_an_own_login_does_not_reset_it(self, world: World) -> None:
        world.register()
        world.register("grace@example.com")
        guess(world, 99, for_everybody)
        attempt(world, PASSWORD)
        guess(world, 1, for_everybody)
        refused("rate_limited", attempt, world, PASSWORD, "grace@example.com")


def test_the_longest_wait_counts(world: World) -> None:
    world.register()
    guess(world, 45, from_everywhere)
    guess(world, 4, lambda _: (EMAIL, "203.0.113.7"))
    world.clock.advance(seconds=1)
    # The fifth failure of the pair and the fiftieth of the email. The next one doubles the wait of the pair.
    guess(world, 1, lambda _: (EMAIL, "203.0.113.7"))
    world.clock.advance(seconds=30)
    guess(world, 1, lambda _: (EMAIL, "203.0.113.7"))
    world.clock.advance(seconds=30)
    assert refused("rate_limited", attempt, world, PASSWORD, EMAIL, "192.0.2.9").retry_after == 30
    assert refused("rate_limited", attempt, world, PASSWORD).retry_after == 30


@pytest.mark.parametrize("who", [from_everywhere, for_everybody])
def test_a_correct_password_after_the_last_free_failure_waits(
    world: World, who: Callable[[int], tuple[str, str]]
) -> None:
    world.register()
    world.before_write("session", lambda: guess(world, 100 if who is for_everybody else 50, who))
    refused("rate_limited", attempt, world, PASSWORD)
    assert not world.stored.sessions


def test_during_a_wait_nothing_is_compared_and_nothing_counted(world: World) -> None:
    world.register()
    guess(world, 50, from_everywhere)
    before, compared = dict(world.stored.failures), world.hasher.compared
    for _ in range(3):
        refused("rate_limited", attempt, world, "wrong words")
    assert (world.stored.failures, world.hasher.compared) == (before, compared)


def from_device(number: int) -> tuple[str, str]:
    return EMAIL, "203.0.113.7"


class TestKnownDevices:
    """A device that the user logged in from in the last 90 days counts by itself."""

    @pytest.mark.parametrize("who", [from_everywhere, for_everybody])
    def test_strangers_can_not_make_it_wait(self, world: World, who: Callable[[int], tuple[str, str]]) -> None:
        world.register()
        attempt(world, PASSWORD)
        guess(world, 50 if who is from_everywhere else 100, who)
        attempt(world, PASSWORD)
        refused("rate_limited", attempt, world, PASSWORD, *who(51) if who is from_everywhere else who(1))

    def test_a_stranger_in_the_same_network_is_not_it(self, world: World) -> None:
        world.register()
        attempt(world, PASSWORD)
        stranger = replace(ANONYMOUS, user_agent="another")
        for _ in range(5):
            refused("invalid_credentials", world.logins.login, EMAIL, "wrong words", stranger)
        refused("rate_limited", world.logins.login, EMAIL, PASSWORD, stranger)
        attempt(world, PASSWORD)

    def test_its_own_failures_make_only_itself_wait(self, world: World) -> None:
        world.register()
        attempt(world, PASSWORD)
        guess(world, 5, from_device)
        assert refused("rate_limited", attempt, world, PASSWORD).retry_after == 30
        attempt(world, PASSWORD, EMAIL, "192.0.2.1")
        counts = [failures.count for failures in world.store.login_failures(CounterKeys.of(EMAIL, "203.0.113.7"))]
        assert counts == [0, 0, 0]

    def test_parallel_guesses_share_its_five_failures(self, world: World) -> None:
        world.register()
        attempt(world, PASSWORD)
        world.before_write("session", lambda: guess(world, 5, from_device))
        refused("rate_limited", attempt, world, PASSWORD)
        assert len(world.stored.sessions) == 1

    def test_is_a_stranger_again_after_ninety_days(self, world: World) -> None:
        world.register()
        attempt(world, PASSWORD)
        world.clock.advance(days=90)
        guess(world, 50, from_everywhere)
        refused("rate_limited", attempt, world, PASSWORD)

    def test_of_one_user_is_a_stranger_to_others(self, world: World) -> None:
        world.register()
        world.register("grace@example.com")
        attempt(world, PASSWORD)
        guess(world, 50, lambda number: ("grace@example.com", f"198.51.100.{number}"))
        refused("rate_limited", attempt, world, PASSWORD, "grace@example.com")

    def test_counts_for_a_second_factor_too(self, world: World) -> None:
        user = world.verified()
        attempt(world, PASSWORD)
        world.profile.change(ANONYMOUS, user.id, second_factor="email")
        challenge = world.begin()
        guess(world, 50, from_everywhere)
        world.finish(challenge, world.code(user, "login"))


class TestRule:
    """Single counters."""

    def count(self, clock: FakeClock, rule: ThrottleRule, failures: FailureCounter, times: int = 1) -> FailureCounter:
        for _ in range(times):
            failures = failures.incremented(clock(), rule)
        return failures

    def test_an_hour_starts_with_its_first_failure(self) -> None:
        clock = FakeClock()
        first = self.count(clock, HOUR, FailureCounter("k"))
        clock.advance(minutes=59, seconds=59)
        second = self.count(clock, HOUR, first)
        assert (second.count, second.expires_at) == (2, first.expires_at)
        clock.advance(seconds=1)
        assert self.count(clock, HOUR, second).count == 1

    def test_failures_in_a_row_are_forgotten_a_day_after_the_last(self) -> None:
        clock = FakeClock()
        failures = self.count(clock, OWN_RULE, FailureCounter("k"))
        for expected in (2, 3):
            clock.advance(hours=23, minutes=59)
            failures = self.count(clock, OWN_RULE, failures)
            assert failures.count == expected
        clock.advance(hours=24)
        assert self.count(clock, OWN_RULE, failures).count == 1

    def test_a_wait_is_not_forgotten_before_it_is_over(self) -> None:
        clock = FakeClock()
        failures = self.count(clock, HOUR, FailureCounter("k"), 2)
        clock.advance(minutes=59)
        failures = self.count(clock, HOUR, failures, 8)
        assert failures.wait(clock()) == timedelta(hours=1)
        assert failures.expires_at == (clock() + timedelta(hours=1)).timestamp()
        clock.advance(minutes=60)
        assert failures.wait(clock()) == timedelta(0)
        assert self.count(clock, HOUR, failures).count == 1

    def test_waits_never_exceed_an_hour(self) -> None:
        clock = FakeClock()
        failures = self.count(clock, HOUR, FailureCounter("k"), 2000)
        assert failures.wait(clock()) == timedelta(hours=1)

    def test_the_limits_of_the_contract(self) -> None:
        rules = ThrottleRules.of(50, 100)
        assert [rule.limit for rule in rules] == [5, 50, 100]

    def test_the_longest_wait_of_the_counters_applies(self) -> None:
        clock = FakeClock()
        short, long = self.count(clock, HOUR, FailureCounter("a"), 3), self.count(clock, HOUR, FailureCounter("b"), 4)
        for tally in (
            LoginFailures((short, long, FailureCounter("c"))),
            LoginFailures((long, FailureCounter("c"), short)),
        ):
            with pytest.raises(Refusal) as raised:
                tally.check(clock())
            assert raised.value.retry_after == 60
        clock.advance(seconds=60)
        LoginFailures((short, long, FailureCounter("c"))).check(clock())

    def test_keys_reveal_neither_email_nor_address(self) -> None:
        counters = CounterKeys.of(EMAIL, "203.0.113.7")
        assert len(set(counters)) == 3
        assert all(len(key) == 64 for key in counters)
