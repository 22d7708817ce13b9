"""Accounts after they were opened: changes, the default, credit, closing, and deleting a user."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from common.clock import timestamp
from common.contracts.accounts import CloseAccounts, Expect, Post, Refuse, Reserve, Settle
from common.contracts.events import SYSTEM, Actor
from common.errors import Contended, Refusal
from pydantic import ValidationError

from functions.accounts.models.accounts import AccountResource, OpenAccount, PatchAccount
from functions.accounts.reader import check_items
from functions.accounts.service.ledger import Ledger
from functions.accounts.store.ledger import LedgerStore
from tests.support.memory_table import Call
from tests.unit.accounts.world import ADA, ADMIN, BOB, NOBODYS_ACCOUNT, Crash, World, crash, once, refused

ACTOR = Actor(ADA, "ses_01K0000000000000000000000A", "203.0.113.7", "tests")
RAIL = "rail:sandbox:USD"


class AccountWorld(World):
    """Ada and her first account, in USD."""

    def __init__(self) -> None:
        super().__init__()
        self.account = self.open(ADA)
        self.ledger = Ledger(LedgerStore(self.table), self.clock, lambda account_id: None, lambda attempt: None)
        self.table.calls.clear()
        self.table.changes.clear()
        self._number = 0

    def patch(self, account_id: str = "", caller: str = ADA, **fields: Any) -> AccountResource:
        patch = PatchAccount.model_validate(fields).command()
        is_admin = caller == ADMIN
        patched = self.accounts.patch(account_id or self.account, caller, patch, ACTOR, is_admin=is_admin)
        return AccountResource.of(patched, is_admin=False)

    def admin(self, account_id: str = "", **fields: Any) -> AccountResource:
        return self.patch(account_id, ADMIN, **fields)

    def close(self, account_id: str = "", caller: str = ADA) -> None:
        self.accounts.close(account_id or self.account, caller, ACTOR, is_admin=caller == ADMIN)

    def close_all(self) -> str:
        return self.accounts.close_all(CloseAccounts(ADA, ACTOR)).outcome

    def shown(self, account_id: str = "") -> AccountResource:
        return AccountResource.of(self.accounts.get(account_id or self.account, ADA, is_admin=False), is_admin=False)

    def default(self, currency: str = "USD") -> str | None:
        item = self.item(f"U#{ADA}", f"D#{currency}")
        return item["account_id"] if item else None

    def move(self, source: str, destination: str, amount: int) -> str:
        self._number += 1
        post = Post(f"trf_{self._number:026}", source, destination, amount, "USD")
        outcome = self.ledger.post(post)
        return outcome.code or outcome.outcome

    def fund(self, account_id: str = "", amount: int = 100) -> None:
        assert self.move(RAIL, account_id or self.account, amount) == "posted"

    def expect(self, account_id: str = "") -> Expect:
        """Make an account expect money."""
        self._number += 1
        expect = Expect(f"trf_{self._number:026}", account_id or self.account, 100, "USD")
        assert self.ledger.expect(expect).outcome == "expected"
        return expect

    def lines(self, account_id: str = "") -> list[dict[str, Any]]:
        return [item for item in self.table.items() if item["pk"] == f"E#{account_id or self.account}"]

    def reconcile(self) -> None:
        """Reconcile the items, independently of the code under test."""
        assert [finding.violations for finding in check_items(self.table.items())] == [[]] * 6


@pytest.fixture
def world() -> AccountWorld:
    return AccountWorld()


# --- changing ---------------------------------------------------------------------------------------------------------


def test_an_owner_names_the_account(world: AccountWorld) -> None:
    assert world.patch(name=" Rent ").name == "Rent"
    assert world.shown().name == "Rent"
    (event,) = world.events()
    assert (event["type"], event["subject"], event["sequence"]) == ("account.updated", world.account, 1)
    assert event["actor"]["user_id"] == ADA
    assert event["data"] == {
        "account_id": world.account,
        "owner_id": ADA,
        "currency": "USD",
        "type": "debit",
        "name": "Rent",
        "status": "active",
        "changed": ["name"],
    }


def test_a_patch_made_again_publishes_nothing(world: AccountWorld) -> None:
    first = world.patch(name="Rent", low_balance_alert=500, default=True)
    before = world.table.items()
    assert world.patch(name="Rent", low_balance_alert=500, default=True) == first
    assert world.patch() == first
    assert world.table.items() == before
    assert len(world.events()) == 1


def test_the_event_sequence_of_an_account_ascends(world: AccountWorld) -> None:
    world.put_head(world.account, type="credit")
    for act in (
        partial(world.patch, name="A"),
        partial(world.admin, credit_limit=100),
        partial(world.patch, name="B"),
        partial(world.fund, amount=5),
        partial(world.admin, status="frozen", credit_limit=200),
        partial(world.admin, status="active"),
    ):
        act()
    events = world.events()
    assert [event["type"] for event in events] == ["account.updated"] * 3 + ["account.frozen", "account.updated"]
    sequences = [event["sequence"] for event in events]
    assert sequences == sorted(set(sequences))
    assert events[3]["data"]["changed"] == ["status", "credit_limit"]
    assert events[4]["data"]["changed"] == ["status"]
    world.reconcile()


def test_a_low_balance_alert_is_set_and_removed(world: AccountWorld) -> None:
    world.patch(low_balance_alert=500)
    assert world.head(world.account)["low_balance_alert"] == world.shown().low_balance_alert == 500
    world.patch(low_balance_alert=None)
    assert "low_balance_alert" not in world.head(world.account)
    assert world.shown().low_balance_alert is None


@pytest.mark.parametrize(
    "fields",
    [
        {"name": None},
        {"name": " "},
        {"default": False},
        {"low_balance_alert": 0},
        {"low_balance_alert": "5"},
        {"status": "closed"},
        {"credit_limit": -1},
        {"credit_limit": True},
        {"credit_limit": 10**15 + 1},
        {"hot": None},
        {"posted": 1},
        {"pin_set": True},
    ],
)
def test_an_invalid_patch_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PatchAccount.model_validate(fields)


def test_owners_and_admins_change_only_their_own_fields(world: AccountWorld) -> None:
    fields: dict[str, Any]
    for fields in (
        {"status": "frozen"},
        {"credit_limit": 1},
        {"hot": True},
        {"name": "x", "status": "active"},
    ):
        refused("forbidden", partial(world.patch, **fields), world)
    for fields in ({"name": "x"}, {"default": True}, {"low_balance_alert": None}, {"status": "frozen", "name": "x"}):
        refused("forbidden", partial(world.admin, **fields), world)
    for fields in ({"name": "x"}, {"status": "frozen"}, {}):
        refused("not_found", partial(world.patch, caller=BOB, **fields), world)
    refused("not_found", partial(world.admin, NOBODYS_ACCOUNT, status="frozen"), world)


@pytest.mark.parametrize("fields", [{"credit_limit": 1}, {"status": "frozen"}, {"status": "active"}, {"hot": True}])
def test_an_admin_decides_nothing_of_their_own_account(world: AccountWorld, fields: dict[str, Any]) -> None:
    own = world.open(ADMIN, type="credit")
    for patch in (fields, {**fields, "name": "Mine"}):
        refused("forbidden", partial(world.admin, own, **patch), world)
    assert world.admin(own, name="Mine").name == "Mine"


def test_a_patch_is_applied_to_what_a_concurrent_write_left(world: AccountWorld) -> None:
    once(world.table, "transact", "before", world.fund)
    assert world.patch(name="Rent").posted == 100
    once(world.table, "transact", "before", partial(world.admin, status="frozen"))
    assert world.patch(name="Food").status == "frozen"
    world.reconcile()


def test_an_account_that_keeps_changing_is_contended_and_stays_as_it_is(world: AccountWorld) -> None:
    def restless(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "transact"):
            world.table.hook = None
            world.fund()
            world.table.hook = restless

    world.table.hook = restless
    with pytest.raises(Contended):
        world.patch(name="Rent")
    with pytest.raises(Contended):
        restless_close(world)
    world.table.hook = None
    assert (world.shown().name, world.shown().status) == ("USD account", "active")


def restless_close(world: AccountWorld) -> None:
    """Close an empty account whose head changes before each write."""

    def rename(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "transact"):
            world.table.hook = None
            world.put_head(other, changes=world.head(other).get("changes", 0) + 1)
            world.table.hook = rename

    world.table.hook = None
    other = world.open(ADA, "EUR")
    world.table.hook = rename
    try:
        world.close(other)
    finally:
        world.table.hook = None


def test_a_patch_whose_reply_was_lost_is_published_once(world: AccountWorld) -> None:
    once(world.table, "transact", "after", crash)
    with pytest.raises(Crash):
        world.patch(name="Rent")
    world.patch(name="Rent")
    assert len(world.events()) == 1


# --- frozen -----------------------------------------------------------------------------------------------------------


def test_money_may_enter_a_frozen_account_but_not_leave_it(world: AccountWorld) -> None:
    other = world.open(BOB)
    world.fund()
    hold = f"trf_{9:026}"
    assert world.ledger.reserve(Reserve(hold, world.account, 40, "USD")).outcome == "held"
    assert world.admin(status="frozen").status == "frozen"
    assert world.move(world.account, other, 10) == "account_frozen"
    assert world.ledger.reserve(Reserve(f"trf_{8:026}", world.account, 10, "USD")).code == "account_frozen"
    world.fund(amount=5)
    assert world.ledger.settle(Settle(hold, other)).outcome == "settled"
    assert (world.shown().posted, world.shown().held) == (65, 0)
    world.admin(status="active")
    assert world.move(world.account, other, 10) == "posted"
    assert [event["type"] for event in world.events() if event["subject"] == world.account] == [
        "account.frozen",
        "account.updated",
    ]
    world.reconcile()


# --- credit -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["credit", "loan"])
def test_a_credit_limit_writes_a_journal_line(world: AccountWorld, kind: str) -> None:
    account = world.open(ADA, type=kind)
    assert world.shown(account).credit_limit == 0
    set_ = world.admin(account, credit_limit=500)
    assert (set_.posted, set_.held, set_.available, set_.credit_limit) == (0, 0, 500, 500)
    assert set_ == world.shown(account)
    (line,) = world.lines(account)
    assert {name: line[name] for name in ("version", "posted_change", "held_change", "posted", "held")} == {
        "version": 1,
        "posted_change": 0,
        "held_change": 0,
        "posted": 0,
        "held": 0,
    }
    assert (line["step"], line["transfer_id"], line["credit_limit"]) == ("credit_limit", "", 500)
    assert line["entry_id"].startswith("ent_")
    head = world.head(account)
    assert (head["version"], head["line_at"]) == (1, line["at"])
    assert world.move(account, world.account, 400) == "posted"
    assert world.admin(account, credit_limit=400).available == 0
    assert world.admin(account, credit_limit=400) == world.shown(account)
    assert len(world.lines(account)) == 3
    world.reconcile()


def test_a_credit_limit_is_never_below_what_is_used(world: AccountWorld) -> None:
    account = world.open(ADA, type="credit")
    world.admin(account, credit_limit=500)
    world.move(account, world.account, 300)
    world.ledger.reserve(Reserve(f"trf_{9:026}", account, 100, "USD"))
    refused("invalid_state", partial(world.admin, account, credit_limit=399), world)
    once(world.table, "transact", "before", partial(world.move, account, world.account, 50))
    refused("invalid_state", lambda: world.admin(account, credit_limit=400))
    assert world.shown(account).credit_limit == 500
    assert world.admin(account, credit_limit=450).available == 0
    world.reconcile()


def test_the_line_of_a_credit_limit_is_never_older_than_the_last_line(world: AccountWorld) -> None:
    account = world.open(ADA, type="credit")
    world.fund(account)
    world.clock.advance(hours=-1)
    world.admin(account, credit_limit=1)
    first, second = world.lines(account)
    assert first["at"] == second["at"]
    world.reconcile()


def test_a_debit_account_has_no_credit(world: AccountWorld) -> None:
    refused("invalid_state", partial(world.admin, credit_limit=1), world)
    assert world.shown().credit_limit == 0


def test_nobody_opens_an_account_with_money_or_credit() -> None:
    for field in ("posted", "available", "balance", "credit_limit", "held"):
        with pytest.raises(ValidationError):
            OpenAccount.model_validate({"currency": "USD", "type": "credit", field: 100})


# --- hot accounts -----------------------------------------------------------------------------------------------------


def test_only_admins_see_that_an_account_is_hot(world: AccountWorld) -> None:
    world.admin(hot=True)
    found = world.accounts.get(world.account, ADA, is_admin=False)
    shown = AccountResource.of(found, is_admin=True).model_dump()
    assert shown.pop("hot") is True
    assert AccountResource.of(found, is_admin=False).model_dump() == shown


def test_an_admin_makes_an_account_hot(world: AccountWorld) -> None:
    world.admin(hot=True)
    assert world.head(world.account)["hot"] is True
    world.admin(hot=True)
    world.admin(hot=False)
    head = world.head(world.account)
    assert (head["hot"], head["hot_until"]) == (False, world.now())
    world.clock.advance(minutes=1)
    world.admin(hot=False)
    assert world.head(world.account) == head
    world.admin(hot=True)
    assert "hot_until" not in world.head(world.account)
    assert [event["data"]["changed"] for event in world.events()] == [["hot"]] * 3


def test_a_hot_account_is_closed_only_if_no_credit_can_be_pending(world: AccountWorld) -> None:
    world.admin(hot=True)
    refused("invalid_state", world.close, world)
    refused("account_not_empty", world.close_all, world)
    world.admin(hot=False)
    world.clock.advance(minutes=15, milliseconds=-1)
    refused("invalid_state", world.close, world)
    world.clock.advance(milliseconds=1)
    entry = {"pk": f"I#{world.account}#31", "sk": "trf_1#post", "account_id": world.account}
    world.table.put(entry)
    refused("invalid_state", world.close, world)
    refused("account_not_empty", world.close_all, world)
    world.table.delete((entry["pk"], entry["sk"]))
    world.close()
    assert world.shown().status == "closed"


# --- the default ------------------------------------------------------------------------------------------------------


def test_another_account_becomes_the_default(world: AccountWorld) -> None:
    other, euros = world.open(ADA), world.open(ADA, "EUR")
    moved = world.patch(other, default=True)
    assert moved.default
    assert (world.shown().default, world.shown(other).default, world.shown(euros).default) == (False, True, True)
    assert [event["data"]["changed"] for event in world.events() if event["type"] == "account.updated"] == [["default"]]
    assert world.patch(other, default=True) == moved


def test_of_two_concurrent_default_changes_the_later_wins(world: AccountWorld) -> None:
    second, third = world.open(ADA), world.open(ADA)
    once(world.table, "transact", "before", partial(world.patch, third, default=True))
    world.patch(second, default=True)
    assert world.default() == second
    accounts = [world.account, second, third]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: world.patch(accounts[number % 3], default=True), range(12)))
    shown = [world.shown(account) for account in accounts]
    assert [account.default for account in shown].count(True) == 1
    world.reconcile()


def test_a_missing_default_is_written(world: AccountWorld) -> None:
    world.table.delete((f"U#{ADA}", "D#USD"))
    assert world.patch(default=True).default
    assert world.default() == world.account


# --- closing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("caller", [ADA, ADMIN])
@pytest.mark.parametrize("status", ["active", "frozen"])
def test_an_empty_account_is_closed_for_good(world: AccountWorld, caller: str, status: str) -> None:
    world.put_head(world.account, status=status, changes=7)
    world.close(caller=caller)
    closed = world.shown()
    assert (closed.status, closed.default) == ("closed", False)
    assert world.default() is None
    assert [view.account.id for view in world.accounts.page(ADA, None, 10).items] == [world.account]
    (event,) = world.events()
    assert (event["type"], event["sequence"], event["data"]["status"]) == ("account.closed", 8, "closed")
    world.close(caller=caller)
    assert len(world.events()) == 1
    world.reconcile()


def test_a_closed_account_does_not_change(world: AccountWorld) -> None:
    world.put_head(world.account, type="credit")
    world.close()
    for fields in ({"name": "x"}, {"default": True}, {"low_balance_alert": 5}):
        refused("invalid_state", partial(world.patch, **fields), world)
    for fields in ({"status": "active"}, {"credit_limit": 5}, {"credit_limit": 0}, {"hot": True}):
        refused("invalid_state", partial(world.admin, **fields), world)
    assert world.patch() == world.shown()
    assert world.move(RAIL, world.account, 5) == "payee_not_found"


def test_only_the_owner_or_an_admin_closes_an_account(world: AccountWorld) -> None:
    refused("not_found", partial(world.close, caller=BOB), world)
    refused("not_found", partial(world.close, NOBODYS_ACCOUNT, ADMIN), world)


def test_an_account_with_money_debt_or_holds_is_not_closed(world: AccountWorld) -> None:
    world.fund()
    refused("account_not_empty", world.close, world)
    world.ledger.reserve(Reserve(f"trf_{9:026}", world.account, 100, "USD"))
    refused("account_not_empty", world.close, world)
    credit = world.open(BOB, type="credit")
    world.admin(credit, credit_limit=50)
    world.move(credit, world.account, 50)
    refused("account_not_empty", partial(world.close, credit, ADMIN), world)
    refused("account_not_empty", partial(world.accounts.close, credit, BOB, SYSTEM, is_admin=False), world)


def test_money_that_arrives_while_closing_keeps_the_account_open(world: AccountWorld) -> None:
    once(world.table, "transact", "before", world.fund)
    refused("account_not_empty", world.close)
    assert (world.shown().status, world.default()) == ("active", world.account)
    world.reconcile()


def test_an_account_that_expects_money_is_not_closed(world: AccountWorld) -> None:
    other = world.open(ADA)
    first, second = world.expect(), world.expect()
    refused("account_not_empty", world.close, world)
    refused("account_not_empty", partial(world.close, caller=ADMIN), world)
    refused("account_not_empty", world.close_all, world)
    with pytest.raises(Refusal) as refusal:
        world.close()
    assert refusal.value.detail == "Money is on its way to this account. Wait until it has arrived."
    world.fund()
    with pytest.raises(Refusal) as refusal:
        world.close()
    assert refusal.value.detail == ""
    world.move(world.account, RAIL, 100)
    world.ledger.refuse(Refuse(first.transfer_id, "failed", expecting_account_id=world.account))
    refused("account_not_empty", world.close, world)
    world.ledger.refuse(Refuse(second.transfer_id, "failed", expecting_account_id=world.account))
    world.close()
    assert world.close_all() == "done"
    assert {world.shown(account).status for account in (world.account, other)} == {"closed"}
    world.reconcile()


@pytest.mark.parametrize("close", [AccountWorld.close, AccountWorld.close_all])
def test_an_expectation_during_the_closing_keeps_it_open(
    world: AccountWorld, close: Callable[[AccountWorld], object]
) -> None:
    once(world.table, "transact", "before", world.expect)
    refused("account_not_empty", partial(close, world))
    assert (world.shown().status, world.default()) == ("active", world.account)
    assert world.head(world.account)["incoming"] == 1
    world.reconcile()


def test_a_change_of_an_account_leaves_its_expectations(world: AccountWorld) -> None:
    once(world.table, "transact", "before", world.expect)
    world.patch(name="Rent")
    world.expect()
    world.admin(status="frozen")
    assert world.head(world.account)["incoming"] == 2
    world.reconcile()


def test_the_next_default_is_the_oldest_open_account_of_the_currency(world: AccountWorld) -> None:
    euros, closed, oldest, youngest = (world.open(ADA, currency) for currency in ("EUR", "USD", "USD", "USD"))
    world.close(closed)
    assert world.default() == world.account
    world.close()
    assert (world.default(), world.default("EUR")) == (oldest, euros)
    world.close(oldest)
    world.close(youngest)
    assert world.default() is None
    assert world.shown(world.open(ADA)).default


def test_a_next_default_that_is_closed_meanwhile_is_passed_over(world: AccountWorld) -> None:
    next_default, other = world.open(ADA), world.open(ADA)
    once(world.table, "transact", "before", partial(world.close, next_default))
    world.close()
    assert world.default() == other
    world.reconcile()


def test_an_account_that_becomes_the_default_while_closing_is_replaced(world: AccountWorld) -> None:
    next_default = world.open(ADA)
    once(world.table, "transact", "before", world.close)
    world.close(next_default)
    assert world.default() is None
    second = world.open(ADA)
    third = world.open(ADA)
    once(world.table, "transact", "before", partial(world.patch, third, default=True))
    world.close(third)
    assert world.default() == second
    world.reconcile()


def test_an_account_opened_while_the_default_closes_is_the_next_default(world: AccountWorld) -> None:
    opened: list[str] = []
    once(world.table, "transact", "before", lambda: opened.append(world.open(ADA)))
    world.close()
    assert world.default() == opened[0]
    world.reconcile()


def test_closing_again_after_a_lost_reply_succeeds(world: AccountWorld) -> None:
    once(world.table, "transact", "after", crash)
    with pytest.raises(Crash):
        world.close()
    world.close()
    assert [event["type"] for event in world.events()] == ["account.closed"]


def test_concurrent_closes_never_leave_a_closed_default(world: AccountWorld) -> None:
    accounts = [world.account, *(world.open(ADA) for _ in range(4))]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(world.close, accounts[:4]))
    assert world.default() == accounts[4]
    world.reconcile()


# --- deleting a user --------------------------------------------------------------------------------------------------


def test_all_accounts_of_a_user_are_closed_and_no_more_are_opened(world: AccountWorld) -> None:
    accounts = [world.account, world.open(ADA), world.open(ADA, "EUR")]
    bobs = world.open(BOB)
    assert [world.close_all(), world.close_all()] == ["done", "done"]
    assert {world.shown(account).status for account in accounts} == {"closed"}
    assert world.accounts.get(bobs, BOB, is_admin=False).account.status == "active"
    refused("unauthenticated", partial(world.open, ADA), world)
    events = [event for event in world.events() if event["type"] == "account.closed"]
    assert sorted(event["subject"] for event in events) == sorted(accounts)
    assert {event["actor"]["user_id"] for event in events} == {ADA}
    world.reconcile()


def test_a_user_without_accounts_can_be_deleted(world: AccountWorld) -> None:
    assert world.accounts.close_all(CloseAccounts(BOB, ACTOR)).outcome == "done"
    refused("unauthenticated", partial(world.open, BOB), world)


def test_money_in_one_account_keeps_all_accounts_open(world: AccountWorld) -> None:
    other = world.open(ADA)
    world.fund(other)
    refused("account_not_empty", world.close_all, world)
    world.open(ADA)


def test_money_that_arrives_while_closing_all_lifts_the_block(world: AccountWorld) -> None:
    other = world.open(ADA)

    def pay(call: Call) -> None:
        if call.moment == "after" and call.operation == "transact":
            world.table.hook = None
            world.fund(other)

    world.table.hook = pay
    refused("account_not_empty", world.close_all)
    assert (world.shown().status, world.shown(other).status) == ("closed", "active")
    assert world.item(f"U#{ADA}", "X") is None
    world.open(ADA)
    world.move(other, RAIL, 100)
    assert world.close_all() == "done"


def test_an_account_opened_just_before_the_block_is_closed_too(world: AccountWorld) -> None:
    once(world.table, "put", "before", lambda: world.open(ADA))
    assert world.close_all() == "done"
    assert {view.account.status for view in world.accounts.page(ADA, None, 10).items} == {"closed"}


def test_closing_all_again_after_a_crash_at_any_call_succeeds(world: AccountWorld) -> None:
    world.open(ADA)
    world.open(ADA, "EUR")
    calls = 0

    def die_at(wanted: int) -> Callable[[Call], None]:
        def hook(call: Call) -> None:
            nonlocal calls
            calls += 1
            if calls == wanted:
                world.table.hook = None
                raise Crash

        return hook

    for wanted in range(1, 100):
        calls = 0
        world.table.hook = die_at(wanted)
        try:
            outcome = world.close_all()
        except Crash:
            continue
        break
    world.table.hook = None
    assert (outcome, world.close_all()) == ("done", "done")
    refused("unauthenticated", partial(world.open, ADA), world)
    assert len([event for event in world.events() if event["type"] == "account.closed"]) == 3


def test_money_that_arrives_after_a_crash_lifts_the_block(world: AccountWorld) -> None:
    once(world.table, "transact", "before", crash)
    with pytest.raises(Crash):
        world.close_all()
    world.fund()
    refused("account_not_empty", world.close_all)
    world.open(ADA)


def test_a_request_that_gives_up_does_not_undo_a_concurrent_one(world: AccountWorld) -> None:
    # The first request finds money. Before it lifts the block, the second has closed everything.
    world.fund()

    def second(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "delete"):
            world.table.hook = None
            world.move(world.account, RAIL, 100)
            assert world.close_all() == "done"

    world.table.hook = second
    assert world.close_all() == "done"
    refused("unauthenticated", partial(world.open, ADA), world)


def test_a_block_that_another_request_lifted_is_restored(world: AccountWorld) -> None:
    def other(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "update"):
            world.table.hook = None
            world.table.delete((f"U#{ADA}", "X"))

    world.table.hook = other
    assert world.close_all() == "done"
    refused("unauthenticated", partial(world.open, ADA), world)


def test_a_block_that_keeps_being_lifted_is_contended(world: AccountWorld) -> None:
    def other(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "update"):
            world.table.hook = None
            world.table.delete((f"U#{ADA}", "X"))
            world.table.hook = other

    world.table.hook = other
    with pytest.raises(Contended):
        world.close_all()


def test_the_account_names_of_a_deleted_user_are_removed(world: AccountWorld) -> None:
    world.patch(name="Ada's divorce")
    world.open(ADA, "JPY", name="Ada in Japan")
    world.close_all()
    world.accounts.forget(ADA)
    before = len(world.events())
    world.accounts.forget(ADA)
    assert [view.account.name for view in world.accounts.page(ADA, None, 10).items] == ["JPY account", "USD account"]
    assert "Ada" not in repr([item for item in world.table.items() if item["pk"].startswith("A#")])
    assert len(world.events()) == before


# --- currencies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("currency", ["JPY", "USD", "BHD"])
def test_amounts_are_minor_units_in_every_currency(world: AccountWorld, currency: str) -> None:
    account = world.open(ADA, currency, type="credit")
    world.admin(account, credit_limit=1050)
    assert (world.shown(account).currency, world.shown(account).available) == (currency, 1050)


def test_an_account_can_be_closed_fifteen_minutes_after_it_was_hot(world: AccountWorld) -> None:
    world.put_head(world.account, hot=False, hot_until=timestamp(world.clock() - timedelta(minutes=15)))
    world.close()
    assert world.shown().status == "closed"
