"""Mutation tests: each of these bugs, planted on purpose, has to make a test fail (`make mutants`).

A mutant replaces an exact text in a copy of the tree. If two guards make each other redundant, one mutant removes both.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
COPIED = ("functions", "layers/common", "tests/support", "tests/unit/accounts", "tests/conftest.py", "pyproject.toml")
LEDGER_TESTS = "tests/unit/accounts/ledger"
# Fast tests first. The random ones run only if these find nothing.
TESTS = (
    ("test_expecting", "test_ledger", "test_folding", "test_limits", "test_lapse", "test_tasks"),
    ("test_contended", "test_machine", "test_hot_machine"),
)
LEDGER = "functions/accounts/domain/ledger.py"
POSTINGS = "functions/accounts/domain/postings.py"
HOLDS = "functions/accounts/domain/holds.py"
LIMITS = "functions/accounts/domain/limits.py"
ACCOUNTS = "functions/accounts/domain/accounts.py"
ACCOUNT_STORE = "functions/accounts/store/accounts.py"
SERVICE = "functions/accounts/service/ledger.py"
STORE = "functions/accounts/store/ledger.py"
SET_LIMITS = "functions/accounts/service/limits.py"
LIMIT_TABLE = "functions/accounts/store/limits.py"
BATCHES = "functions/accounts/domain/folding.py"
FOLDING = "functions/accounts/service/folding.py"
FOLDING_STORE = "functions/accounts/store/folding.py"


class Change(NamedTuple):
    """A replacement of a text that occurs once in a file."""

    path: str
    old: str
    new: str


class Mutant(NamedTuple):
    """One bug."""

    name: str
    changes: tuple[Change, ...]


def mutant(name: str, *changes: tuple[str, str, str]) -> Mutant:
    return Mutant(name, tuple(Change(*change) for change in changes))


MUTANTS = [
    # --- expecting
    mutant(
        "a closed account is made to expect money",
        (STORE, 'is_open: Where = [("status", "<>", "closed")]', "is_open: Where = []"),
    ),
    mutant(
        "an expectation is overwritten",
        (STORE, '{"step": "expect"} | asdict(expectation), ABSENT)', '{"step": "expect"} | asdict(expectation))'),
    ),
    mutant(
        "an expectation is made after the posting step",
        (
            STORE,
            'Check(keys.step(expectation.transfer_id, "post"), ABSENT)',
            'Check(keys.step("trf_0", "post"), ABSENT)',
        ),
    ),
    mutant(
        "an expectation conflicts with postings",
        (STORE, 'add={"incoming": 1}, where=is_open)', 'add={"incoming": 1, "version": 1}, where=is_open)'),
    ),
    mutant(
        "a posting does not end the expectation",
        (POSTINGS, "return Posting(posted, legs, expecting_account_id=expecting)", "return Posting(posted, legs)"),
    ),
    mutant(
        "a declined posting does not end the expectation",
        (
            POSTINGS,
            "Posting(refused, notice=notice, expecting_account_id=expecting)",
            "Posting(refused, notice=notice)",
        ),
    ),
    mutant(
        "a refusal does not end the expectation",
        (POSTINGS, "Posting(refused, expecting_account_id=request.expecting_account_id)", "Posting(refused)"),
    ),
    mutant(
        "what was not counted is ended",
        (STORE, 'where = [*head.where, ("incoming", ">=", 1)]', "where = [*head.where]"),
    ),
    mutant(
        "an expectation is ended by a write of its own beside that of the balance",
        (STORE, "*(each for each in writes if each is not head), ending", "*writes, ending"),
    ),
    mutant("a system account expects money", (POSTINGS, "if is_system(request.account_id):", "if False:")),
    mutant(
        "an account that expects money is closed",
        (ACCOUNTS, "self.posted == self.held == self.incoming == 0", "self.posted == self.held == 0"),
        (ACCOUNT_STORE, ', ("incoming", "absent or =", 0)])', "])"),
    ),
    mutant(
        "an expectation during the closing does not keep the account open",
        (ACCOUNT_STORE, ', ("incoming", "absent or =", 0)])', "])"),
    ),
    # --- posting
    mutant(
        "the payer's version is not checked",
        (
            STORE,
            'where += [\n            ("status", "=", "active"),',
            'where = [\n            ("status", "=", "active"),',
        ),
    ),
    mutant(
        "the payee's version is not checked",
        (STORE, 'where.append(("status", "<>", "closed"))', 'where[0] = ("status", "<>", "closed")'),
    ),
    mutant(
        "an account pays more than it has",
        (LEDGER, "if head.available < amount:", "if head.available < 0:"),
        (STORE, '("available", ">=", -leg.available_change)', '("available", ">", -1)'),
    ),
    mutant(
        "an account that was frozen after it was read pays",
        (STORE, '("status", "=", "active")', '("status", "<>", "closed")'),
    ),
    mutant(
        "an account that was closed after it was read is paid",
        (STORE, 'where.append(("status", "<>", "closed"))', "pass"),
    ),
    mutant("a frozen account pays", (LEDGER, 'if head.status != "active":', 'if head.status == "closed":')),
    mutant(
        "a closed account is paid",
        (LEDGER, 'if head is None or head.status == "closed":', "if head is None:"),
    ),
    mutant(
        "a step outcome is overwritten", (STORE, "Put(item | _outbox(posting), ABSENT)", "Put(item | _outbox(posting))")
    ),
    mutant("an account pays itself", (LEDGER, "if source == destination:", "if False:")),
    mutant("a negative amount steals", (LEDGER, "not 0 < amount <= MAX_AMOUNT", "not amount <= MAX_AMOUNT")),
    mutant("an amount has no maximum", (LEDGER, "not 0 < amount <= MAX_AMOUNT", "not 0 < amount")),
    mutant("True is an amount", (LEDGER, "type(amount) is not int or ", "")),
    mutant(
        "the payer's currency is not checked",
        (
            LEDGER,
            'if head.currency != currency:\n        return "failed", "currency_mismatch"\n    if head.status',
            "if head.status",
        ),
    ),
    mutant(
        "the payee's currency is not checked",
        (
            LEDGER,
            'if head.currency != currency:\n        return "failed", "currency_mismatch"\n    return None',
            "return None",
        ),
    ),
    mutant("a version is skipped", (LEDGER, "version=head.version + 1,", "version=head.version + 2,")),
    mutant("the balance after is the balance before", (LEDGER, "posted=head.posted + posted,", "posted=head.posted,")),
    mutant(
        "a line is older than the one before",
        (LEDGER, "return max([now, *(head.line_at for head in heads)])", "return now"),
    ),
    mutant("a line forgets the credit limit", (LEDGER, "            credit_limit=head.credit_limit,\n", "")),
    mutant(
        "a posting takes the name of a hold's step",
        (POSTINGS, "if not step or step in _OTHER_STEPS:", "if not step:"),
    ),
    # --- holds
    mutant("a hold is overwritten", (STORE, "_outbox(change), ABSENT)", "_outbox(change))")),
    mutant("a hold is resolved twice", (STORE, '(("status", "=", "open"),)', "()")),
    mutant(
        "a release gives back too much",
        (HOLDS, "0, -hold.amount, counted_at=hold.at", "0, -hold.amount - 1, counted_at=hold.at"),
    ),
    mutant(
        "a settlement forgets the rest", (HOLDS, "-amount, -hold.amount, counted_at", "-amount, -amount, counted_at")
    ),
    mutant("a settlement pays more than was held", (HOLDS, "if _paid(request, hold) > hold.amount:", "if False:")),
    mutant(
        "a hold lapses before its time",
        (HOLDS, "return bool(self.lapse_at) and self.lapse_at <= now", "return bool(self.lapse_at)"),
    ),
    mutant("a hold never lapses", (HOLDS, "return bool(self.lapse_at) and self.lapse_at <= now", "return False")),
    mutant(
        "a hold is settled after its time",
        (SERVICE, "            if hold.is_past(now):\n                return self._give_back(hold, now)\n", ""),
    ),
    mutant(
        "a lapse does not check whether the hold is open",
        (SERVICE, 'if hold.status != "open" or not hold.is_past(now):', "if not hold.is_past(now):"),
        (STORE, '(("status", "=", "open"),)', "()"),
    ),
    mutant(
        "a resolved hold stays in the index",
        (STORE, 'if hold.lapse_at and hold.status == "open":', "if hold.lapse_at:"),
    ),
    # --- limits
    mutant("a limit never restarts", (LIMITS, "replace(self, period=period, spent=0)", "replace(self, period=period)")),
    mutant(
        "a limit restarts with each debit",
        (LIMITS, "return self if period == self.period else replace", "return replace"),
    ),
    mutant("a week ends with the year", (LIMITS, 'return f"{year}-W{number:02}"', 'return f"{at[:4]}-W{number:02}"')),
    mutant(
        "a limit can be exceeded by one",
        (LIMITS, "self.spent + amount <= self.limit", "self.spent + amount <= self.limit + 1"),
    ),
    mutant(
        "a limit can't be reached", (LIMITS, "self.spent + amount <= self.limit", "self.spent + amount < self.limit")
    ),
    mutant(
        "what a hold gives back still counts",
        (LEDGER, "spending = spending.given_back(freed, counted_at, self.at)", "pass"),
    ),
    mutant(
        "what a hold gives back counts for another day", (LIMITS, "if daily.period == day(counted_at):", "if True:")
    ),
    mutant(
        "what a hold gives back counts for another week", (LIMITS, "if weekly.period == week(counted_at):", "if True:")
    ),
    mutant(
        "a decline counts",
        (
            STORE,
            "set=notes(notice.spending),",
            'set=notes(notice.spending) | {"day_spent": notice.spending.daily.spent + 1},',
        ),
    ),
    mutant(
        "a daily limit set meanwhile is exceeded",
        (STORE, '            ("daily_limit", "absent or >=", leg.spending.daily.spent),\n', ""),
    ),
    mutant(
        "a weekly limit set meanwhile is exceeded",
        (STORE, '            ("weekly_limit", "absent or >=", leg.spending.weekly.spent),\n', ""),
    ),
    mutant(
        "limits decline a settlement",
        (STORE, "if leg.available_change < 0:", "if leg.change < 0 or leg.available_change < 0:"),
    ),
    mutant(
        "a limit is removed without the PIN",
        (LIMITS, "(limit is None or limit > self.limit)", "limit is not None and limit > self.limit"),
    ),
    mutant("a limit is raised without the PIN", (LIMITS, "(limit is None or limit > self.limit)", "limit is None")),
    mutant(
        "anyone sets anyone's limits",
        (SET_LIMITS, "if found is None or found[0].owner_id != caller_id:", "if found is None:"),
    ),
    mutant(
        "a limit is written over a concurrent change",
        (LIMIT_TABLE, "remove=absent)", "remove=absent, where=())"),
    ),
    mutant(
        "a closed account gets limits",
        (SET_LIMITS, "if not account.is_open:", "if False:"),
    ),
    # --- events
    mutant(
        "each debit below the threshold is published",
        (LEDGER, "not available < threshold <= head.available", "not available < threshold"),
    ),
    mutant("each decline by a limit is published", (LEDGER, " if each.notified != each.period]", "]")),
    mutant(
        "two first declines are both published",
        (
            STORE,
            '("version", "=", head.version), ("changes", "absent or =", head.changes)',
            '("version", "=", head.version)',
        ),
    ),
    mutant(
        "an alert set meanwhile is ignored",
        (STORE, '            as_read("low_balance_alert", head.low_balance_alert),\n', ""),
    ),
    mutant(
        "two events have one number",
        (STORE, '    if leg.events:\n        where.append(("changes", "absent or =", head.changes))\n', ""),
    ),
    mutant(
        "changes do not count in the number of an event",
        (LEDGER, "return self.version + self.changes", "return self.version"),
    ),
    mutant(
        "a changed limit is not published",
        (LIMITS, 'replace(self, limit=limit, notified="")', "replace(self, limit=limit)"),
    ),
    mutant(
        "published events stay on the head",
        (STORE, "        remove=[OUTBOX],\n        where=where,", "        where=where,"),
    ),
    mutant("nothing is published", (STORE, "return outbox(*events) if events else {}", "return {}")),
    # --- pending credits and batches
    mutant("a debit of a hot account is pending", (LEDGER, "(posted > 0 and self.heads", "(self.heads")),
    mutant(
        "pending credits are not folded before a decline", (SERVICE, "or not head.may_have_pending or", "or True or")
    ),
    mutant("a hot payee is remembered forever", (SERVICE, "self._now() - read_at < _HOT_FOR", "True")),
    mutant(
        "a batch does not check whether its account changed",
        (FOLDING_STORE, '        ("version", "=", head.version),\n', ""),
    ),
    mutant(
        "a batch is booked over another",
        (FOLDING_STORE, '        ("version", "=", head.version),\n        ("fold", "absent or =", head.fold),\n', ""),
    ),
    mutant(
        "a credit is folded while the last batch is not cleared",
        (
            FOLDING,
            "        if head.clean < head.fold:\n            batch:",
            "        if False:\n            batch:",
        ),
        (FOLDING_STORE, '        ("clean", "absent or =", head.fold),\n', ""),
    ),
    mutant(
        "a batch counts as clean and is not",
        (FOLDING_STORE, "self._map(self._table.batch_delete, calls)", "()"),
    ),
    mutant("a batch forgets what is held", (FOLDING_STORE, "batch.posted - batch.held +", "batch.posted +")),
    mutant("a batch forgets the credit limit", (FOLDING_STORE, "batch.held + batch.credit_limit", "batch.held")),
    mutant("a batch is older than the line before", (BATCHES, "at=max(now, head.line_at)", "at=now")),
    mutant(
        "the lines of a batch are numbered from its opening",
        (BATCHES, "self.opening_version + 1)", "self.opening_version)"),
    ),
    mutant("a batch invokes the publisher", (FOLDING_STORE, "remove=[OUTBOX], ", "")),
    mutant(
        "a batch that conflicts with a debit is not planned again",
        (FOLDING, "if (current.fold, current.clean) != (head.fold, head.clean):", "if current != head:"),
    ),
    mutant(
        "a folder takes another's turn",
        (FOLDING_STORE, '("until", "absent or <=", now)', '("until", "absent or >", "")'),
    ),
    mutant("a folder ends another's turn", (FOLDING_STORE, '("until", "=", until)', '("until", ">", "")')),
    mutant("a folder never ends its turn", (FOLDING, "        self._store.end_turn(account_id, until)\n", "")),
    mutant(
        "all folders finish a batch at once, out of turn",
        (FOLDING, "is_busy = head.clean < head.fold or ", "is_busy = "),
    ),
    mutant(
        "that not all pending credits were read is forgotten",
        (
            FOLDING,
            "                unbooked = {*pending}\n",
            "                unbooked = {*pending}\n            if True:\n",
        ),
    ),
    mutant(
        "pending credits beyond those read are left",
        (FOLDING, "read_all = most < folding.BATCH_CREDITS", "read_all = True"),
    ),
]


class Verdict(NamedTuple):
    """The test that caught a mutant, None if it survived."""

    mutant: Mutant
    caught_by: str | None


def planted(source: str, change: Change) -> str:
    """Return the source with a bug in it. Raises ValueError unless the text occurs exactly once."""
    if source.count(change.old) != 1 or change.old == change.new:
        raise ValueError(f"{change.path} has {source.count(change.old)} times {change.old!r}")
    return source.replace(change.old, change.new)


def copy(to: Path) -> Path:
    """Copy the part of the tree that the tests need, and return the copy."""
    for name in COPIED:
        source, target = ROOT / name, to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return to


def hunt(tree: Path, mutated: Mutant) -> Verdict:
    """Run the tests on a tree with the bug, and restore the tree."""
    sound = {change.path: (tree / change.path).read_text() for change in mutated.changes}
    try:
        for change in mutated.changes:
            path = tree / change.path
            path.write_text(planted(path.read_text(), change))
        return Verdict(mutated, failing(tree))
    finally:
        for name, text in sound.items():
            (tree / name).write_text(text)


def failing(tree: Path) -> str | None:
    """Return the first test that fails in a tree, None if all pass."""
    # Without bytecode, which two sources of the same size and second would share.
    environment = os.environ | {
        "PYTHONPATH": f".{os.pathsep}layers/common",
        "PYTHONDONTWRITEBYTECODE": "1",
        "REMIT_FUZZ_EXAMPLES": "50",
    }
    for names in TESTS:
        files = [f"{LEDGER_TESTS}/{name}.py" for name in names]
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *files],
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            failures = [line for line in run.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
            return failures[0].partition("::")[2].partition(" - ")[0] if failures else "it does not start"
    return None


def main() -> int:
    """Test every mutant, or those whose name contains all words given, and print the results."""
    wanted = [each for each in MUTANTS if all(word in each.name for word in sys.argv[1:])]
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(2) as pool:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(2):
            trees.put(copy(Path(place) / str(number)))

        def on_some_tree(each: Mutant) -> Verdict:
            tree = trees.get()
            try:
                return hunt(tree, each)
            finally:
                trees.put(tree)

        broken = on_some_tree(mutant("nothing")).caught_by
        if broken:
            print(f"the tests fail without any bug: {broken}")
            return 1
        survived = 0
        for verdict in pool.map(on_some_tree, wanted):
            survived += verdict.caught_by is None
            print(f"{verdict.mutant.name:<62} {verdict.caught_by or 'SURVIVED'}", flush=True)
    print(f"{len(wanted) - survived} of {len(wanted)} caught")
    return min(survived, 1)


if __name__ == "__main__":
    sys.exit(main())
