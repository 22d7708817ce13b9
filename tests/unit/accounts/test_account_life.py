"""What becomes of an account after it was opened: changes, the default, credit, closing, a user who leaves."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from common.clock import timestamp
from common.errors import Problem
from common.events import SYSTEM, Actor
from common.tasks import CloseAccounts, Post, Reserve, Settle
from pydantic import ValidationError

from functions.accounts.domain.reconciliation import Look
from functions.accounts.models.accounts import AccountResource, OpenAccount, PatchAccount
from functions.accounts.service.ledger import Ledger
from functions.accounts.store.ledger import LedgerStore
from tests.support.memory_table import Call
from tests.unit.accounts.world import Lost, World, lose, once

ADA = "usr_01K0000000000000000000000A"
BOB = "usr_01K0000000000000000000000B"
ADMIN = "usr_01K0000000000000000000000Z"
ACTOR = Actor(ADA, "ses_01K0000000000000000000000A", "203.0.113.7", "tests")
RAIL = "rail:sandbox:USD"


class Life(World):
    """Ada and her first account, in USD."""

    def __init__(self) -> None:
        super().__init__()
        self.account = self.open(ADA)
        self.ledger = Ledger(LedgerStore(self.table), self.clock, lambda attempt: None, lambda account_id: None)
        self.table.calls.clear()
        self.table.changes.clear()
        self._number = 0

    def patch(self, account_id: str = "", caller: str = ADA, **fields: Any) -> AccountResource:
        wanted = PatchAccount.model_validate(fields)
        return self.accounts.patch(account_id or self.account, caller, wanted, ACTOR, is_admin=caller == ADMIN)

    def admin(self, account_id: str = "", **fields: Any) -> AccountResource:
        return self.patch(account_id, ADMIN, **fields)

    def close(self, account_id: str = "", caller: str = ADA) -> None:
        self.accounts.close(account_id or self.account, caller, ACTOR, is_admin=caller == ADMIN)

    def close_all(self) -> str:
        return self.accounts.close_all(CloseAccounts(ADA, ACTOR)).outcome

    def shown(self, account_id: str = "") -> AccountResource:
        return self.accounts.get(account_id or self.account, ADA, is_admin=False)

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

    def lines(self, account_id: str = "") -> list[dict[str, Any]]:
        return [item for item in self.table.items() if item["pk"] == f"E#{account_id or self.account}"]

    def verify(self) -> None:
        """The books are right, to a checker that knows nothing of the code."""
        assert [finding.violations for finding in Look(self.table.items()).findings()] == [[]] * 6


@pytest.fixture
def life() -> Life:
    return Life()


def refused(code: str, act: Callable[[], object], life: Life) -> None:
    """Refused, and nothing is written."""
    before = life.table.items()
    with pytest.raises(Problem) as problem:
        act()
    assert problem.value.code == code
    assert life.table.items() == before


# --- changing ---------------------------------------------------------------------------------------------------------


def test_an_owner_names_the_account(life: Life) -> None:
    assert life.patch(name=" Rent ").name == "Rent"
    assert life.shown().name == "Rent"
    (event,) = life.events()
    assert (event["type"], event["subject"], event["sequence"]) == ("account.updated", life.account, 1)
    assert event["actor"]["user_id"] == ADA
    assert event["data"] == {
        "account_id": life.account,
        "owner_id": ADA,
        "currency": "USD",
        "type": "debit",
        "name": "Rent",
        "status": "active",
        "changed": ["name"],
    }


def test_a_change_made_again_is_not_told_again(life: Life) -> None:
    first = life.patch(name="Rent", low_balance_alert=500, default=True)
    before = life.table.items()
    assert life.patch(name="Rent", low_balance_alert=500, default=True) == first
    assert life.patch() == first
    assert life.table.items() == before
    assert len(life.events()) == 1


def test_events_of_an_account_ascend_whatever_wrote_them(life: Life) -> None:
    life.put_head(life.account, type="credit")
    for act in (
        partial(life.patch, name="A"),
        partial(life.admin, credit_limit=100),
        partial(life.patch, name="B"),
        partial(life.fund, amount=5),
        partial(life.admin, status="frozen", credit_limit=200),
        partial(life.admin, status="active"),
    ):
        act()
    events = life.events()
    assert [event["type"] for event in events] == ["account.updated"] * 3 + ["account.frozen", "account.updated"]
    sequences = [event["sequence"] for event in events]
    assert sequences == sorted(set(sequences))
    assert events[3]["data"]["changed"] == ["status", "credit_limit"]
    assert events[4]["data"]["changed"] == ["status"]
    life.verify()


def test_a_low_balance_alert_comes_and_goes(life: Life) -> None:
    life.patch(low_balance_alert=500)
    assert life.head(life.account)["low_balance_alert"] == 500
    life.patch(low_balance_alert=None)
    assert "low_balance_alert" not in life.head(life.account)
    assert "low_balance_alert" not in life.shown().model_dump()


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
        {"sharded_credits": None},
        {"posted": 1},
        {"pin_set": True},
        {"hot": True},
    ],
)
def test_what_is_no_change_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PatchAccount.model_validate(fields)


def test_each_decides_what_is_theirs(life: Life) -> None:
    for fields in (
        {"status": "frozen"},
        {"credit_limit": 1},
        {"sharded_credits": True},
        {"name": "x", "status": "active"},
    ):
        refused("forbidden", partial(life.patch, **fields), life)
    for fields in ({"name": "x"}, {"default": True}, {"low_balance_alert": None}, {"status": "frozen", "name": "x"}):
        refused("forbidden", partial(life.admin, **fields), life)
    for fields in ({"name": "x"}, {"status": "frozen"}, {}):
        refused("not_found", partial(life.patch, caller=BOB, **fields), life)
    refused("not_found", partial(life.admin, "acc_01K0000000000000000000000A", status="frozen"), life)


def test_nobody_decides_on_their_own_credit(life: Life) -> None:
    own = life.open(ADMIN, type="credit")
    refused("forbidden", partial(life.admin, own, credit_limit=1), life)
    assert life.admin(own, name="Mine", status="frozen").status == "frozen"


def test_a_change_that_an_account_overtakes_is_made_to_what_it_is_then(life: Life) -> None:
    once(life.table, "before", "transact", life.fund)
    assert life.patch(name="Rent").posted == 100
    once(life.table, "before", "transact", partial(life.admin, status="frozen"))
    assert life.patch(name="Food").status == "frozen"
    life.verify()


def test_an_account_that_keeps_changing_is_given_up_without_effect(life: Life) -> None:
    def restless(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "transact"):
            life.table.hook = None
            life.fund()
            life.table.hook = restless

    life.table.hook = restless
    with pytest.raises(Problem, match="unavailable"):
        life.patch(name="Rent")
    with pytest.raises(Problem, match="unavailable"):
        restless_close(life)
    life.table.hook = None
    assert (life.shown().name, life.shown().status) == ("USD account", "active")


def restless_close(life: Life) -> None:
    """Closing while the head is changed under its hands, and empty each time it is looked at."""

    def rename(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "transact"):
            life.table.hook = None
            life.put_head(other, changes=life.head(other).get("changes", 0) + 1)
            life.table.hook = rename

    life.table.hook = None
    other = life.open(ADA, "EUR")
    life.table.hook = rename
    try:
        life.close(other)
    finally:
        life.table.hook = None


def test_a_change_whose_reply_was_lost_is_told_once(life: Life) -> None:
    once(life.table, "after", "transact", lose)
    with pytest.raises(Lost):
        life.patch(name="Rent")
    life.patch(name="Rent")
    assert len(life.events()) == 1


# --- frozen -----------------------------------------------------------------------------------------------------------


def test_frozen_nothing_goes_out_and_money_may_come_in(life: Life) -> None:
    other = life.open(BOB)
    life.fund()
    hold = f"trf_{9:026}"
    assert life.ledger.reserve(Reserve(hold, life.account, 40, "USD")).outcome == "held"
    assert life.admin(status="frozen").status == "frozen"
    assert life.move(life.account, other, 10) == "account_frozen"
    assert life.ledger.reserve(Reserve(f"trf_{8:026}", life.account, 10, "USD")).code == "account_frozen"
    life.fund(amount=5)
    assert life.ledger.settle(Settle(hold, other)).outcome == "settled"
    assert (life.shown().posted, life.shown().held) == (65, 0)
    life.admin(status="active")
    assert life.move(life.account, other, 10) == "posted"
    assert [event["type"] for event in life.events() if event["subject"] == life.account] == [
        "account.frozen",
        "account.updated",
    ]
    life.verify()


# --- credit -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["credit", "loan"])
def test_a_credit_limit_is_a_line_of_the_journal(life: Life, kind: str) -> None:
    account = life.open(ADA, type=kind)
    assert life.shown(account).credit_limit == 0
    set_ = life.admin(account, credit_limit=500)
    assert (set_.posted, set_.held, set_.available, set_.credit_limit) == (0, 0, 500, 500)
    assert set_ == life.shown(account)
    (line,) = life.lines(account)
    assert {name: line[name] for name in ("version", "posted_change", "held_change", "posted", "held")} == {
        "version": 1,
        "posted_change": 0,
        "held_change": 0,
        "posted": 0,
        "held": 0,
    }
    assert (line["step"], line["transfer_id"], line["credit_limit"]) == ("credit_limit", "", 500)
    assert line["entry_id"].startswith("ent_")
    head = life.head(account)
    assert (head["version"], head["line_at"]) == (1, line["at"])
    assert life.move(account, life.account, 400) == "posted"
    assert life.admin(account, credit_limit=400).available == 0
    assert life.admin(account, credit_limit=400) == life.shown(account)
    assert len(life.lines(account)) == 3
    life.verify()


def test_a_credit_limit_is_never_below_what_is_used(life: Life) -> None:
    account = life.open(ADA, type="credit")
    life.admin(account, credit_limit=500)
    life.move(account, life.account, 300)
    life.ledger.reserve(Reserve(f"trf_{9:026}", account, 100, "USD"))
    refused("invalid_state", partial(life.admin, account, credit_limit=399), life)
    once(life.table, "before", "transact", partial(life.move, account, life.account, 50))
    with pytest.raises(Problem, match="invalid_state"):
        life.admin(account, credit_limit=400)
    assert life.shown(account).credit_limit == 500
    assert life.admin(account, credit_limit=450).available == 0
    life.verify()


def test_the_line_of_a_credit_limit_is_never_before_the_last(life: Life) -> None:
    account = life.open(ADA, type="credit")
    life.fund(account)
    life.clock.advance(hours=-1)
    life.admin(account, credit_limit=1)
    first, second = life.lines(account)
    assert first["at"] == second["at"]
    life.verify()


def test_a_debit_account_has_no_credit(life: Life) -> None:
    refused("invalid_state", partial(life.admin, credit_limit=1), life)
    assert life.shown().credit_limit == 0


def test_nobody_opens_an_account_with_money_or_credit() -> None:
    for field in ("posted", "available", "balance", "credit_limit", "held"):
        with pytest.raises(ValidationError):
            OpenAccount.model_validate({"currency": "USD", "type": "credit", field: 100})


# --- credits to an inbox ----------------------------------------------------------------------------------------------


def test_credits_are_sharded_where_an_admin_says_so(life: Life) -> None:
    life.admin(sharded_credits=True)
    assert life.head(life.account)["hot"] is True
    life.admin(sharded_credits=True)
    life.admin(sharded_credits=False)
    head = life.head(life.account)
    assert (head["hot"], head["hot_until"]) == (False, life.now())
    life.clock.advance(minutes=1)
    life.admin(sharded_credits=False)
    assert life.head(life.account) == head
    life.admin(sharded_credits=True)
    assert "hot_until" not in life.head(life.account)
    assert [event["data"]["changed"] for event in life.events()] == [["hot"]] * 3


def test_a_hot_account_is_closed_once_nothing_can_be_on_its_way_to_it(life: Life) -> None:
    life.admin(sharded_credits=True)
    refused("invalid_state", life.close, life)
    assert life.close_all() == "not_empty"
    life.admin(sharded_credits=False)
    life.clock.advance(minutes=15, milliseconds=-1)
    refused("invalid_state", life.close, life)
    life.clock.advance(milliseconds=1)
    entry = {"pk": f"I#{life.account}#31", "sk": "trf_1#post", "account_id": life.account}
    life.table.put(entry)
    refused("invalid_state", life.close, life)
    assert life.close_all() == "not_empty"
    life.table.delete((entry["pk"], entry["sk"]))
    life.close()
    assert life.shown().status == "closed"


# --- the default ------------------------------------------------------------------------------------------------------


def test_the_default_moves(life: Life) -> None:
    other, euros = life.open(ADA), life.open(ADA, "EUR")
    moved = life.patch(other, default=True)
    assert moved.default
    assert (life.shown().default, life.shown(other).default, life.shown(euros).default) == (False, True, True)
    assert [event["data"]["changed"] for event in life.events() if event["type"] == "account.updated"] == [["default"]]
    assert life.patch(other, default=True) == moved


def test_of_two_moves_at_once_the_later_stays(life: Life) -> None:
    second, third = life.open(ADA), life.open(ADA)
    once(life.table, "before", "transact", partial(life.patch, third, default=True))
    life.patch(second, default=True)
    assert life.default() == second
    accounts = [life.account, second, third]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: life.patch(accounts[number % 3], default=True), range(12)))
    shown = [life.shown(account) for account in accounts]
    assert [account.default for account in shown].count(True) == 1
    life.verify()


def test_a_default_that_is_not_there_is_made(life: Life) -> None:
    life.table.delete((f"U#{ADA}", "D#USD"))
    assert life.patch(default=True).default
    assert life.default() == life.account


# --- closing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("caller", [ADA, ADMIN])
@pytest.mark.parametrize("status", ["active", "frozen"])
def test_an_empty_account_is_closed_for_good(life: Life, caller: str, status: str) -> None:
    life.put_head(life.account, status=status, changes=7)
    life.close(caller=caller)
    closed = life.shown()
    assert (closed.status, closed.default) == ("closed", False)
    assert life.default() is None
    assert [account.id for account in life.accounts.page(ADA, None, 10).items] == [life.account]
    (event,) = life.events()
    assert (event["type"], event["sequence"], event["data"]["status"]) == ("account.closed", 8, "closed")
    life.close(caller=caller)
    assert len(life.events()) == 1
    life.verify()


def test_what_is_closed_does_not_change(life: Life) -> None:
    life.put_head(life.account, type="credit")
    life.close()
    for fields in ({"name": "x"}, {"default": True}, {"low_balance_alert": 5}):
        refused("invalid_state", partial(life.patch, **fields), life)
    for fields in ({"status": "active"}, {"credit_limit": 5}, {"credit_limit": 0}, {"sharded_credits": True}):
        refused("invalid_state", partial(life.admin, **fields), life)
    assert life.patch() == life.shown()
    assert life.move(RAIL, life.account, 5) == "payee_not_found"


def test_others_close_nothing(life: Life) -> None:
    refused("not_found", partial(life.close, caller=BOB), life)
    refused("not_found", partial(life.close, "acc_01K0000000000000000000000A", ADMIN), life)


def test_an_account_with_money_owed_or_held_is_not_closed(life: Life) -> None:
    life.fund()
    refused("account_not_empty", life.close, life)
    life.ledger.reserve(Reserve(f"trf_{9:026}", life.account, 100, "USD"))
    refused("account_not_empty", life.close, life)
    credit = life.open(BOB, type="credit")
    life.admin(credit, credit_limit=50)
    life.move(credit, life.account, 50)
    refused("account_not_empty", partial(life.close, credit, ADMIN), life)
    refused("account_not_empty", partial(life.accounts.close, credit, BOB, SYSTEM, is_admin=False), life)


def test_money_that_comes_meanwhile_keeps_the_account_open(life: Life) -> None:
    once(life.table, "before", "transact", life.fund)
    with pytest.raises(Problem, match="account_not_empty"):
        life.close()
    assert (life.shown().status, life.default()) == ("active", life.account)
    life.verify()


def test_a_default_that_is_closed_goes_to_the_oldest_open_one_of_its_currency(life: Life) -> None:
    euros, closed, oldest, youngest = (life.open(ADA, currency) for currency in ("EUR", "USD", "USD", "USD"))
    life.close(closed)
    assert life.default() == life.account
    life.close()
    assert (life.default(), life.default("EUR")) == (oldest, euros)
    life.close(oldest)
    life.close(youngest)
    assert life.default() is None
    assert life.shown(life.open(ADA)).default


def test_an_heir_that_is_closed_meanwhile_inherits_nothing(life: Life) -> None:
    heir, other = life.open(ADA), life.open(ADA)
    once(life.table, "before", "transact", partial(life.close, heir))
    life.close()
    assert life.default() == other
    life.verify()


def test_an_account_that_becomes_the_default_meanwhile_leaves_it_when_closed(life: Life) -> None:
    heir = life.open(ADA)
    once(life.table, "before", "transact", life.close)
    life.close(heir)
    assert life.default() is None
    second = life.open(ADA)
    third = life.open(ADA)
    once(life.table, "before", "transact", partial(life.patch, third, default=True))
    life.close(third)
    assert life.default() == second
    life.verify()


def test_an_account_that_is_opened_meanwhile_inherits(life: Life) -> None:
    opened: list[str] = []
    once(life.table, "before", "transact", lambda: opened.append(life.open(ADA)))
    life.close()
    assert life.default() == opened[0]
    life.verify()


def test_closing_whose_reply_was_lost_is_done(life: Life) -> None:
    once(life.table, "after", "transact", lose)
    with pytest.raises(Lost):
        life.close()
    life.close()
    assert [event["type"] for event in life.events()] == ["account.closed"]


def test_whoever_closes_at_once_the_default_is_never_a_closed_one(life: Life) -> None:
    accounts = [life.account, *(life.open(ADA) for _ in range(4))]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(life.close, accounts[:4]))
    assert life.default() == accounts[4]
    life.verify()


# --- a user who leaves ------------------------------------------------------------------------------------------------


def test_all_accounts_are_closed_and_none_is_opened_any_more(life: Life) -> None:
    accounts = [life.account, life.open(ADA), life.open(ADA, "EUR")]
    bobs = life.open(BOB)
    assert [life.close_all(), life.close_all()] == ["closed", "closed"]
    assert {life.shown(account).status for account in accounts} == {"closed"}
    assert life.accounts.get(bobs, BOB, is_admin=False).status == "active"
    refused("unauthenticated", partial(life.open, ADA), life)
    events = [event for event in life.events() if event["type"] == "account.closed"]
    assert sorted(event["subject"] for event in events) == sorted(accounts)
    assert {event["actor"]["user_id"] for event in events} == {ADA}
    life.verify()


def test_a_user_without_accounts_leaves_too(life: Life) -> None:
    assert life.accounts.close_all(CloseAccounts(BOB, ACTOR)).outcome == "closed"
    refused("unauthenticated", partial(life.open, BOB), life)


def test_money_anywhere_keeps_all_accounts_open(life: Life) -> None:
    other = life.open(ADA)
    life.fund(other)
    before = life.table.items()
    assert life.close_all() == "not_empty"
    assert life.table.items() == before
    life.open(ADA)


def test_money_that_comes_on_the_way_takes_the_bar_back(life: Life) -> None:
    other = life.open(ADA)

    def pay(call: Call) -> None:
        if call.moment == "after" and call.operation == "transact":
            life.table.hook = None
            life.fund(other)

    life.table.hook = pay
    assert life.close_all() == "not_empty"
    assert (life.shown().status, life.shown(other).status) == ("closed", "active")
    assert life.item(f"U#{ADA}", "X") is None
    life.open(ADA)
    life.move(other, RAIL, 100)
    assert life.close_all() == "closed"


def test_an_account_that_slips_in_before_the_bar_is_closed_too(life: Life) -> None:
    once(life.table, "before", "put", lambda: life.open(ADA))
    assert life.close_all() == "closed"
    assert {account.status for account in life.accounts.page(ADA, None, 10).items} == {"closed"}


def test_whatever_dies_on_the_way_calling_again_repairs_it(life: Life) -> None:
    life.open(ADA)
    life.open(ADA, "EUR")
    calls = 0

    def die_at(wanted: int) -> Callable[[Call], None]:
        def hook(call: Call) -> None:
            nonlocal calls
            calls += 1
            if calls == wanted:
                life.table.hook = None
                raise Lost

        return hook

    for wanted in range(1, 100):
        calls = 0
        life.table.hook = die_at(wanted)
        try:
            outcome = life.close_all()
        except Lost:
            continue
        break
    life.table.hook = None
    assert (outcome, life.close_all()) == ("closed", "closed")
    refused("unauthenticated", partial(life.open, ADA), life)
    assert len([event for event in life.events() if event["type"] == "account.closed"]) == 3


def test_money_that_comes_after_a_crash_takes_the_bar_back(life: Life) -> None:
    once(life.table, "before", "transact", lose)
    with pytest.raises(Lost):
        life.close_all()
    life.fund()
    assert life.close_all() == "not_empty"
    life.open(ADA)


def test_of_two_at_once_one_that_gives_up_takes_nothing_from_the_other(life: Life) -> None:
    # The first looks while there is money; before it takes the bar away, the second has closed everything.
    life.fund()

    def second(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "delete"):
            life.table.hook = None
            life.move(life.account, RAIL, 100)
            assert life.close_all() == "closed"

    life.table.hook = second
    assert life.close_all() == "closed"
    refused("unauthenticated", partial(life.open, ADA), life)


def test_a_bar_that_another_took_away_is_put_back(life: Life) -> None:
    def other(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "update"):
            life.table.hook = None
            life.table.delete((f"U#{ADA}", "X"))

    life.table.hook = other
    assert life.close_all() == "closed"
    refused("unauthenticated", partial(life.open, ADA), life)


def test_leaving_that_never_comes_to_rest_is_a_fault(life: Life) -> None:
    def other(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "update"):
            life.table.hook = None
            life.table.delete((f"U#{ADA}", "X"))
            life.table.hook = other

    life.table.hook = other
    with pytest.raises(Problem, match="unavailable"):
        life.close_all()


def test_names_of_accounts_are_forgotten(life: Life) -> None:
    life.patch(name="Ada's divorce")
    life.open(ADA, "JPY", name="Ada in Japan")
    life.close_all()
    life.accounts.forget(ADA)
    before = len(life.events())
    life.accounts.forget(ADA)
    assert [account.name for account in life.accounts.page(ADA, None, 10).items] == ["JPY account", "USD account"]
    assert "Ada" not in repr([item for item in life.table.items() if item["pk"].startswith("A#")])
    assert len(life.events()) == before


# --- currencies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("currency", ["JPY", "USD", "BHD"])
def test_amounts_are_minor_units_whatever_their_digits(life: Life, currency: str) -> None:
    account = life.open(ADA, currency, type="credit")
    life.admin(account, credit_limit=1050)
    assert (life.shown(account).currency, life.shown(account).available) == (currency, 1050)


def test_fifteen_minutes_are_what_a_hot_account_cools(life: Life) -> None:
    life.put_head(life.account, hot=False, hot_until=timestamp(life.clock() - timedelta(minutes=15)))
    life.close()
    assert life.shown().status == "closed"
