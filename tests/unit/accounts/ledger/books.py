"""Reads a ledger's items, and nothing else, and checks what must always hold of them (design/money.md, 1 to 5)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from common.dynamo import Item

Leg = tuple[str, str, str, int]
"""Transfer, step, account, change of its posted balance."""


@dataclass
class Books:
    """The items of one table, by kind."""

    heads: dict[str, Item]
    journals: dict[str, list[Item]]
    markers: list[Item]
    holds: dict[str, Item]
    inbox: list[Item]

    @classmethod
    def of(cls, items: Iterable[Item]) -> "Books":
        books = cls({}, defaultdict(list), [], {}, [])
        for item in sorted(items, key=lambda item: (item["pk"], item["sk"])):
            kind, _, rest = item["pk"].partition("#")
            if kind == "A":
                assert item["account_id"] == rest
                books.heads[rest] = item
            elif kind == "E":
                books.journals[rest].append(item)
            elif kind == "I":
                account_id, _, shard = rest.rpartition("#")
                assert item["account_id"] == account_id
                assert len(shard) == 2 and item["sk"] == f"{item['transfer_id']}#{item['step']}"
                books.inbox.append({**item, "shard": int(shard)})
            elif kind == "S" and item["sk"] == "hold":
                books.holds[rest] = item
            elif kind == "S":
                books.markers.append(item)
        return books

    def waiting(self) -> list[Item]:
        """What is in the inboxes and in no page: a page that is booked but not cleared has taken its entries."""
        taken: set[tuple[Any, ...]] = set()
        for account_id, head in self.heads.items():
            if ":" in account_id and head["clean"] < head["fold"]:
                lines = self.journals[account_id][-1]["lines"]
                taken |= {(account_id, line["shard"], line["transfer_id"], line["step"]) for line in lines}
        return [
            item
            for item in self.inbox
            if (item["account_id"], item["shard"], item["transfer_id"], item["step"]) not in taken
        ]

    def balances(self) -> dict[str, tuple[int, int]]:
        """Posted and held of every account, with what waits in the inboxes."""
        found = {account_id: (head["posted"], head["held"]) for account_id, head in self.heads.items()}
        for item in self.waiting():
            posted, held = found.get(item["account_id"], (0, 0))
            found[item["account_id"]] = posted + item["change"], held
        return found

    def check(self) -> None:
        """Raises AssertionError where the books don't balance."""
        self._sums_to_zero()
        for account_id, head in self.heads.items():
            if ":" in account_id:
                self._pages(head, self.journals[account_id])
            else:
                self._lines(head, self.journals[account_id])
        assert set(self.journals) <= set(self.heads)
        self._legs()

    def _sums_to_zero(self) -> None:
        sums: Counter[str] = Counter()
        for head in self.heads.values():
            sums[head["currency"]] += head["posted"]
        for item in self.waiting():
            sums[item["currency"]] += item["change"]
        assert not any(sums.values()), f"the ledger does not sum to zero: {sums}"

    def _lines(self, head: Item, lines: list[Item]) -> None:
        posted = held = 0
        at = ""
        for number, line in enumerate(lines, 1):
            assert line["version"] == number, f"gap in {head['account_id']}"
            assert line["sk"] == f"{line['at']}#{number:012}"
            assert line["at"] >= at
            at = line["at"]
            posted, held = posted + line["posted_change"], held + line["held_change"]
            assert (line["posted"], line["held"]) == (posted, held), f"balance after {line}"
            assert line["posted_change"] or line["held_change"]
            assert line["currency"] == head["currency"]
        assert (head["posted"], head["held"], head["version"]) == (posted, held, len(lines)), head
        assert head["available"] == posted - held + head["credit_limit"] >= 0, head
        assert head["line_at"] == at or not lines
        opened = [hold for hold in self.holds.values() if hold["account_id"] == head["account_id"]]
        assert held == sum(hold["amount"] for hold in opened if hold["status"] == "open"), "held is not its holds"
        if head["status"] == "closed":
            assert (posted, held) == (0, 0), "a closed account has money"

    def _pages(self, head: Item, pages: list[Item]) -> None:
        version = posted = 0
        at = ""
        for number, page in enumerate(pages, 1):
            assert (page["page"], page["opening_version"], page["opening_posted"]) == (number, version, posted)
            assert page["lines"]
            version += len(page["lines"])
            posted += sum(line["change"] for line in page["lines"])
            assert (page["version"], page["posted"]) == (version, posted)
            assert page["sk"].partition("#")[0] >= at and page["sk"].endswith(f"#{version:012}")
            at = page["sk"].partition("#")[0]
        assert (head["version"], head["posted"], head["available"], head["held"]) == (version, posted, posted, 0)
        assert head["fold"] == len(pages) and head["fold"] - 1 <= head["clean"] <= head["fold"]
        assert head["line_at"] == at

    def _legs(self) -> None:
        """Each posting's legs are in the books once and sum to zero; nothing else is; refusals have none."""
        expected = Counter([*self._marked(), *self._held()])
        found = Counter(self._booked())
        assert found == expected, f"too much: {found - expected}, missing: {expected - found}"
        ids = [line["entry_id"] for lines in self.journals.values() for line in lines if "entry_id" in line]
        assert len(set(ids)) == len(ids), "two entries with one id"

    def _marked(self) -> Iterator[Leg]:
        for marker in self.markers:
            assert sum(leg["change"] for leg in marker["legs"]) == 0
            assert len(marker["legs"]) == (2 if marker["outcome"] == "posted" else 0)
            for leg in marker["legs"]:
                yield marker["transfer_id"], marker["step"], leg["account_id"], leg["change"]

    def _held(self) -> Iterator[Leg]:
        for transfer_id, hold in self.holds.items():
            account_id, status, paid = hold["account_id"], hold["status"], hold.get("settled_amount", 0)
            if status == "declined" or not account_id:
                continue
            yield transfer_id, "reserve", account_id, 0
            if status == "settled":
                assert 0 < paid <= hold["amount"]
                yield transfer_id, "settle", account_id, -paid
                yield transfer_id, "settle", hold["destination_account_id"], paid
            elif status == "released":
                yield transfer_id, "release", account_id, 0

    def _booked(self) -> Iterator[Leg]:
        for account_id, items in self.journals.items():
            for item in items:
                if ":" in account_id:
                    for line in item["lines"]:
                        yield line["transfer_id"], line["step"], account_id, line["change"]
                else:
                    yield item["transfer_id"], item["step"], account_id, item["posted_change"]
        for item in self.waiting():
            yield item["transfer_id"], item["step"], item["account_id"], item["change"]
