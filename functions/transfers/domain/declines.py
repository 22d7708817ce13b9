"""The limit on declines. Each has looked up a payee: without a limit, they would be a way to guess addresses."""

import math
from datetime import datetime, timedelta
from typing import NamedTuple

from common import clock
from common.errors import Refusal

MAX_DECLINES_PER_HOUR = 30


class Hour(NamedTuple):
    """A full hour in which declines are counted."""

    starts_at: str
    ends_at: datetime


def hour_of(now: datetime) -> Hour:
    """Return the hour that `now` is in."""
    start = now.replace(minute=0, second=0, microsecond=0)
    return Hour(clock.timestamp(start), start + timedelta(hours=1))


def too_many_declines(now: datetime) -> Refusal:
    """Return the refusal of a user who has reached the limit, for the rest of the hour."""
    seconds = math.ceil((hour_of(now).ends_at - now).total_seconds())
    return Refusal(
        "rate_limited", "Too many of your payments were declined. Try again in the next hour.", retry_after=seconds
    )
