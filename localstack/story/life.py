"""What the tables know of one transfer."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from functions.accounts.domain.ledger import Line
from functions.accounts.domain.pages import expand
from functions.accounts.store.items import page_of
from localstack.tables import Item, Tables


class Moment(NamedTuple):
    """Something that happened, and when."""

    at: str
    what: str
    detail: str


class Entry(NamedTuple):
    """A change of an account; version and balance are 0 while it waits in an inbox."""

    account_id: str
    version: int
    change: int
    after: int


@dataclass(frozen=True)
class Life:
    """A transfer's items, table by table."""

    record: Item
    key: Item | None
    markers: list[Item]
    heads: list[Item]
    lines: list[Item]
    inbox: list[Item]
    folded: list[Line]
    notices: list[Item]
    mails: list[Item]

    @classmethod
    def of(cls, transfer_id: str, tables: Tables) -> "Life":
        """The life of a transfer. Raises LookupError where there is none."""
        record = next((item for item in tables.transfers if item["pk"] == f"T#{transfer_id}"), None)
        if record is None:
            raise LookupError(f"There is no transfer {transfer_id} here.")
        events = {event["id"] for event in json.loads(record.get("outbox", "[]"))}
        accounts = {f"A#{record[side]['id']}" for side in ("source", "destination")}
        about = [item for item in tables.accounts if item.get("transfer_id") == transfer_id]
        return cls(
            record=record,
            key=next((item for item in tables.transfers if item.get("transfer_id") == transfer_id), None),
            markers=[item for item in about if item["pk"].startswith("S#")],
            heads=[item for item in tables.accounts if item["pk"] in accounts],
            lines=[item for item in about if item["pk"].startswith("E#")],
            inbox=[item for item in about if item["pk"].startswith("I#")],
            folded=[
                line
                for item in tables.accounts
                if "page" in item
                for line in expand(page_of(item))
                if line.transfer_id == transfer_id
            ],
            notices=[item for item in tables.notifications if item.get("event_id") in events],
            mails=[item for item in tables.mail if item["pk"].removeprefix("M#") in events],
        )

    @property
    def ended(self) -> bool:
        """Whether the transfer is over."""
        return bool(self.record["status"] != "pending")

    def events(self) -> list[Item]:
        """Its events: the last one stands in the outbox, those before it follow from the record."""
        events: list[Item] = json.loads(self.record.get("outbox", "[]"))
        return events

    def journal(self) -> Iterator[Entry]:
        """The changes of posted balances."""
        for line in self.lines:
            yield Entry(line["account_id"], line["version"], line["posted_change"], line["posted"])
        for folded in self.folded:
            yield Entry(folded.account_id, folded.version, folded.posted_change, folded.posted)
        if not self.folded:
            for item in self.inbox:
                yield Entry(item["account_id"], 0, item["change"], 0)

    def moments(self) -> list[Moment]:
        """What happened, in the order of time."""
        record = self.record
        path = f"POST {record.get('instance', '/v1/' + record['kind'] + 's')}"
        moments = [
            Moment(record["created_at"], "requested", f"{path} by {record['initiated_by']}; recorded as pending")
        ]
        for marker in self.markers:
            detail = {
                "posted": "in one transaction: " + ", ".join(_leg(leg) for leg in marker.get("legs", ())),
                "declined": f"refused: {marker.get('code')}",
                "failed": "will never post",
            }.get(str(marker.get("outcome")), str(marker.get("status", "")))
            moments.append(Moment(marker["at"], str(marker.get("step", "hold")), detail))
        for event in self.events():
            if event["type"] != "transfer.created":
                answer = record.get("answer")
                detail = f"answered {answer['status']}" if answer else "not answered yet"
                moments.append(Moment(event["time"], record["status"], detail))
        if record.get("attempts"):
            moments.append(Moment(record["created_at"], "recovered", f"started again {record['attempts']} times"))
        moments += [Moment(each["created_at"], "told", f"{each['pk'][2:]}: {each['title']}") for each in self.notices]
        moments += [
            Moment(each["sent_at"], "mailed", f"{each['user_id']}: {each['subject']}")
            for each in self.mails
            if "sent_at" in each
        ]
        if not self.ended:
            moments.append(Moment(record["due_at"], "due", "recovery starts it again, unless it has ended by then"))
        return sorted(moments, key=lambda moment: moment.at)


def _leg(leg: Item) -> str:
    return f"{leg['account_id']} {leg['change']:+,}"
