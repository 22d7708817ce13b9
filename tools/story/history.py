"""What the tables contain about one transfer."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from functions.accounts import reader
from tools.tables import Item, Tables


class Moment(NamedTuple):
    """Something that happened, and when."""

    at: str
    what: str
    detail: str


class Entry(NamedTuple):
    """A change of an account's balance. The version and the balance after it are 0 while a credit is pending."""

    account_id: str
    version: int
    change: int
    after: int


@dataclass(frozen=True)
class History:
    """The items about a transfer, by kind."""

    record: Item
    key: Item | None
    expectation: Item | None
    outcomes: list[Item]
    heads: list[Item]
    lines: list[Item]
    pending: list[Item]
    folded: list[reader.JournalLine]
    notifications: list[Item]
    mails: list[Item]

    @classmethod
    def of(cls, transfer_id: str, tables: Tables) -> "History":
        """Return the history of a transfer. Raises LookupError if there is no such transfer."""
        record = next((item for item in tables.transfers if item["pk"] == f"T#{transfer_id}"), None)
        if record is None:
            raise LookupError(f"There is no transfer {transfer_id}. Check the id with GET /transfers.")
        events = {event["id"] for event in json.loads(record.get("outbox", "[]"))}
        accounts = {f"A#{record[side]['id']}" for side in ("source", "destination")}
        about = [item for item in tables.accounts if item.get("transfer_id") == transfer_id]
        batches = [item for item in tables.accounts if "page" in item]
        return cls(
            record=record,
            key=next((item for item in tables.transfers if item.get("transfer_id") == transfer_id), None),
            expectation=next((item for item in about if item["sk"] == "expect"), None),
            outcomes=[item for item in about if item["pk"].startswith("S#") and item["sk"] != "expect"],
            heads=[item for item in tables.accounts if item["pk"] in accounts],
            lines=[item for item in about if item["pk"].startswith("E#")],
            pending=[item for item in about if item["pk"].startswith("I#")],
            folded=[line for item in batches for line in reader.lines_of(item) if line.transfer_id == transfer_id],
            notifications=[item for item in tables.notifications if item.get("event_id") in events],
            mails=[item for item in tables.mail if item["pk"].removeprefix("M#") in events],
        )

    @property
    def ended(self) -> bool:
        """Whether the transfer has ended."""
        return bool(self.record["status"] != "pending")

    def events(self) -> list[Item]:
        """Return the transfer's last events, which are in the outbox of its record."""
        events: list[Item] = json.loads(self.record.get("outbox", "[]"))
        return events

    def journal(self) -> Iterator[Entry]:
        """Yield the changes of posted balances."""
        for item in self.lines:
            yield Entry(item["account_id"], item["version"], item["posted_change"], item["posted"])
        for line in self.folded:
            yield Entry(line.account_id, line.version, line.posted_change, line.posted)
        if not self.folded:
            for item in self.pending:
                yield Entry(item["account_id"], 0, item["change"], 0)

    def moments(self) -> list[Moment]:
        """Return what happened, in order of time."""
        record = self.record
        path = f"POST {record.get('instance', '/v1/' + record['kind'] + 's')}"
        created = f"{path} by {record['initiated_by']}; recorded as pending"
        moments = [Moment(record["created_at"], "requested", created)]
        if self.expectation:
            account_id, result = self.expectation["account_id"], self.expectation["outcome"]
            detail = f"{account_id} stays open for the money" if result == "expected" else f"{account_id}: {result}"
            moments.append(Moment(self.expectation["at"], "expect", detail))
        for outcome in self.outcomes:
            detail = {
                "posted": "in one transaction: " + ", ".join(_leg(leg) for leg in outcome.get("legs", ())),
                "declined": f"declined: {outcome.get('code')}",
                "failed": "failed, and cannot be posted any more",
            }.get(str(outcome.get("outcome")), str(outcome.get("status", "")))
            moments.append(Moment(outcome["at"], str(outcome.get("step", "hold")), detail))
        for event in self.events():
            if event["type"] != "transfer.created":
                answer = record.get("answer")
                detail = f"answered {answer['status']}" if answer else "not answered yet"
                moments.append(Moment(event["time"], record["status"], detail))
        if record.get("attempts"):
            moments.append(Moment(record["created_at"], "recovered", f"times started again: {record['attempts']}"))
        moments += [
            Moment(each["created_at"], "notified", f"{each['pk'][2:]}: {each['title']}") for each in self.notifications
        ]
        moments += [
            Moment(
                each["sent_at"],
                "mailed" if each["status"] == "sent" else f"mail {each['status']}",
                f"{each['user_id']}: {each.get('subject') or each['kind']}",
            )
            for each in self.mails
            if "sent_at" in each
        ]
        if not self.ended:
            moments.append(Moment(record["due_at"], "due", "recovery starts it again if it has not ended by then"))
        return sorted(moments, key=lambda moment: moment.at)


def _leg(leg: Item) -> str:
    return f"{leg['account_id']} {leg['change']:+,}"
