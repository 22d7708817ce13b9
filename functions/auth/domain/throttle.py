"""What happens too often has to wait: failed logins, and codes that are asked for again."""

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from common import clock
from common.errors import Problem

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)


def digest_of(*parts: str) -> str:
    """A digest under which something is counted, so that what strangers type is not kept."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class Counters(NamedTuple):
    """The digests under which failed logins for an email from an address are counted: together, and each over all."""

    pair: str
    email: str
    address: str

    @classmethod
    def of(cls, email: str, address: str) -> "Counters":
        """Those of an email and an ip address."""
        return cls(digest_of("login", email, address), digest_of("email", email), digest_of("address", address))


@dataclass(frozen=True, slots=True)
class Rule:
    """How many failures bring the first wait, and how long they are remembered: after the last, or after the first."""

    limit: int
    memory: timedelta
    after_first: bool = False


PAIR_RULE = Rule(5, timedelta(days=1))


class Rules(NamedTuple):
    """The rules of each counter."""

    pair: Rule
    email: Rule
    address: Rule

    @classmethod
    def of(cls, per_email: int, per_address: int) -> "Rules":
        """Five in a row for an email from an address; so many an hour for each over all."""
        hour = timedelta(hours=1)
        return cls(PAIR_RULE, Rule(per_email, hour, after_first=True), Rule(per_address, hour, after_first=True))


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed logins under one counter, forgotten at `expires_at` (epoch seconds)."""

    key: str
    count: int = 0
    until: str | None = None
    expires_at: int = 0

    def wait(self, at: datetime) -> timedelta:
        """How long a login at `at` still has to wait; zero or less is not at all."""
        return timedelta(0) if self.until is None else clock.parse(self.until) - at

    def with_one_more(self, at: datetime, rule: Rule) -> "Failures":
        """After another failure at `at`: the one that reaches the limit brings a wait, each one further twice that."""
        begins = at.timestamp() >= self.expires_at
        count = 1 if begins else self.count + 1
        forgotten = at + rule.memory
        if rule.after_first and not begins:
            forgotten = datetime.fromtimestamp(self.expires_at, at.tzinfo)
        if count < rule.limit:
            return Failures(self.key, count, None, math.ceil(forgotten.timestamp()))
        # 2**20 times the first wait is far beyond the longest.
        until = at + min(FIRST_WAIT * 2 ** min(count - rule.limit, 20), LONGEST_WAIT)
        return Failures(self.key, count, clock.timestamp(until), math.ceil(max(forgotten, until).timestamp()))


class Tally(NamedTuple):
    """The failed logins under each counter."""

    pair: Failures
    email: Failures
    address: Failures

    def check(self, at: datetime) -> None:
        """Refuses a login that comes before every wait is over. Raises Problem `rate_limited`."""
        wait = max(failures.wait(at) for failures in self)
        if wait > timedelta(0):
            raise too_many(wait)

    def with_one_more(self, at: datetime, rules: Rules) -> "Tally":
        """After another failure at `at`, which counts under all."""
        return Tally(*(failures.with_one_more(at, rule) for failures, rule in zip(self, rules, strict=True)))


def too_many(wait: timedelta) -> Problem:
    """The refusal that says how long to wait."""
    return Problem("rate_limited", retry_after=max(1, math.ceil(wait.total_seconds())))
