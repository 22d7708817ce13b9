"""Prints the history of a transfer from the tables: `python -m tools.story trf_...` (`make story ID=trf_...`)."""

import sys
from collections.abc import Collection, Iterable, Iterator

from emulator.settings import Run
from tools.story.history import History
from tools.story.price import PRICES, Step, steps
from tools.tables import Item, Tables, format_amount

__all__ = ["History", "journal", "main", "report", "steps", "timeline"]


def report(history: History) -> str:
    """Return the history as text."""
    parts = (_title, timeline, journal, _notifications, _costs)
    return "\n".join(line for part in parts for line in (*part(history), ""))


def _title(history: History) -> Iterator[str]:
    record = history.record
    amount = format_amount(record["amount"], record["currency"])
    yield f"{record['id']}: {record['kind']} of {amount}, {record['status']}"
    yield f"  from {_party(record['source'])}"
    yield f"  to   {_party(record['destination'])}"
    if record.get("description"):
        yield f'  "{record["description"]}"'


def _party(party: Item) -> str:
    alias = f", addressed as {party['alias']}" if party.get("alias") else ""
    return f"{party['display_name']}, {party['id']}{alias}"


def timeline(history: History) -> Iterator[str]:
    """Yield what happened, in order of time, one line each."""
    yield "What happened"
    yield from _table([(moment.at[11:23], moment.what, moment.detail) for moment in history.moments()])


def journal(history: History) -> Iterator[str]:
    """Yield what was posted, one line per account."""
    yield "Journal"
    rows = [
        (account, f"version {version}" if version else "pending", f"{change:+,}", f"-> {after:,}" if version else "")
        for account, version, change, after in history.journal()
    ]
    yield from _table(rows) if rows else ["  nothing was posted"]


def _notifications(history: History) -> Iterator[str]:
    yield "Events, notifications and mails"
    rows = [("event", event["type"], event["id"], f"number {event['sequence']}") for event in history.events()]
    rows += [("inbox", each["kind"], each["pk"].removeprefix("U#"), each["title"]) for each in history.notifications]
    rows += [
        ("mail", each["kind"], each["user_id"], str(each.get("subject", each["status"]))) for each in history.mails
    ]
    yield from _table(rows) if rows else ["  none yet"]


def _costs(history: History) -> Iterator[str]:
    costs = steps(history)
    yield f"Costs (dollars per million at list prices of {PRICES.region}, {PRICES.asof}; requests without durations)"
    rows = [("step", "calls", "write units", "read units", "$")]
    rows += [(step.name, ", ".join(step.calls), *_numbers(step)) for step in costs]
    total = sum(costs, Step("total"))
    rows.append((total.name, f"{len(total.calls)} calls", *_numbers(total)))
    yield from _table(rows, right={2, 3, 4})


def _numbers(step: Step) -> tuple[str, str, str]:
    return str(step.writes), str(step.reads), f"{step.dollars_per_million:.2f}"


def _table(rows: Iterable[tuple[str, ...]], right: Collection[int] = ()) -> Iterator[str]:
    rows = list(rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(cells).rstrip()


def main(arguments: list[str]) -> int:
    """Print the history of one transfer, and return the exit status."""
    if len(arguments) != 1:
        print("Name one transfer: make story ID=trf_...", file=sys.stderr)
        return 2
    try:
        print(report(History.of(arguments[0], Tables.read(Run.current()))))
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return 1
    return 0
