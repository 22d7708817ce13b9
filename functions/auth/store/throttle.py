"""Counters of failed logins."""

from common.contracts.events import Event
from common.dynamo import Put, Table, Where

from functions.auth.domain.throttle import CounterKeys, FailureCounter, LoginFailures
from functions.auth.store.items import item_of, record_of, transact
from functions.auth.store.keys import failures_key


class ThrottleStore:
    """Failed logins."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def login_failures(self, keys: CounterKeys) -> LoginFailures:
        """Return the failed logins under each key."""
        found = (record_of(FailureCounter, self._table.get(failures_key(key))) or FailureCounter(key) for key in keys)
        return LoginFailures(*found)

    def count_failure(self, failures: LoginFailures, before: LoginFailures, event: Event | None) -> None:
        """Write another failed login under each key if the counters are still as `before`. Raises Stale."""
        counted = zip(failures, before, (event, None, None), strict=True)
        transact(self._table, *(_next_counter(*each) for each in counted))


def _next_counter(counter: FailureCounter, before: FailureCounter, event: Event | None) -> Put:
    unchanged: Where = (("count", "absent or =", before.count), ("expires_at", "absent or =", before.expires_at))
    return Put(item_of(failures_key(counter.key), counter, event), unchanged)
