"""The clock hours in which attempts are counted."""

import math
from datetime import datetime, timedelta
from typing import NamedTuple

from common.clock import timestamp


class Hour(NamedTuple):
    """A clock hour, UTC. Its count may be deleted at `expires_at`, in seconds since 1970."""

    starts: str
    expires_at: int
    seconds_left: int

    @classmethod
    def of(cls, now: datetime) -> "Hour":
        """Return the hour that `now` is in."""
        starts = now.replace(minute=0, second=0, microsecond=0)
        ends = starts + timedelta(hours=1)
        return cls(timestamp(starts), int(ends.timestamp()), math.ceil((ends - now).total_seconds()))
