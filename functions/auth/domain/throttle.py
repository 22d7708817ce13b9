"""Limits on failed logins. After too many failures, the next login has to wait."""

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from common import clock
from common.errors import Refusal

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)


def digest_of(*parts: str) -> str:
    """Return a digest to count under, so that what strangers type is not stored."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class CounterKeys(NamedTuple):
    """The digests under which failed logins count: for an email from an address, for the email, for the address."""

    pair: str
    email: str
    address: str

    @classmethod
    def of(cls, email: str, address: str) -> "CounterKeys":
        """Return the keys for an email and an IP address."""
        return cls(digest_of("login", email, address), digest_of("email", email), digest_of("address", address))


@dataclass(frozen=True, slots=True)
class ThrottleRule:
    """How many failures cause the first wait. Failures are forgotten `memory` after the last or the first one."""

    limit: int
    memory: timedelta
    after_first: bool = False


PAIR_RULE = ThrottleRule(5, timedelta(days=1))


class ThrottleRules(NamedTuple):
    """The rule of each counter."""

    pair: ThrottleRule
    email: ThrottleRule
    address: ThrottleRule

    @classmethod
    def of(cls, per_email: int, per_address: int) -> "ThrottleRules":
        """Return the rules: five in a row for an email from an address, and so many an hour for each alone."""
        hour = timedelta(hours=1)
        email, address = (ThrottleRule(limit, hour, after_first=True) for limit in (per_email, per_address))
        return cls(PAIR_RULE, email, address)


@dataclass(frozen=True, slots=True)
class FailureCounter:
    """Failed logins under one key. They are forgotten at `expires_at` (epoch seconds). A wait ends at `until`."""

    key: str
    count: int = 0
    until: str | None = None
    expires_at: int = 0

    def wait(self, at: datetime) -> timedelta:
        """Return how long a login at `at` has to wait; zero or less means not at all."""
        return timedelta(0) if self.until is None else clock.parse(self.until) - at

    def incremented(self, at: datetime, rule: ThrottleRule) -> "FailureCounter":
        """Return the counter after another failure at `at`.

        The failure that reaches the limit causes a wait; each further one doubles it.
        """
        begins = at.timestamp() >= self.expires_at
        count = 1 if begins else self.count + 1
        forgotten = at + rule.memory
        if rule.after_first and not begins:
            forgotten = datetime.fromtimestamp(self.expires_at, at.tzinfo)
        if count < rule.limit:
            return FailureCounter(self.key, count, None, math.ceil(forgotten.timestamp()))
        # 2**20 times the first wait is far beyond the longest.
        until = at + min(FIRST_WAIT * 2 ** min(count - rule.limit, 20), LONGEST_WAIT)
        return FailureCounter(self.key, count, clock.timestamp(until), math.ceil(max(forgotten, until).timestamp()))


class LoginFailures(NamedTuple):
    """The failed logins under each key of an email and an address."""

    pair: FailureCounter
    email: FailureCounter
    address: FailureCounter

    def check(self, at: datetime) -> None:
        """Raise Refusal `rate_limited` if a login at `at` has to wait."""
        wait = max(counter.wait(at) for counter in self)
        if wait > timedelta(0):
            raise rate_limited(wait)

    def incremented(self, at: datetime, rules: ThrottleRules) -> "LoginFailures":
        """Return the counters after another failure at `at`, which counts under every key."""
        return LoginFailures(*(counter.incremented(at, rule) for counter, rule in zip(self, rules, strict=True)))


def rate_limited(wait: timedelta) -> Refusal:
    """Return the refusal that says how long to wait."""
    return Refusal("rate_limited", retry_after=max(1, math.ceil(wait.total_seconds())))
