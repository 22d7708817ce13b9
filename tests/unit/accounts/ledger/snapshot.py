"""Checks the invariants of a ledger from its items alone. It shares no code with the ledger."""

import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from common.dynamo import Item

Leg = tuple[str, str, str, int]
"""Transfer, step, account, and change of its posted balance."""


@dataclass
class Snapshot:
    """The items of one table, by kind."""

    heads: dict[str, Item]
    journals: dict[str, list[Item]]
    steps: list[Item]
    holds: dict[str, Item]
    pending: list[Item]
    expectations: dict[str, Item]

    @classmethod
    def of(cls, items: Iterable[Item]) -> "Snapshot":
        snapshot = cls({}, defaultdict(list), [], {}, [], {})
        for item in sorted(items, key=lambda item: (item["pk"], item["sk"])):
            kind, _, rest = item["pk"].partition("#")
            if kind == "A" and item["sk"] == "H":
                assert item["account_id"] == rest
                snapshot.heads[rest] = item
            elif kind == "E":
                inflated = {"lines": json.loads(zlib.decompress(item["lines"]))} if "page" in item else {}
                snapshot.journals[rest].append(item | inflated)
            elif kind == "I":
                account_id, _, shard = rest.rpartition("#")
                assert item["account_id"] == account_id
                assert len(shard) == 2 and item["sk"] == f"{item['transfer_id']}#{item['step']}"
                snapshot.pending.append({**item, "shard": int(shard)})
            elif kind == "S" and item["sk"] == "hold":
                snapshot.holds[rest] = item
            elif kind == "S" and item["sk"] == "expect":
                snapshot.expectations[rest] = item
            elif kind == "S":
                snapshot.steps.append(item)
        return snapshot

    def unfolded(self) -> list[Item]:
        """Return the pending credits that are in no batch. Those of the last batch may not be deleted yet."""
        taken: set[tuple[Any, ...]] = set()
        for account_id, head in self.heads.items():
            if head.get("clean", 0) < head.get("fold", 0):
                last = next(batch for batch in reversed(self.journals[account_id]) if "page" in batch)
                taken |= {(account_id, line["shard"], line["transfer_id"], line["step"]) for line in last["lines"]}
        return [
            item
            for item in self.pending
            if (item["account_id"], item["shard"], item["transfer_id"], item["step"]) not in taken
        ]

    def balances(self) -> dict[str, tuple[int, int]]:
        """Return what every account has posted and held, pending credits included."""
        found = {account_id: (head["posted"], head["held"]) for account_id, head in self.heads.items()}
        for item in self.unfolded():
            posted, held = found.get(item["account_id"], (0, 0))
            found[item["account_id"]] = posted + item["change"], held
        return found

    def check(self) -> None:
        """Raise AssertionError if an invariant does not hold."""
        self._sums_to_zero()
        for account_id, head in self.heads.items():
            lines = list(self._expanded(account_id))
            if ":" in account_id:
                self._system(head, lines)
            else:
                self._lines(head, lines)
            batches = sum("page" in item for item in self.journals[account_id])
            assert head.get("fold", 0) == batches and batches - 1 <= head.get("clean", 0) <= batches, head
        assert set(self.journals) <= set(self.heads)
        self._legs()
        self._expected()

    def _expected(self) -> None:
        """A head counts the expectations whose posting step has no outcome. A closed account expects nothing."""
        ended = {step["transfer_id"] for step in self.steps if step["step"] == "post"}
        expected = Counter(
            item["account_id"]
            for transfer_id, item in self.expectations.items()
            if item["outcome"] == "expected" and transfer_id not in ended
        )
        for account_id, head in self.heads.items():
            assert head.get("incoming", 0) == expected.pop(account_id, 0), head
            assert head.get("status") != "closed" or not head.get("incoming")
        assert not expected, f"accounts without a head expect money: {expected}"

    def _sums_to_zero(self) -> None:
        sums: Counter[str] = Counter()
        for head in self.heads.values():
            sums[head["currency"]] += head["posted"]
        for item in self.unfolded():
            sums[item["currency"]] += item["change"]
        assert not any(sums.values()), f"the ledger does not sum to zero: {sums}"

    def _lines(self, head: Item, lines: list[Item]) -> None:
        posted = held = 0
        at = ""
        credit = lines[0].get("credit_limit", 0) if lines else head["credit_limit"]
        for number, line in enumerate(lines, 1):
            assert line["version"] == number, f"gap in {head['account_id']}"
            assert line["at"] >= at
            at = line["at"]
            posted, held = posted + line["posted_change"], held + line["held_change"]
            assert (line["posted"], line["held"]) == (posted, held), f"balance after {line}"
            assert line["currency"] == head["currency"]
            if line["step"] == "credit_limit":
                assert not line["posted_change"] and not line["held_change"]
                credit = line.get("credit_limit", 0)
            else:
                assert line["posted_change"] or line["held_change"]
            assert line.get("credit_limit", 0) == credit, f"credit limit after {line}"
            assert posted - held + credit >= 0, f"negative available balance after {line}"
        assert (head["posted"], head["held"], head["version"]) == (posted, held, len(lines)), head
        assert head["credit_limit"] == credit
        assert head["available"] == posted - held + credit >= 0, head
        assert head["line_at"] == at or not lines
        opened = [hold for hold in self.holds.values() if hold["account_id"] == head["account_id"]]
        assert held == sum(hold["amount"] for hold in opened if hold["status"] == "open"), (
            "held is not the sum of the open holds"
        )
        if head["status"] == "closed":
            assert (posted, held) == (0, 0), "a closed account has money"
        self._spent(head, lines)

    def _spent(self, head: Item, lines: list[Item]) -> None:
        """What counts against the limits is what the journal says: debits and holds, less what was given back."""
        by_day: Counter[str] = Counter()
        for line in lines:
            freed = line["posted_change"] - line["held_change"]
            if freed < 0:
                by_day[line["at"][:10]] -= freed
            elif line["step"] in ("settle", "release", "lapse") and line["held_change"]:
                by_day[self.holds[line["transfer_id"]]["at"][:10]] -= freed
        by_week: Counter[tuple[int, int]] = Counter()
        for day, amount in by_day.items():
            by_week[date.fromisoformat(day).isocalendar()[:2]] += amount
        assert min(by_day.values(), default=0) >= 0
        if by_day:
            year, week = head["week"].split("-W")
            assert head["day"] >= max(by_day) and (int(year), int(week)) >= max(by_week)
            assert (head["day_spent"], head["week_spent"]) == (by_day[head["day"]], by_week[int(year), int(week)]), head
        else:
            assert "day" not in head and "week" not in head

    def _system(self, head: Item, lines: list[Item]) -> None:
        """A system account has batches only. Its balance may be negative, and it has no holds."""
        posted = lines[-1]["posted"] if lines else 0
        assert (head["version"], head["posted"], head["available"], head["held"]) == (len(lines), posted, posted, 0)
        assert [line["version"] for line in lines] == list(range(1, len(lines) + 1))
        assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
        assert head["line_at"] == lines[-1]["at"]

    def _expanded(self, account_id: str) -> Iterator[Item]:
        """Yield the lines of a journal and of its batches. Each batch begins where the journal before it ends."""
        batches = version = posted = 0
        for item in self.journals[account_id]:
            assert item["sk"] == f"{item['at']}#{item['version']:012}" and item["account_id"] == account_id
            if "page" not in item:
                version, posted = item["version"], item["posted"]
                yield item
                continue
            batches += 1
            assert (item["page"], item["opening_version"], item["opening_posted"]) == (batches, version, posted)
            assert item["lines"]
            for line in item["lines"]:
                version, posted = version + 1, posted + line["change"]
                assert ":" in account_id or line["change"] > 0, "a pending debit of a hot account"
                yield {
                    **{name: item[name] for name in ("account_id", "currency", "at", "held")},
                    **{"credit_limit": item.get("credit_limit", 0), "version": version, "posted": posted},
                    **{"posted_change": line["change"], "held_change": 0},
                    **{name: line[name] for name in ("transfer_id", "step", "description")},
                }
            assert (item["version"], item["posted"]) == (version, posted)

    def _legs(self) -> None:
        """Each posting's legs are booked or pending once and sum to zero. Refusals have none."""
        expected = Counter([*self._posted(), *self._resolved()])
        found = Counter(self._booked())
        assert found == expected, f"unexpected: {found - expected}, missing: {expected - found}"
        ids = [line["entry_id"] for lines in self.journals.values() for line in lines if "entry_id" in line]
        assert len(set(ids)) == len(ids), "two entries with one id"

    def _posted(self) -> Iterator[Leg]:
        for step in self.steps:
            assert sum(leg["change"] for leg in step["legs"]) == 0
            assert len(step["legs"]) == (2 if step["outcome"] == "posted" else 0)
            for leg in step["legs"]:
                yield step["transfer_id"], step["step"], leg["account_id"], leg["change"]

    def _resolved(self) -> Iterator[Leg]:
        for transfer_id, hold in self.holds.items():
            account_id, status, paid = hold["account_id"], hold["status"], hold.get("settled_amount", 0)
            assert ("lapse_at" in hold) == ("lapse_shard" in hold)
            assert status == "open" or "lapse_at" not in hold, "a resolved hold is in the index"
            if status == "declined" or not account_id:
                continue
            yield transfer_id, "reserve", account_id, 0
            if status == "settled":
                assert 0 < paid <= hold["amount"]
                yield transfer_id, "settle", account_id, -paid
                yield transfer_id, "settle", hold["destination_account_id"], paid
            elif status == "released":
                yield transfer_id, "release", account_id, 0
            elif status == "lapsed":
                yield transfer_id, "lapse", account_id, 0

    def _booked(self) -> Iterator[Leg]:
        for account_id, items in self.journals.items():
            for item in items:
                if "page" in item:
                    for line in item["lines"]:
                        yield line["transfer_id"], line["step"], account_id, line["change"]
                elif item["step"] != "credit_limit":
                    yield item["transfer_id"], item["step"], account_id, item["posted_change"]
        for item in self.unfolded():
            yield item["transfer_id"], item["step"], item["account_id"], item["change"]
