"""Checks what must hold after every operation, from the tables alone: `python -m localstack.verify` (`make verify`).

What the accounts table alone tells is the accounts room's reconciliation, which shares no code with the ledger's
writing. Each check is a pure function over the tables' items, so tests plant a violation of each. A running system is
looked at again: only what stays wrong is wrong.
"""

import time
from datetime import datetime

from functions.accounts.domain.reconciliation import Finding, Violation
from localstack.settings import Run
from localstack.tables import Tables, clock
from localstack.verify import ledger, outcome

__all__ = ["Finding", "Violation", "check", "main", "show", "verify"]

LOOKS = 4


def check(tables: Tables, now: datetime, *, drained: bool = False) -> list[Finding]:
    """The invariants, in order. `drained`: the queues are empty, so nobody still waits to be told."""
    records = {item["id"]: item for item in tables.transfers if item["sk"] == "R"}
    *money, kept_twice = ledger.check(tables.accounts, records)
    return [
        *money,
        outcome.ended_and_told(records, tables, now, drained=drained),
        outcome.same_answer(records, tables),
        kept_twice,
    ]


def verify(run: Run, *, drained: bool = False) -> list[Finding]:
    """The findings on a run, which may be at work: what is wrong has to be found wrong again and again."""
    findings = check(Tables.read(run), clock.now(), drained=drained)
    for _ in range(LOOKS - 1):
        if not any(finding.violations for finding in findings):
            break
        time.sleep(0.5)
        again = check(Tables.read(run), clock.now(), drained=drained)
        for now, before in zip(again, findings, strict=True):
            known = {violation.id for violation in before.violations}
            now.violations = [violation for violation in now.violations if violation.id in known]
        findings = again
    return findings


def show(findings: list[Finding]) -> bool:
    """Print the findings, a line each; whether all invariants hold."""
    for finding in findings:
        mark = "holds " if not finding.violations else "BROKEN"
        waiting = f", {finding.waiting} waiting" if finding.waiting else ""
        print(f"  {finding.number}  {mark}  {finding.title:<50}  {finding.counted}{waiting}")
        for violation in finding.violations[:20]:
            print(f"             {violation.id}: {violation.what}")
        if len(finding.violations) > 20:
            print(f"             and {len(finding.violations) - 20} more")
    return not any(finding.violations for finding in findings)


def main(run: Run | None = None) -> int:
    """Check a run and print what was found; the exit status."""
    return 0 if show(verify(run or Run.current())) else 1
