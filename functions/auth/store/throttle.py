"""Counters of failed logins, and quotas."""

from collections.abc import Iterable
from datetime import datetime

from common.contracts.events import Event
from common.dynamo import ConditionFailed, Put, Table, Where

from functions.auth.domain.throttle import FailureCounter, LoginFailures, Quota
from functions.auth.store.items import item_of, record_of, taken, transact
from functions.auth.store.keys import failures_key


class ThrottleStore:
    """Failed logins and quotas."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def login_failures(self, keys: Iterable[str]) -> LoginFailures:
        """Return the failed logins under each key."""
        return LoginFailures(
            record_of(FailureCounter, self._table.get(failures_key(key))) or FailureCounter(key) for key in keys
        )

    def count_failure(self, failures: LoginFailures, before: LoginFailures, event: Event | None) -> None:
        """Write another failed login under each key if the counters are still as `before`. Raises Stale."""
        events = (event, *(None for _ in failures[1:]))
        transact(self._table, *(_next_counter(*each) for each in zip(failures, before, events, strict=True)))

    def take(self, quota: Quota, at: datetime) -> None:
        """Use one of a quota. Raises Refusal `rate_limited` if nothing is left."""
        try:
            self._table.update(taken(quota))
        except ConditionFailed as failed:
            raise quota.refusal(at) from failed


def _next_counter(counter: FailureCounter, before: FailureCounter, event: Event | None) -> Put:
    unchanged: Where = (("count", "absent or =", before.count), ("expires_at", "absent or =", before.expires_at))
    return Put(item_of(failures_key(counter.key), counter, event), unchanged)
