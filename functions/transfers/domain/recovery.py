"""Recovery: when a pending transfer is due, and in which shard of the index it waits."""

import zlib
from datetime import datetime, timedelta
from typing import NamedTuple

from common import clock

from functions.transfers.domain.lifecycle import LIFECYCLES, Kind

SHARDS = tuple(f"{number:02}" for number in range(32))
_MAX_BACKOFF = timedelta(hours=1)


class DueTransfer(NamedTuple):
    """A transfer that has not ended in time."""

    transfer_id: str
    due_at: str


def due_shard(transfer_id: str) -> str:
    """Return the shard of the `due` index for a transfer."""
    return SHARDS[zlib.crc32(transfer_id.encode()) % len(SHARDS)]


def first_due_at(kind: Kind, now: datetime) -> str:
    """Return when a transfer that starts now is due."""
    return clock.timestamp(now + LIFECYCLES[kind].due_after)


def next_due_at(attempts: int, now: datetime) -> str:
    """Return when a transfer is due again after `attempts` recoveries: in 1, 2, 4, ... minutes, at most an hour."""
    return clock.timestamp(now + min(timedelta(minutes=2 ** min(attempts, 10)), _MAX_BACKOFF))
