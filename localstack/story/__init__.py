"""One transfer's whole life, from the tables alone: `python -m localstack.story trf_...` (`make story ID=trf_...`)."""

import sys
from collections.abc import Iterable, Iterator

from localstack.settings import Run
from localstack.story.life import Life
from localstack.story.price import PRICES, Step, steps
from localstack.tables import Item, Tables, format_amount

__all__ = ["Life", "journal", "main", "steps", "tell", "timeline"]


def tell(life: Life) -> str:
    """The story, as a person reads it."""
    return "\n".join([*_title(life), "", *timeline(life), "", *journal(life), "", *_told(life), "", *_bill(life), ""])


def _title(life: Life) -> Iterator[str]:
    record = life.record
    money = format_amount(record["amount"], record["currency"])
    source, destination = (_party(record[side]) for side in ("source", "destination"))
    yield f"{record['id']}: {record['kind']} of {money}, {record['status']}"
    yield f"  from {source}"
    yield f"  to   {destination}"
    if record.get("description"):
        yield f'  "{record["description"]}"'


def _party(party: Item) -> str:
    by = f", addressed as {party['alias']}" if party.get("alias") else ""
    return f"{party['display_name']}, {party['id']}{by}"


def timeline(life: Life) -> Iterator[str]:
    """What happened, a line each, in the order of time."""
    yield "What happened"
    yield from _columns([(moment.at[11:23], moment.what, moment.detail) for moment in life.moments()])


def journal(life: Life) -> Iterator[str]:
    """What was posted, a line an account."""
    yield "Journal"
    rows = [
        (
            account,
            f"version {version}" if version else "in the inbox",
            f"{change:+,}",
            f"-> {after:,}" if version else "",
        )
        for account, version, change, after in life.journal()
    ]
    yield from _columns(rows) if rows else ["  nothing was posted"]


def _told(life: Life) -> Iterator[str]:
    yield "Who was told"
    rows = [("event", event["type"], event["id"], f"number {event['sequence']}") for event in life.events()]
    rows += [("inbox", each["kind"], each["pk"].removeprefix("U#"), each["title"]) for each in life.notices]
    rows += [("mail", each["kind"], each["user_id"], str(each.get("subject", each["status"]))) for each in life.mails]
    yield from _columns(rows) if rows else ["  nobody yet"]


def _bill(life: Life) -> Iterator[str]:
    bill = steps(life)
    yield f"What it took (dollars a million at {PRICES.region}'s list prices of {PRICES.asof}; requests, not durations)"
    rows = [("step", "calls", "write units", "read units", "$")]
    rows += [(step.name, ", ".join(step.calls), *_numbers(step)) for step in bill]
    total = sum(bill, Step("in all"))
    rows.append((total.name, f"{len(total.calls)} calls", *_numbers(total)))
    yield from _columns(rows, right={2, 3, 4})


def _numbers(step: Step) -> tuple[str, str, str]:
    return str(step.writes), str(step.reads), f"{step.dollars_a_million:.2f}"


def _columns(rows: Iterable[tuple[str, ...]], right: frozenset[int] | set[int] = frozenset()) -> Iterator[str]:
    rows = list(rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(cells).rstrip()


def main(arguments: list[str]) -> int:
    """Tell the story of the transfer that is named; the exit status."""
    if len(arguments) != 1:
        print("Which transfer? make story ID=trf_...", file=sys.stderr)
        return 2
    try:
        print(tell(Life.of(arguments[0], Tables.read(Run.current()))))
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return 1
    return 0
