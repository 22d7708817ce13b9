"""Failed logins, and the waits that they ask for."""

from collections.abc import Iterable, Mapping

from common.dynamo import Check, Put, Table
from common.events import Event, outbox

from functions.auth.domain.throttle import Counters, Failures, Tally
from functions.auth.store.items import failures_key, item_of, record_of, transact


class ThrottleStore:
    """Who tried to sign in."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def tally(self, counters: Counters) -> Tally:
        """The failed logins under each counter."""
        return Tally(*(record_of(Failures, self._table.get(failures_key(key))) or Failures(key) for key in counters))

    def count_failure(self, tally: Tally, before: Tally, event: Event | None) -> None:
        """Writes one more failed login under every counter, where `before` still holds. Raises Stale."""
        told = (outbox(event) if event else None, None, None)
        transact(self._table, *(_counted(*each) for each in zip(tally, before, told, strict=True)))


def _counted(failures: Failures, before: Failures, told: Mapping[str, str] | None) -> Put:
    unchanged = (("count", "absent or =", before.count), ("expires_at", "absent or =", before.expires_at))
    return Put(item_of(failures_key(failures.key), failures, told), unchanged)


def no_wait(keys: Iterable[str], at: str) -> list[Check]:
    """Holds a transaction to there being no wait under any of `keys`: guesses sent at once are all compared before the
    first failure counts, and the right one has to wait as well."""
    return [Check(failures_key(key), (("until", "absent or <=", at),)) for key in keys]
