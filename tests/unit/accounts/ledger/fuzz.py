"""Runs the ledger's machine and its writers at once for as long as one likes: `make fuzz`.

MINUTES (5) or EXAMPLES say how long; a lot that fails prints its seed, and SEED=... runs that lot again.
"""

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator

from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.unit.accounts.ledger.test_contended import test_writers_at_once_leave_books_that_balance
from tests.unit.accounts.ledger.test_machine import LedgerMachine

LOT = 50


def run(number: int) -> None:
    """One lot, always the same for a number. Raises whatever a check raises."""
    machine = seed(number)(type("LedgerMachine", (LedgerMachine,), {}))
    run_state_machine_as_test(machine, settings=settings(LedgerMachine.TestCase.settings, max_examples=LOT))
    for each in range(number, number + LOT // 10):
        for chance in (0.0, 0.1):
            test_writers_at_once_leave_books_that_balance(each, chance)


def seeds(minutes: float, examples: int | None, now: Callable[[], float] = time.monotonic) -> Iterator[int]:
    """Fresh numbers until the time is over or so many examples have been run."""
    ends = now() + 60 * minutes
    lots = None if examples is None else -(-examples // LOT)
    done = 0
    while done < lots if lots is not None else now() < ends:
        yield secrets.randbelow(2**32)
        done += 1


def main() -> int:
    """Runs one lot after the other, and stops at the first that fails."""
    given, examples = os.environ.get("SEED"), os.environ.get("EXAMPLES")
    lots = (
        [int(given)]
        if given
        else seeds(float(os.environ.get("MINUTES") or 5), int(examples) if examples else None)
    )  # fmt: skip
    done = 0
    for number in lots:
        print(f"seed {number}", end=" ", flush=True)
        try:
            run(number)
        except BaseException:
            print(f"fails: make fuzz SEED={number}", flush=True)
            raise
        done += 1
        print("holds", flush=True)
    print(f"{done * LOT} runs of the machine, {done * LOT // 5} of writers at once: the books balance")
    return 0


if __name__ == "__main__":
    sys.exit(main())
