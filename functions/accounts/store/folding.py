"""The inboxes of system accounts and hot accounts, and the pages that they are folded into (docs/data.md)."""

import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any, Protocol, TypeVar

from common.dynamo import ABSENT, Cancelled, ConditionFailed, Item, Put, Table, Update, Write
from common.events import OUTBOX

from functions.accounts.domain.ledger import is_system
from functions.accounts.domain.pages import FoldHead, Page, PageLine, new_head
from functions.accounts.store import keys
from functions.accounts.store.items import page_of

# What one call of BatchWriteItem takes.
_BATCH = 25

AskedT = TypeVar("AskedT")
AnswerT = TypeVar("AnswerT")


class AtOnce(Protocol):
    """Makes calls that do not depend on one another: one after the other as `map`, or at once as an executor's."""

    def __call__(self, call: Callable[[AskedT], AnswerT], asked: Iterable[AskedT], /) -> Iterable[AnswerT]:
        """The answers, in order."""


class FoldingStore:
    """The accounts table as folding uses it. Every write stands on conditions; a read is consistent."""

    def __init__(self, table: Table, at_once: AtOnce = map) -> None:
        self._table = table
        self._at_once = at_once

    def head(self, account_id: str) -> FoldHead:
        """An account as it stands; a system account is new before its first fold."""
        item = self._table.get(keys.head(account_id))
        return _head(item) if item else new_head(account_id)

    def inbox(self, account_id: str, shards: Sequence[int], each: int) -> list[PageLine]:
        """What waits in these shards of an inbox, at most `each` of a shard."""
        return list(chain.from_iterable(self._at_once(partial(self._shard, account_id, each), shards)))

    def page(self, head: FoldHead) -> Page:
        """The newest page of an account that has one."""
        found = self._table.query(keys.journal(head.account_id), descending=True, where=[("page", "=", head.fold)])
        return page_of(next(found))

    def take_turn(self, account_id: str, now: str, until: str) -> bool:
        """Makes others wait for their turn until a moment, or until it is ended; False where it is somebody else's."""
        return self._turn(account_id, until, ("until", "absent or <=", now))

    def end_turn(self, account_id: str, until: str) -> None:
        """Ends a turn that would last until a moment, unless somebody else has theirs by now."""
        self._turn(account_id, " ", ("until", "=", until))

    def add_page(self, head: FoldHead, page: Page) -> FoldHead | None:
        """Books a page: None where it did, the account as it stands where it moved on since `head` was read."""
        try:
            self._table.transact([_booked(head, page), Put(_page_item(page), ABSENT)])
        except Cancelled as cancelled:
            stands = cancelled.reasons[0].old
            return _head(stands) if stands else self.head(head.account_id)
        return None

    def clear(self, page: Page) -> None:
        """Removes what a booked page holds from the inbox, and only then notes that none of it is left there."""
        waiting = [keys.waiting(page.account_id, line.shard, line.transfer_id, line.step) for line in page.lines]
        batches = [waiting[start : start + _BATCH] for start in range(0, len(waiting), _BATCH)]
        for _ in self._at_once(self._table.batch_delete, batches):
            pass
        where = (("fold", "=", page.page), ("clean", "absent or =", page.page - 1))
        try:
            self._table.update(Update(keys.head(page.account_id), set={"clean": page.page}, where=where))
        except ConditionFailed:
            # Another folder has cleared the same page.
            return

    def _turn(self, account_id: str, until: str, where: tuple[str, str, str]) -> bool:
        try:
            self._table.put(keys.keyed(keys.turn(account_id)) | {"until": until}, [where])
        except ConditionFailed:
            return False
        return True

    def _shard(self, account_id: str, each: int, shard: int) -> list[PageLine]:
        return [
            PageLine(item["transfer_id"], item["step"], item["change"], item["at"], shard, item["description"])
            for item in islice(self._table.query(keys.inbox(account_id, shard), limit=each), each)
        ]


def _head(item: Item) -> FoldHead:
    return FoldHead(
        account_id=item["account_id"],
        currency=item["currency"],
        posted=item["posted"],
        held=item["held"],
        credit_limit=item.get("credit_limit", 0),
        version=item["version"],
        line_at=item["line_at"],
        fold=item.get("fold", 0),
        clean=item.get("clean", 0),
    )


def _booked(head: FoldHead, page: Page) -> Write:
    after: dict[str, Any] = {
        "posted": page.posted,
        "available": page.posted - page.held + page.credit_limit,
        "version": page.version,
        "line_at": page.at,
        "fold": page.page,
    }
    if is_system(head.account_id) and not head.fold:
        fixed = {"account_id": head.account_id, "currency": head.currency, "held": 0, "clean": 0}
        return Put(keys.keyed(keys.head(head.account_id)) | fixed | after, ABSENT)
    where = (
        ("version", "=", head.version),
        ("fold", "absent or =", head.fold),
        ("clean", "absent or =", head.fold),
    )
    # What was told before is told: were it left here, each page would wake the publisher for nothing.
    return Update(keys.head(head.account_id), set=after, remove=[OUTBOX], where=where)


def _page_item(page: Page) -> Item:
    item: Item = {
        **keys.keyed(keys.line(page.account_id, page.at, page.version)),
        "account_id": page.account_id,
        "currency": page.currency,
        "page": page.page,
        "at": page.at,
        "opening_version": page.opening_version,
        "opening_posted": page.opening_posted,
        "version": page.version,
        "posted": page.posted,
        "held": page.held,
        "lines": zlib.compress(json.dumps([line._asdict() for line in page.lines]).encode()),
    }
    if page.credit_limit:
        item["credit_limit"] = page.credit_limit
    return item
