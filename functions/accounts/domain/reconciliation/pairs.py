"""Facts that two items state, such as a posting in a step outcome and in the journal. Both have to state the same."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterator

from functions.accounts.domain.reconciliation.findings import Violation

_BUCKETS = 1 << 16


class Pairs:
    """Sums of what two items state: one states an amount, the other the same amount with the opposite sign.

    Memory holds the facts of the subjects in `watched` buckets (None for all). The others are summed up by bucket.
    """

    def __init__(self, watched: Container[int] | None) -> None:
        self._facts: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
        self._watched = watched
        self._sums: Counter[int] = Counter()

    def watches(self, subject: str) -> bool:
        """Whether the facts of a subject are kept."""
        return self._watched is None or bucket(subject) in self._watched

    def add(self, subject: str, amount: int, *fact: str) -> None:
        """Add what one of the two items states."""
        if self.watches(subject):
            self._facts[subject][fact] += amount
        else:
            # Multiplied by a hash, so that amounts of different facts do not cancel out.
            self._sums[bucket(subject)] += amount * hash((subject, *fact))

    def unbalanced(self) -> set[int]:
        """Return the buckets, of those not watched, in which some fact is stated by one item only."""
        return {number for number, total in self._sums.items() if total}

    def violations(self, refused: Container[str]) -> Iterator[tuple[int, Violation]]:
        """Yield what is wrong with the watched subjects. `refused` are the transfers with a refused step."""
        for subject, facts in self._facts.items():
            for fact, amount in facts.items():
                if amount:
                    yield from _violations(subject, amount, fact, refused)


def bucket(subject: str) -> int:
    """Return the bucket of a subject, which is the same within one process."""
    return hash(subject) % _BUCKETS


def _violations(
    subject: str, amount: int, fact: tuple[str, ...], refused: Container[str]
) -> Iterator[tuple[int, Violation]]:
    match fact:
        case ("posted", account_id):
            yield 4, Violation(subject, f"the entries of {account_id} differ by {amount:+} from the step outcome")
            if subject in refused:
                yield 5, Violation(subject, f"was refused and changed {account_id} by {amount:+}")
        case ("entries",):
            yield 1, Violation(subject, f"the entries sum to {amount:+}")
        case ("reserved" | "freed" as change, account_id):
            yield 4, Violation(subject, f"the lines of {account_id} {change} {amount:+} more than the hold")
        case ("link", user_id):
            yield 8, Violation(subject, f"is {'missing from' if amount > 0 else 'wrongly in'} the list of {user_id}")
        case ("card", user_id, _):
            what = "a card without a fingerprint" if amount > 0 else "a fingerprint without a card"
            yield 8, Violation(subject, f"is {what}, of {user_id}")
        case _:
            what = "no entry" if amount > 0 else "an outdated entry"
            yield 8, Violation(subject, f"has {what} in the payee directory under an alias")
