"""Checks the invariants of the money from the tables: `python -m tools.verify` (`make verify`).

The accounts table is checked by the accounts context's reconciliation, which shares no code with the ledger.
Each check is a pure function of the tables' items. On a platform at work, only violations that persist are reported.
"""

import time
from datetime import datetime

from emulator.settings import Run
from functions.accounts.reader import Finding, Violation
from tools.tables import Tables, clock
from tools.verify import ledger, transfers

__all__ = ["Finding", "Violation", "check", "main", "show", "verify"]

ATTEMPTS = 4


def check(tables: Tables, now: datetime, *, drained: bool = False) -> list[Finding]:
    """Return all invariants with their violations. `drained` means that no notification or mail is on its way."""
    records = {item["id"]: item for item in tables.transfers if item["sk"] == "R"}
    *money, copies = ledger.check(tables.accounts, records)
    return [
        *money,
        transfers.check_notifications(records, tables, now, drained=drained),
        transfers.check_keys(records, tables),
        copies,
    ]


def verify(run: Run, *, drained: bool = False) -> list[Finding]:
    """Check a run, which may be at work: a violation counts if every attempt finds it."""
    findings = check(Tables.read(run), clock.now(), drained=drained)
    for _ in range(ATTEMPTS - 1):
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
    """Print the findings, one line each, and return whether all invariants hold."""
    for finding in findings:
        result = "BROKEN" if finding.violations else "holds "
        waiting = f", {finding.waiting} waiting" if finding.waiting else ""
        print(f"  {finding.number}  {result}  {finding.title:<50}  {finding.counted}{waiting}")
        for violation in finding.violations[:20]:
            print(f"             {violation.id}: {violation.what}")
        if len(finding.violations) > 20:
            print(f"             and {len(finding.violations) - 20} more")
    return not any(finding.violations for finding in findings)


def main(run: Run | None = None) -> int:
    """Check a run, print the findings, and return the exit status."""
    return 0 if show(verify(run or Run.current())) else 1
