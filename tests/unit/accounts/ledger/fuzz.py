"""Runs the ledger's state machine and its concurrent writers for a given time: `make fuzz`.

MINUTES (5) or EXAMPLES set how long. A batch that fails prints its seed, and SEED=... runs that batch again.
"""

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator

from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.unit.accounts.ledger.test_contended import test_concurrent_writers_leave_a_consistent_ledger
from tests.unit.accounts.ledger.test_machine import LedgerMachine

BATCH = 50


def run(number: int) -> None:
    """Run one batch, which is always the same for a number. Raises what a check raises."""
    machine = seed(number)(type("LedgerMachine", (LedgerMachine,), {}))
    run_state_machine_as_test(machine, settings=settings(LedgerMachine.TestCase.settings, max_examples=BATCH))
    for each in range(number, number + BATCH // 10):
        for chance in (0.0, 0.1):
            test_concurrent_writers_leave_a_consistent_ledger(each, chance)


def seeds(minutes: float, examples: int | None, now: Callable[[], float] = time.monotonic) -> Iterator[int]:
    """Yield random numbers until the time is over or this many examples were run."""
    ends = now() + 60 * minutes
    batches = None if examples is None else -(-examples // BATCH)
    done = 0
    while done < batches if batches is not None else now() < ends:
        yield secrets.randbelow(2**32)
        done += 1


def main() -> int:
    """Run one batch after the other, and stop at the first that fails."""
    given, examples = os.environ.get("SEED"), os.environ.get("EXAMPLES")
    batches = (
        [int(given)]
        if given
        else seeds(float(os.environ.get("MINUTES") or 5), int(examples) if examples else None)
    )  # fmt: skip
    done = 0
    for number in batches:
        print(f"seed {number}", end=" ", flush=True)
        try:
            run(number)
        except BaseException:
            print(f"fails: make fuzz SEED={number}", flush=True)
            raise
        done += 1
        print("holds", flush=True)
    print(
        f"{done * BATCH} runs of the state machine, {done * BATCH // 5} of concurrent writers: the ledger is consistent"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
