"""Limits: on failed logins, after which the next login has to wait, and on what may be done so often an hour or day."""

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from common import clock
from common.errors import Refusal

from functions.auth.domain.sessions import Device

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)


def digest_of(*parts: str) -> str:
    """Return a digest to count under, so that what strangers type is not stored."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class CounterKeys:
    """The digests under which failed logins count. A login resets the count of `own`, but not those of `shared`."""

    own: str
    shared: tuple[str, ...] = ()

    @classmethod
    def of(cls, email: str, address: str) -> "CounterKeys":
        """Return the keys of strangers: for an email from an IP address, for the email and for the address."""
        return cls(digest_of("login", email, address), (digest_of("email", email), address_key(address)))

    @classmethod
    def of_device(cls, device: Device) -> "CounterKeys":
        """Return the key of a known device. It counts by itself: nobody else's failures make its user wait."""
        return cls(digest_of("device", device.user_id, device.digest))

    def __iter__(self) -> Iterator[str]:
        return iter((self.own, *self.shared))


def address_key(address: str) -> str:
    """Return the digest under which the failures from an IP address count, whatever user they are about."""
    return digest_of("address", address)


@dataclass(frozen=True, slots=True)
class ThrottleRule:
    """How many failures cause the first wait. Failures are forgotten `memory` after the last or the first one."""

    limit: int
    memory: timedelta
    after_first: bool = False


OWN_RULE = ThrottleRule(5, timedelta(days=1))


class ThrottleRules(NamedTuple):
    """The rule of each counter, in the order of `CounterKeys`."""

    own: ThrottleRule
    email: ThrottleRule
    address: ThrottleRule

    @classmethod
    def of(cls, per_email: int, per_address: int) -> "ThrottleRules":
        """Return the rules: five in a row for an email from an address, and so many an hour for each alone."""
        hour = timedelta(hours=1)
        email, address = (ThrottleRule(limit, hour, after_first=True) for limit in (per_email, per_address))
        return cls(OWN_RULE, email, address)


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


class LoginFailures(tuple[FailureCounter, ...]):
    """The failed logins under each of some keys."""

    __slots__ = ()

    def check(self, at: datetime) -> None:
        """Raise Refusal `rate_limited` if a login at `at` has to wait."""
        wait = max(counter.wait(at) for counter in self)
        if wait > timedelta(0):
            raise rate_limited(wait)

    def incremented(self, at: datetime, rules: Iterable[ThrottleRule]) -> "LoginFailures":
        """Return the counters after another failure at `at`, which counts under every key. `rules` may be more."""
        return LoginFailures(counter.incremented(at, rule) for counter, rule in zip(self, rules, strict=False))


@dataclass(frozen=True, slots=True)
class Quota:
    """How often something may be done in a UTC hour or day, counted under `key` until `ends_at` (epoch seconds)."""

    key: str
    limit: int
    ends_at: int

    @classmethod
    def of(cls, limit: int, period: timedelta, at: datetime, *what: str) -> "Quota":
        """Return the quota of `what` in the period that `at` is in."""
        seconds = int(period.total_seconds())
        begins_at = int(at.timestamp()) // seconds * seconds
        return cls(digest_of("quota", *what, str(begins_at)), limit, begins_at + seconds)

    def refusal(self, at: datetime) -> Refusal:
        """Return the refusal that says how long to wait for the next period."""
        return rate_limited(timedelta(seconds=self.ends_at - at.timestamp()))


def rate_limited(wait: timedelta) -> Refusal:
    """Return the refusal that says how long to wait."""
    return Refusal("rate_limited", retry_after=max(1, math.ceil(wait.total_seconds())))
