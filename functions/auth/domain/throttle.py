"""What happens too often has to wait: failed logins, and codes that are asked for again."""

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from common import clock
from common.errors import Problem

FREE_FAILURES = 5
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
_MEMORY = timedelta(days=1)


def digest_of(*parts: str) -> str:
    """A digest under which something is counted, so that what strangers type is not kept."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed logins in a row for one email from one address, forgotten a day after the last (`expires_at`)."""

    key: str
    count: int = 0
    until: str | None = None
    expires_at: int = 0

    def check(self, at: datetime) -> None:
        """Refuses a login that comes before the wait is over. Raises Problem `rate_limited`."""
        if self.until is not None and clock.timestamp(at) < self.until:
            raise too_many(clock.parse(self.until) - at)

    def with_one_more(self, at: datetime) -> "Failures":
        """After another failure at `at`: the fifth brings a wait, and each one further twice that."""
        count = 1 + (self.count if at.timestamp() < self.expires_at else 0)
        until = None
        if count >= FREE_FAILURES:
            doublings = min(count - FREE_FAILURES, 20)
            until = clock.timestamp(at + min(FIRST_WAIT * 2**doublings, LONGEST_WAIT))
        return Failures(self.key, count, until, int((at + _MEMORY).timestamp()))


def too_many(wait: timedelta) -> Problem:
    """The refusal that says how long to wait."""
    return Problem("rate_limited", retry_after=max(1, math.ceil(wait.total_seconds())))
